import { AuthorityError } from '@authority/protocol'
import type { RecordBody } from '../audit/types.ts'
import { type Charges, DIMENSIONS } from '../vocabulary/index.ts'
import { AdjustableEffects } from './adjustable.ts'
import { type Amounts, at, CONCURRENCY, chargesOf, noAmounts, readCharges } from './amounts.ts'
import { MAX_AMOUNT } from './limits.ts'
import { INSTALLATION_ACCOUNT, poolBudget, readShared } from './pool-keys.ts'
import { type BudgetOptions, createBudgetStage, RUN_ACCOUNT } from './stage.ts'
import type { AccountName, BudgetStage } from './types.ts'

/** A record as the log holds it. */
export type LoggedRecord = RecordBody & { readonly seq: number }

/** What a log says was spent. */
export interface Replayed {
  readonly spent: ReadonlyMap<AccountName, Charges>
  /** Limits as RUN_START, LIMIT and LEASED state them. */
  readonly limits: ReadonlyMap<AccountName, Charges>
  /** Intents without an end: what they held is counted in full, since they may have happened. */
  readonly unknown: readonly number[]
}

interface OpenIntent {
  readonly accounts: readonly AccountName[]
  readonly held: Amounts
  settled: boolean
  closed: boolean
}

/**
 * Adds a run's records up, in log order; `lowered` is what an operator took back of effects, by their INTENT: it counts as far as the effect was charged for more
 * than is known. Throws E_AUDIT for a record whose amounts are not amounts.
 */
export function replay(records: Iterable<LoggedRecord>, lowered: ReadonlyMap<number, Charges> = new Map()): Replayed {
  const totals = new Map<AccountName, Amounts>()
  const limits = new Map<AccountName, Charges>()
  const open = new Map<number, OpenIntent>()
  const adjustable = new AdjustableEffects((intent) => lowered.has(intent))
  for (const record of records) {
    try {
      apply(record, { totals, limits, open })
      adjustable.add(record)
    } catch (error) {
      throw new AuthorityError('E_AUDIT', `record ${record.seq}: ${error instanceof Error ? error.message : 'its amounts cannot be read'}`)
    }
  }
  for (const { accounts, held } of open.values()) add(totals, accounts, held)
  for (const { intent, accounts, captured } of adjustable.all) takeBack(totals, accounts, captured, lowered.get(intent) ?? {})
  return { spent: new Map([...totals].map(([name, amounts]) => [name, chargesOf(amounts)])), limits, unknown: [...open.keys()] }
}

/** A stage that goes on where a log ends (`gate serve` after a restart). An account that spent more than its limit starts frozen. */
export function restoreBudget(replayed: Replayed, options: BudgetOptions = {}): BudgetStage {
  const { limits, ...rest } = options
  const stage = createBudgetStage(rest)
  for (const [account, charges] of replayed.spent) {
    const taken = stage.reserve([account], charges)
    if (taken.ok) stage.settle(taken.reservation, charges)
  }
  for (const [account, charges] of replayed.limits) stage.limit(account, charges)
  stage.limit(RUN_ACCOUNT, limits ?? {})
  return stage
}

interface Books {
  readonly totals: Map<AccountName, Amounts>
  readonly limits: Map<AccountName, Charges>
  readonly open: Map<number, OpenIntent>
}

function apply(record: LoggedRecord, { totals, limits, open }: Books): void {
  switch (record.type) {
    case 'RUN_START':
      for (const { account, dimension, limit } of record.limits) {
        const stated = { ...limits.get(account), [dimension]: limit }
        readCharges(stated)
        limits.set(account, stated)
      }
      return
    case 'LIMIT': {
      const known = limits.get(record.account)
      const lower = Object.entries(record.limits).map(([name, limit]) => [name, Math.min(limit, known?.[name as keyof Charges] ?? limit)])
      const stated = { ...known, ...Object.fromEntries(lower) }
      readCharges(stated)
      limits.set(record.account, stated)
      return
    }
    case 'LEASED':
      for (const [key, leased] of readShared(record.leased)) {
        const { account, dimension } = poolBudget(key)
        limits.set(account, { ...limits.get(account), [dimension]: leased })
      }
      return
    case 'INTENT':
      open.set(record.seq, { accounts: record.accounts, held: readCharges(record.reserve), settled: false, closed: false })
      return
    case 'LEASE': {
      const intent = open.get(record.intent)
      if (intent !== undefined) grow(intent.held, readCharges(record.reserve))
      return
    }
    case 'OUTCOME': {
      const intent = open.get(record.intent)
      if (intent === undefined || intent.settled) return
      // What may have happened is counted in full: only `void` says that nothing did.
      if (record.status !== 'void') add(totals, intent.accounts, readCharges(record.captured))
      intent.settled = true
      // A lease that began with nothing is a lease all the same: it can be renewed.
      const leased = record.status === 'void' || intent.closed ? undefined : record.leased
      keep(intent.held, Object.keys(readNamed(leased ?? {})))
      if (leased === undefined) open.delete(record.intent)
      return
    }
    case 'CLOSE': {
      const intent = open.get(record.intent)
      if (intent === undefined || intent.closed) return
      add(totals, intent.accounts, readCharges(record.captured))
      intent.closed = true
      if (intent.settled) open.delete(record.intent)
      else drop(intent.held, Object.keys(readNamed(record.captured)))
      return
    }
    case 'TIME': {
      const captured = readCharges(record.captured)
      add(totals, [RUN_ACCOUNT], captured)
      const shared = limits.get(INSTALLATION_ACCOUNT)
      if (shared !== undefined)
        add(
          totals,
          [INSTALLATION_ACCOUNT],
          captured.map((amount, index) => (isNamed(shared, index) ? amount : 0)),
        )
      return
    }
    default:
      return
  }
}

function isNamed(charges: Charges, index: number): boolean {
  const dimension = DIMENSIONS[index]
  return dimension !== undefined && Object.hasOwn(charges, dimension)
}

function readNamed(charges: Charges): Charges {
  readCharges(charges)
  return charges
}

/** Concurrency is held, never spent. */
function add(totals: Map<AccountName, Amounts>, accounts: readonly AccountName[], amounts: Amounts): void {
  for (const name of new Set(accounts)) {
    const total = totals.get(name) ?? noAmounts()
    totals.set(name, total)
    grow(total, amounts)
    total[CONCURRENCY] = 0
  }
}

/** Of each account, never more than was captured. */
function takeBack(totals: Map<AccountName, Amounts>, accounts: readonly AccountName[], captured: Charges, lowered: Charges): void {
  const [most, asked] = [readCharges(captured), readCharges(lowered)]
  for (const name of new Set(accounts)) {
    const total = totals.get(name)
    if (total === undefined) continue
    for (let i = 0; i < total.length; i++) total[i] = Math.max(0, at(total, i) - Math.min(at(most, i), at(asked, i)))
  }
}

function grow(total: Amounts, more: Amounts): void {
  for (let i = 0; i < total.length; i++) total[i] = Math.min(MAX_AMOUNT, at(total, i) + at(more, i))
}

function keep(held: Amounts, dimensions: readonly string[]): void {
  const kept = readCharges(Object.fromEntries(dimensions.map((dimension) => [dimension, 1])))
  for (let i = 0; i < held.length; i++) if (at(kept, i) === 0) held[i] = 0
}

function drop(held: Amounts, dimensions: readonly string[]): void {
  const gone = readCharges(Object.fromEntries(dimensions.map((dimension) => [dimension, 1])))
  for (let i = 0; i < held.length; i++) if (at(gone, i) !== 0) held[i] = 0
}
