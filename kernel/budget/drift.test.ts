import { expect, test } from 'vitest'
import { captureMany } from './campaign/index.ts'

test('captures do not drift (a sample; the campaign makes ten million)', () => {
  const { captured, expected, reserved } = captureMany(50_000, 7)
  expect(captured).toBe(expected)
  expect(reserved).toBe(0)
})
