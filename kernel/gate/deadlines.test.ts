import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Deadlines } from './deadlines.ts'

beforeEach(() => vi.useFakeTimers())
afterEach(() => vi.useRealTimers())

interface One {
  readonly id: number
  due: number
}

/** What expired, and how to add one. */
function deadlines(onExpired: (id: number) => void = () => undefined) {
  const expired: number[] = []
  const waiting = new Map<number, One>()
  const all = new Deadlines<One>(waiting, ({ id }) => {
    expired.push(id)
    onExpired(id)
  })
  const add = (id: number, ms: number): void => {
    const one = { id, due: 0 }
    waiting.set(id, one)
    all.start(one, ms)
  }
  return { expired, add, waiting, clear: () => all.clear() }
}

test('each expires once, at its own time, in whatever order they came, and one that is done does not', () => {
  const { expired, add, waiting } = deadlines()
  add(1, 500)
  add(2, 100)
  add(3, 300)
  add(4, 50)
  waiting.delete(4)
  vi.advanceTimersByTime(99)
  expect(expired).toEqual([])
  vi.advanceTimersByTime(2)
  expect(expired).toEqual([2])
  vi.advanceTimersByTime(200)
  expect(expired).toEqual([2, 3])
  vi.advanceTimersByTime(200)
  expect(expired).toEqual([2, 3, 1])
})

test('one added while others expire is not forgotten', () => {
  const { expired, add } = deadlines((id) => {
    if (id === 1) add(2, 10)
  })
  add(1, 10)
  vi.advanceTimersByTime(11)
  add(3, 1_000)
  vi.advanceTimersByTime(11)
  expect(expired).toEqual([1, 2])
})

test('after clear none expires and no timer is left', () => {
  const { add, clear } = deadlines(() => expect.unreachable())
  add(1, 10)
  clear()
  expect(vi.getTimerCount()).toBe(0)
  vi.advanceTimersByTime(100)
})
