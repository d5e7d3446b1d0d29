import { expect, test } from 'vitest'
import { budgetDenial } from './budget-refusal.ts'

const refusal = { ok: false, account: 'run', dimension: 'calls', limit: 10, available: 2, asked: 3, frozen: false } as const

test.each([
  [{}, 'the calls budget of this run has no room for this: 3 needed, 2 of 10 left'],
  [
    { account: 'class:net', dimension: 'bytes_out' },
    'the bytes out budget of net operations of this run has no room for this: 3 bytes needed, 2 bytes of 10 bytes left',
  ],
  [
    { dimension: 'cost_nano_usd', asked: 100_000_000, available: 50_000_001, limit: 5_000_000_000 },
    'the cost budget of this run has no room for this: $0.10 needed, $0.050000001 of $5.00 left',
  ],
  [
    { account: 'block:ab', dimension: 'wall_time_ms' },
    'the wall time budget of token block ab has no room for this: 3 ms needed, 2 ms of 10 ms left',
  ],
  [{ dimension: 'cpu_ms' }, 'the CPU time budget of this run has no room for this: 3 ms needed, 2 ms of 10 ms left'],
  // What other runs leased is not an agent's to know.
  [{ account: 'installation' }, 'the calls budget of all runs together has no room for this: 3 needed, 2 left'],
  [{ account: 'installation:net' }, 'the calls budget of net operations of all runs together has no room for this: 3 needed, 2 left'],
  [{ frozen: true }, 'the budget of this run is closed: more was used than was reserved (account run is frozen)'],
] as const)('%o says whose budget it is and how much is left', (change, reason) => {
  expect(budgetDenial({ ...refusal, ...change })).toMatchObject({ code: 'E_BUDGET_EXCEEDED', reason })
})
