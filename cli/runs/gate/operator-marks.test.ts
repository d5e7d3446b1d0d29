import { expect, test } from 'vitest'
import type { BudgetMark } from '../run-spec.ts'
import { highestAtOnce } from './operator-marks.ts'

const mark = (dimension: string, percent: number): BudgetMark => ({ account: 'run', dimension, percent, captured: 1, limit: 1 })

test('of marks passed at once the highest of each budget is told; one that is passed later as well', async () => {
  const told: string[] = []
  const pass = highestAtOnce(({ dimension, percent }) => told.push(`${dimension} ${percent}`))
  for (const percent of [50, 80, 95]) pass(mark('calls', percent))
  pass(mark('bytes', 50))
  await Promise.resolve()
  expect(told).toEqual(['calls 95', 'bytes 50'])
  pass(mark('bytes', 80))
  await Promise.resolve()
  expect(told).toEqual(['calls 95', 'bytes 50', 'bytes 80'])
})
