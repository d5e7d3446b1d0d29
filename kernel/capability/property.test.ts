import { expect, test } from 'vitest'
import { compareFamilies } from './campaign/index.ts'

test('random tokens: the stage and the naive evaluator agree, and a child never allows what its parent refuses (a sample; the campaign asks a million)', () => {
  const { allowed, refused } = compareFamilies(400)
  expect(Math.min(allowed, refused)).toBeGreaterThan(500)
})
