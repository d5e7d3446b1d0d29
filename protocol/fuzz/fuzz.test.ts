import { expect, test } from 'vitest'
import { fuzzProtocol } from './index.ts'

test.each([1, 2, 3])('seed %i: damaged bytes are refused cleanly or mean exactly themselves', (seed) => {
  const report = fuzzProtocol({ seed, iterations: 2000 })
  // The sample means nothing if it never reaches past the codec.
  expect(report.accepted).toBeGreaterThan(100)
  expect(report.refused).toBeGreaterThan(100)
  expect(report.messages).toBeGreaterThan(50)
})

test('the same seed gives the same run', () => {
  expect(fuzzProtocol({ seed: 9, iterations: 300 })).toEqual(fuzzProtocol({ seed: 9, iterations: 300 }))
})
