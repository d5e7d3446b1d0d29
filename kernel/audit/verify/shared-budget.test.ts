import { describe, expect, it } from 'vitest'
import { MAX_ADJUSTABLE_RUNS } from './limits.ts'
import { SharedBudget } from './shared-budget.ts'

const RUN = 'a'.repeat(32)
const OTHER = 'b'.repeat(32)
type Step = readonly [type: string, fields: { readonly [name: string]: unknown }]
const limits: Step = ['BUDGET_LIMITS', { limits: { calls: 10 } }]
const lease = (run: string, calls: number): Step => ['BUDGET_LEASE', { run, lease: { calls } }]

function judged(...steps: readonly Step[]): string | null {
  const budget = new SharedBudget()
  for (const [type, fields] of steps) {
    const wrong = budget.add(type, fields)
    if (wrong !== null) return wrong
  }
  return null
}

describe('what runs share', () => {
  it('is leased, returned, spent and leased again', () => {
    expect(
      judged(
        limits,
        lease(RUN, 6),
        lease(OTHER, 4),
        ['BUDGET_RETURN', { run: RUN, unused: { calls: 2 } }],
        lease(OTHER, 2),
        ['BUDGET_SPENT', { run: RUN, spent: { calls: 1 } }],
        lease(OTHER, 3),
      ),
    ).toBe(null)
  })

  it.each<[string, readonly Step[], string]>([
    ['more than there is', [limits, lease(RUN, 6), lease(OTHER, 5)], 'calls of the installation reaches 11 of 10'],
    ['what ended runs spent', [limits, lease(RUN, 6), ['BUDGET_SPENT', { run: RUN, spent: { calls: 6 } }], lease(OTHER, 5)], 'reaches 11'],
    ['a return of what was never leased', [limits, ['BUDGET_RETURN', { run: RUN, unused: { calls: 1 } }]], 'returns more calls'],
    [
      'a second end',
      [limits, lease(RUN, 6), ['BUDGET_SPENT', { run: RUN, spent: {} }], ['BUDGET_SPENT', { run: RUN, spent: { calls: 1 } }]],
      'does not hold',
    ],
    [
      'a lease after limits went down',
      [limits, lease(RUN, 6), ['BUDGET_LIMITS', { limits: { calls: 6 } }], lease(RUN, 1)],
      'reaches 7 of 6',
    ],
  ])('is not %s', (_name, steps, message) => {
    expect(judged(...steps)).toContain(message)
  })

  it('has again what was taken back of one of the runs that ended last; what one before them spent is not remembered', () => {
    const budget = new SharedBudget()
    const runOf = (number: number): string => number.toString(16).padStart(32, '0')
    for (let i = 0; i <= MAX_ADJUSTABLE_RUNS; i++) {
      budget.add(...lease(runOf(i), 1))
      budget.add('BUDGET_SPENT', { run: runOf(i), spent: { calls: 1 } })
    }
    expect(budget.add('BUDGET_ADJUST', { run: runOf(0), shared: { calls: 1 } })).toContain('is adjusted by more calls than it spent')
    expect(budget.add('BUDGET_ADJUST', { run: runOf(1), shared: { calls: 1 } })).toBe(null)
    expect(budget.add('BUDGET_ADJUST', { run: runOf(1), shared: { calls: 1 } })).toContain('is adjusted by more calls than it spent')
  })
})
