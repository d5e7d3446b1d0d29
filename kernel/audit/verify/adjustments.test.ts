import { expect, test } from 'vitest'
import { Adjustments } from './adjustments.ts'
import { MAX_ADJUSTMENTS } from './limits.ts'
import type { Walk } from './log-reader.ts'

/** What logs say of adjustments is in fixtures/vectors/audit; here is what no small log shows. */
test('a run is adjusted a bounded number of times: a verifier keeps them all', () => {
  const adjustments = new Adjustments()
  for (let i = 0; i < MAX_ADJUSTMENTS; i++) expect(adjustments.add({ intent: i, lowered: {}, shared: {} })).toBe(null)
  expect(adjustments.add({ intent: 0, lowered: {}, shared: {} })).toContain('more than 4096 times')
})

test('a log that is another one when it is read again proves nothing', () => {
  const read = (root: Buffer) => ({ folder: '/log', records: () => [], tree: { root: () => root } }) as unknown as Walk
  const proved = Buffer.alloc(32, 1)
  expect(() => new Adjustments().prove(read(Buffer.alloc(32, 2)), proved)).toThrow('the log changed while it was read')
  expect(() => new Adjustments().prove(read(proved), proved)).not.toThrow()
})
