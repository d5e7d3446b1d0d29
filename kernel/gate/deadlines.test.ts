import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Deadlines } from './deadlines.ts'

beforeEach(() => vi.useFakeTimers())
afterEach(() => vi.useRealTimers())

test('each expires at its own time, in whatever order they came, and one that is done does not', () => {
  const expired: number[] = []
  const deadlines = new Deadlines((id) => expired.push(id))
  deadlines.add(1, 500)
  deadlines.add(2, 100)
  deadlines.add(3, 300)
  deadlines.add(4, 50)
  deadlines.delete(4)
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
  const expired: number[] = []
  const deadlines = new Deadlines((id) => {
    expired.push(id)
    if (id === 1) deadlines.add(2, 10)
  })
  deadlines.add(1, 10)
  vi.advanceTimersByTime(11)
  deadlines.add(3, 1_000)
  vi.advanceTimersByTime(11)
  expect(expired).toEqual([1, 2])
})

test('after clear none expires and no timer is left', () => {
  const deadlines = new Deadlines(() => expect.unreachable())
  deadlines.add(1, 10)
  deadlines.clear()
  expect(vi.getTimerCount()).toBe(0)
  vi.advanceTimersByTime(100)
})
