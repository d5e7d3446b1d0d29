import { describe, expect, it } from 'vitest'
import { Stopwatch } from './stopwatch.ts'

describe('stopwatch', () => {
  it('gives each stage the µs since the one before, as whole numbers', () => {
    const times = [100.2, 107.9, 107.9, 330, 329]
    const watch = new Stopwatch(() => times.shift() ?? 0)
    for (const stage of ['policy', 'budget', 'intent', 'execute'] as const) watch.lap(stage)
    expect(watch.times).toEqual({ policy: 8, budget: 0, intent: 222, execute: 0 })
  })

  it('adds up what a stage took in several laps', () => {
    const times = [0, 1.4, 4, 5.4, 9]
    const watch = new Stopwatch(() => times.shift() ?? 0)
    for (const stage of ['capability', 'policy', 'capability', 'policy'] as const) watch.lap(stage)
    expect(watch.times).toEqual({ capability: 3, policy: 6 })
  })

  it('says nothing without a clock', () => {
    const watch = new Stopwatch(undefined)
    watch.lap('policy')
    expect(watch.times).toBeUndefined()
  })
})
