import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { INTERRUPTION_STEP_MS, MAX_INTERRUPTION_QUESTIONS } from '../limits.ts'
import { Interruptions } from './interruptions.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})
const steps = (count: number): Promise<unknown> => vi.advanceTimersByTimeAsync(count * INTERRUPTION_STEP_MS)

/** The guest's side: processes with a signal, and everything that was asked. */
function guest() {
  const signalled = new Set<number>()
  const asked: number[] = []
  const interrupted: string[] = []
  const all = new Interruptions((pid) => {
    asked.push(pid)
    return Promise.resolve(signalled.has(pid))
  })
  const wait = (pid: number, name = `${pid}`): (() => void) => all.watch({ pid, interrupt: () => void interrupted.push(name) })
  return { all, signalled, asked, interrupted, wait }
}

test('who is answered soon is never asked after', async () => {
  const { asked, wait } = guest()
  const answered = wait(7)
  await steps(1)
  answered()
  await steps(10)
  expect(asked).toEqual([])
})

test('who waits long is interrupted when a signal waits for it, and nobody else is', async () => {
  const { signalled, interrupted, wait } = guest()
  wait(7)
  wait(8)
  await steps(5)
  expect(interrupted).toEqual([])
  signalled.add(8)
  await steps(1)
  expect(interrupted).toEqual(['8'])
})

test('a process is asked after once a step, however many of its requests wait', async () => {
  const { asked, signalled, interrupted, wait } = guest()
  signalled.add(7)
  wait(7, 'a')
  wait(7, 'b')
  await steps(2)
  expect([asked, interrupted]).toEqual([[7], ['a', 'b']])
})

test('what was answered while its process was asked after is not interrupted', async () => {
  let say = (_: boolean): void => undefined
  const interrupted: number[] = []
  const all = new Interruptions(() => new Promise((resolve) => (say = resolve)))
  const answered = all.watch({ pid: 7, interrupt: () => void interrupted.push(7) })
  await steps(2)
  answered()
  say(true)
  await steps(2)
  expect(interrupted).toEqual([])
  all.close()
})

test('one step asks so many questions and no more, and the next goes on with the others', async () => {
  const { asked, wait } = guest()
  const count = MAX_INTERRUPTION_QUESTIONS + 10
  for (let pid = 1; pid <= count; pid++) wait(pid)
  await steps(2)
  expect(asked).toHaveLength(MAX_INTERRUPTION_QUESTIONS)
  await steps(1)
  expect(new Set(asked).size).toBe(count)
})

test('a guest that says nothing, and the end, interrupt nobody', async () => {
  const interrupted: number[] = []
  const all = new Interruptions(() => Promise.resolve(null))
  all.watch({ pid: 7, interrupt: () => void interrupted.push(7) })
  await steps(3)
  all.close()
  await steps(3)
  expect(interrupted).toEqual([])
  expect(vi.getTimerCount()).toBe(0)
})
