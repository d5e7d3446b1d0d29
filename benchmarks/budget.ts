import { createHmac } from 'node:crypto'
import { createBudgetStage } from '@authority/kernel/budget'
import { atMost, type Row } from './statistics.ts'

const ROUNDS = 9
const EFFECTS = 20_000
const PATH = ['run', 'class:infer', 'block:a', 'block:b', 'block:c', 'block:d']

/**
 * A reservation and its settlement over six accounts (run, class, root+3 blocks) against one native HMAC-SHA256 of 64 bytes, the smallest thing the gate does
 * for an effect anyway; and the same with 10,000 reservations open, so that holding costs the others little.
 */
export async function budgetSuite(): Promise<readonly Row[]> {
  const mac = best(oneMac)
  const ours = best(() => reserveAndSettle(0))
  const crowded = best(() => reserveAndSettle(10_000))
  return [
    atMost('reserve and settle six accounts against one HMAC', `${ours.toFixed(2)} µs against ${mac.toFixed(2)} µs`, ours / mac, 6),
    atMost('with 10,000 reservations open against none', `${crowded.toFixed(2)} µs against ${ours.toFixed(2)} µs`, crowded / ours, 3),
  ]
}

/** µs per effect in the least disturbed round. */
function best(round: () => number): number {
  return Math.min(...Array.from({ length: ROUNDS }, round))
}

function reserveAndSettle(held: number): number {
  const stage = createBudgetStage({ limits: { cost_nano_usd: 1e15 }, wallMs: () => Date.now() })
  for (let i = 0; i < held; i++) stage.reserve(PATH, { concurrency: 1 })
  const began = Bun.nanoseconds()
  for (let i = 0; i < EFFECTS; i++) {
    const taken = stage.reserve(PATH, { calls: 1, concurrency: 1, cost_nano_usd: 1000 + (i & 63) })
    if (taken.ok) stage.settle(taken.reservation, { calls: 1, cost_nano_usd: 900 })
  }
  return (Bun.nanoseconds() - began) / 1000 / EFFECTS
}

function oneMac(): number {
  const key = new Uint8Array(32)
  const message = new Uint8Array(64)
  const began = Bun.nanoseconds()
  for (let i = 0; i < EFFECTS; i++) createHmac('sha256', key).update(message).digest()
  return (Bun.nanoseconds() - began) / 1000 / EFFECTS
}
