import { describe, expect, test } from 'vitest'
import { createTimeSlices } from './slices.ts'
import { createBudgetStage } from './stage.ts'

function clockAt(start: number) {
  let now = start
  return {
    wallMs: () => now,
    monotonicMs: () => now,
    pass: (ms: number) => {
      now += ms
    },
  }
}

const spent = (stage: ReturnType<typeof createBudgetStage>, dimension: string): number =>
  stage.rows(['run']).find((row) => row.dimension === dimension)?.captured ?? 0

describe('time', () => {
  test('is reserved ahead of its passing, and a run ends within one slice of its limit', () => {
    const stage = createBudgetStage({ limits: { wall_time_ms: 600 } })
    const clock = clockAt(1000)
    const slices = createTimeSlices({ budget: stage, clock, cpus: 2 })
    expect(stage.rows(['run'])).toContainEqual({ account: 'run', dimension: 'wall_time_ms', limit: 600, captured: 0, reserved: 250 })
    for (const nextMs of [250, 100]) {
      clock.pass(250)
      expect(slices.tick()).toMatchObject({ exhausted: null, nextMs })
    }
    clock.pass(100)
    expect(slices.tick()).toMatchObject({ exhausted: { account: 'run', dimension: 'wall_time_ms' } })
    expect(spent(stage, 'wall_time_ms')).toBe(600)
  })

  test('a late tick is captured in full, and more than the limit freezes', () => {
    const stage = createBudgetStage({ limits: { wall_time_ms: 600 } })
    const clock = clockAt(0)
    const slices = createTimeSlices({ budget: stage, clock, cpus: 1 })
    clock.pass(400)
    expect(slices.tick()).toMatchObject({ exhausted: null, captured: { wall_time_ms: 400 }, nextMs: 200 })
    clock.pass(400)
    expect(slices.tick().exhausted).toEqual({ account: 'run', dimension: 'wall_time_ms' })
    expect(spent(stage, 'wall_time_ms')).toBe(800)
    expect(stage.reserve(['run'], { calls: 1 })).toMatchObject({ ok: false, frozen: true })
  })

  test('that passes after the last of it, until the machine is gone, is captured and freezes', () => {
    const stage = createBudgetStage({ limits: { wall_time_ms: 100 } })
    const clock = clockAt(0)
    const slices = createTimeSlices({ budget: stage, clock, cpus: 1 })
    clock.pass(100)
    expect(slices.tick().exhausted).toEqual({ account: 'run', dimension: 'wall_time_ms' })
    clock.pass(80)
    expect(slices.stop().captured.wall_time_ms).toBe(80)
    expect(spent(stage, 'wall_time_ms')).toBe(180)
    expect(stage.reserve(['run'], { calls: 1 })).toMatchObject({ ok: false, frozen: true })
  })

  test('of a machine without a whole number of CPUs is a fault', () => {
    for (const cpus of [0, -1, 1.5, Number.NaN])
      expect(() => createTimeSlices({ budget: createBudgetStage(), clock: clockAt(0), cpus })).toThrow(RangeError)
  })

  test('a clock that jumps a day charges a day forward and nothing back', () => {
    const day = 86_400_000
    const stage = createBudgetStage()
    const clock = clockAt(2 * day)
    const slices = createTimeSlices({ budget: stage, clock, cpus: 1 })
    clock.pass(-day)
    expect(slices.tick().captured.wall_time_ms).toBe(0)
    clock.pass(2 * day)
    expect(slices.tick().captured.wall_time_ms).toBe(day)
    expect(spent(stage, 'wall_time_ms')).toBe(day)
  })

  test('CPU time is held in slices of 250 ms per CPU; a reading that goes back counts nothing', () => {
    const stage = createBudgetStage({ limits: { cpu_ms: 1000 } })
    const slices = createTimeSlices({ budget: stage, clock: clockAt(0), cpus: 2 })
    expect(stage.rows(['run'])).toContainEqual({ account: 'run', dimension: 'cpu_ms', limit: 1000, captured: 0, reserved: 500 })
    expect(slices.tick(480.7).captured.cpu_ms).toBe(480)
    expect(slices.tick(100).captured.cpu_ms).toBe(0)
    expect(slices.tick(Number.NaN).captured.cpu_ms).toBe(0)
    expect(slices.tick(900)).toMatchObject({ exhausted: null, captured: { cpu_ms: 420 }, nextMs: 50 })
    expect(slices.tick(1000).exhausted).toEqual({ account: 'run', dimension: 'cpu_ms' })
  })

  test('without limits it is counted all the same; fractions of a ms are carried over', () => {
    const stage = createBudgetStage()
    const clock = clockAt(0.5)
    const slices = createTimeSlices({ budget: stage, clock, cpus: 1 })
    for (let i = 0; i < 10; i++) {
      clock.pass(0.7)
      slices.tick()
    }
    slices.stop()
    expect(spent(stage, 'wall_time_ms')).toBe(7)
  })

  test('stop settles what has begun and holds nothing back; twice is once', () => {
    const stage = createBudgetStage({ limits: { wall_time_ms: 1000, cpu_ms: 1000 } })
    const clock = clockAt(0)
    const slices = createTimeSlices({ budget: stage, clock, cpus: 4 })
    clock.pass(30)
    expect(slices.stop(20).captured).toEqual({ wall_time_ms: 30, cpu_ms: 20 })
    clock.pass(30)
    expect(slices.stop(50).captured).toEqual({ wall_time_ms: 0, cpu_ms: 0 })
    expect(stage.rows(['run']).map((row) => row.reserved)).toEqual([0, 0])
  })

  test('goes on being counted when another dimension froze the account, and still ends the run at its own limit', () => {
    const stage = createBudgetStage({ limits: { wall_time_ms: 500, tokens: 1 } })
    const clock = clockAt(0)
    const slices = createTimeSlices({ budget: stage, clock, cpus: 1 })
    const call = stage.reserve(['run'], { tokens: 1 })
    if (call.ok) stage.settle(call.reservation, { tokens: 9 })
    clock.pass(250)
    expect(slices.tick().exhausted).toBe(null)
    clock.pass(250)
    expect(slices.tick().exhausted).toEqual({ account: 'run', dimension: 'wall_time_ms' })
    expect(spent(stage, 'wall_time_ms')).toBe(500)
  })

  test('no time at all is exhausted at the first tick', () => {
    const slices = createTimeSlices({ budget: createBudgetStage({ limits: { wall_time_ms: 0 } }), clock: clockAt(0), cpus: 1 })
    expect(slices.tick().exhausted).toEqual({ account: 'run', dimension: 'wall_time_ms' })
  })

  test('of two accounts ends with the first that is used up, and says whose it was', () => {
    const stage = createBudgetStage({ limits: { wall_time_ms: 10_000 } })
    stage.lease('installation', { wall_time_ms: 300 })
    const clock = clockAt(0)
    const slices = createTimeSlices({ budget: stage, clock, cpus: 1, accounts: () => ['run', 'installation'] })
    clock.pass(250)
    expect(slices.tick()).toMatchObject({ exhausted: null, nextMs: 50 })
    clock.pass(50)
    expect(slices.tick().exhausted).toEqual({ account: 'installation', dimension: 'wall_time_ms' })
  })
})
