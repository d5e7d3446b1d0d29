import { expect, test } from 'vitest'
import { MAX_TOKEN_MARKS } from './limits.ts'
import { MarkBook } from './mark-book.ts'
import { createBudgetStage } from './stage.ts'
import type { Mark } from './types.ts'

const mark = (account: string): Mark => ({ account, dimension: 'calls', percent: 50, captured: 1, limit: 2 })

test('a ledger remembers its marks for whoever asks later, of the accounts asked for and beyond a number', () => {
  const budget = createBudgetStage({ limits: { calls: 10 } })
  budget.limit('block:a', { calls: 2 })
  for (let i = 0; i < 8; i++) {
    const taken = budget.reserve(i < 2 ? ['run', 'block:a'] : ['run'], { calls: 1 })
    if (taken.ok) budget.settle(taken.reservation)
  }
  const told = (after: number, ...accounts: string[]) =>
    budget.marksAfter(after, accounts).map(({ number, account, percent, captured }) => [number, account, percent, captured])
  expect(told(0, 'run', 'block:a')).toEqual([
    [1, 'block:a', 50, 1],
    [2, 'block:a', 80, 2],
    [3, 'block:a', 95, 2],
    [4, 'run', 50, 5],
    [5, 'run', 80, 8],
  ])
  expect(told(0, 'run')).toEqual([
    [4, 'run', 50, 5],
    [5, 'run', 80, 8],
  ])
  expect(told(4, 'run', 'block:a')).toEqual([[5, 'run', 80, 8]])
  expect(told(0, 'block:b')).toEqual([])
  expect(budget.lastMark).toBe(5)
})

test('however many marks an agent’s tokens pass, those of the run stay and memory is bounded', () => {
  const book = new MarkBook()
  book.add(mark('run'))
  for (let i = 0; i < MAX_TOKEN_MARKS * 2; i++) book.add(mark('block:a'))
  book.add(mark('class:net'))
  expect(book.after(0, ['run', 'class:net']).map(({ number }) => number)).toEqual([1, MAX_TOKEN_MARKS * 2 + 2])
  expect(book.after(0, ['block:a'])).toHaveLength(MAX_TOKEN_MARKS)
})

test('whoever waits is woken by the next mark, once, and gives up with its signal', async () => {
  const book = new MarkBook()
  const stop = new AbortController()
  const [first, second, given] = [book.next(new AbortController().signal), book.next(new AbortController().signal), book.next(stop.signal)]
  stop.abort(new Error('enough'))
  await expect(given).rejects.toThrow('enough')
  book.add(mark('run'))
  await Promise.all([first, second])
  await expect(book.next(stop.signal)).rejects.toThrow('enough')
})
