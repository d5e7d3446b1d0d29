import { expect, test } from 'vitest'
import { classAccount, limitsByAccount } from './classes.ts'
import { createBudgetStage } from './stage.ts'

test('a limit of one class holds beside the limit of the run', () => {
  const stage = createBudgetStage()
  for (const [account, limits] of limitsByAccount({ calls: 5, 'net.calls': 2 })) stage.limit(account, limits)
  const one = (operation: 'net.connect' | 'fs.open') => stage.reserve(['run', classAccount(operation)], { calls: 1 })
  expect([one('net.connect').ok, one('net.connect').ok]).toEqual([true, true])
  expect(one('net.connect')).toMatchObject({ ok: false, account: 'class:net', dimension: 'calls' })
  expect([one('fs.open').ok, one('fs.open').ok, one('fs.open').ok]).toEqual([true, true, true])
  expect(one('fs.open')).toMatchObject({ ok: false, account: 'run' })
})

test.each([['bus.calls'], ['net.'], ['net.hops'], ['hops'], ['.calls'], ['net.calls.x'], ['__proto__']])('%s is no budget', (key) => {
  expect(() => limitsByAccount(Object.fromEntries([[key, 1]]))).toThrow(RangeError)
})

test.each([[-1], [0.5], [Number.NaN], [2 ** 53], [Number.POSITIVE_INFINITY]])('%s is no limit', (limit) => {
  expect(() => limitsByAccount({ 'net.calls': limit })).toThrow(RangeError)
})
