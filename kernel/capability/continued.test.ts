import { expect, test } from 'vitest'
import { codeOf, NOW, read, testStage } from './testing/index.ts'

const validity = { notBefore: NOW, expires: NOW + 1e6 }
const question = [read('/work/a')]

test('a stage that goes on knows what was used; what is not known counts as used up', () => {
  const first = testStage()
  const token = first.stage.mint({ fs: { read: ['/work/**'] }, uses: 5 }, validity)
  const id = first.stage.check('s', first.stage.bind('s', token), question)
  if (!id.allow) throw new Error(id.reason)
  const [block = ''] = id.blocks
  expect([...first.stage.usesTaken()]).toEqual([[block, 1]])

  const counting: string[] = []
  const next = testStage({ usedBefore: new Map([[block, 4]]), onCounting: (each) => counting.push(each) })
  const handle = next.stage.bind('s', token)
  expect(next.stage.check('s', handle, question).allow).toBe(true)
  expect(next.stage.check('s', handle, question)).toMatchObject({ allow: false, code: 'E_CAP_RATE' })
  expect(counting).toEqual([block])
  expect([...next.stage.usesTaken()]).toEqual([[block, 5]])

  const blind = testStage({ usedBefore: new Map([[block, null]]) })
  expect(blind.stage.check('s', blind.stage.bind('s', token), question)).toMatchObject({ allow: false, code: 'E_CAP_RATE' })
})

test('a rate gives no second burst to whoever restarts the gate', () => {
  const { stage, clock } = testStage({ usedBefore: new Map() })
  const token = stage.mint({ fs: { read: ['/work/**'] }, rate: { count: 1, periodMs: 1000, burst: 3 } }, validity)
  const handle = stage.bind('s', token)
  expect(codeOf(() => handle)).toBe('accepted')
  expect(stage.check('s', handle, question).allow).toBe(false)
  clock.pass(1000)
  expect(stage.check('s', handle, question).allow).toBe(true)
  expect(stage.check('s', handle, question).allow).toBe(false)
})
