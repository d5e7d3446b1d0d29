import { expect, test } from 'vitest'
import { connectionWorstCase } from './worst-case.ts'

test('a connection that only holds never takes all of a small budget', () => {
  expect(connectionWorstCase(() => 1_000_000)).toEqual({ bytes: 250_000, bytes_in: 250_000, bytes_out: 250_000 })
  expect(connectionWorstCase((dimension) => (dimension === 'bytes_out' ? 10 : Number.POSITIVE_INFINITY))).toEqual({
    bytes: 1 << 20,
    bytes_in: 1 << 20,
    bytes_out: 10,
  })
  let left = 4_000_000
  for (let idle = 0; idle < 10; idle++) left -= connectionWorstCase(() => left).bytes ?? 0
  expect(left).toBeGreaterThan(100_000)
})

test('of nothing nothing is held', () => {
  expect(connectionWorstCase(() => -1)).toEqual({ bytes: 0, bytes_in: 0, bytes_out: 0 })
})
