/** Re-proves from the records alone that every effect was announced first and that no budget was ever exceeded, at every prefix of the log. */

import { MAX_CPUS, MAX_LIMITED_ACCOUNTS, MAX_OPEN_EFFECTS, MAX_UNLIMITED_ACCOUNTS, TIME_SLICE_MS } from './limits.ts'
import { sha256 } from './primitives.ts'
import type { Fields } from './shapes.ts'

type Amounts = { readonly [dimension: string]: number }

interface Account {
  readonly name: string
  readonly limits: Map<string, number>
  readonly captured: Map<string, number>
  readonly reserved: Map<string, number>
}

interface Effect {
  /** Only accounts that are counted: those that have a limit. */
  readonly accounts: readonly Account[]
  /** The amounts of the INTENT as they were read, until a LEASE adds to them. */
  reserved: Amounts
  outcome: boolean
  closed: boolean
}

/** What an object says of a dimension; its prototype says nothing. */
function amountOf(amounts: Amounts, dimension: string): number {
  return Object.hasOwn(amounts, dimension) ? (amounts[dimension] as number) : 0
}

/** Those there are: counted from the start, limit or not, for a limit may come later. */
const DIMENSIONS: ReadonlySet<string> = new Set([
  'calls',
  'tool_calls',
  'tokens',
  'cost_nano_usd',
  'bytes',
  'wall_time_ms',
  'cpu_ms',
  'concurrency',
  'log_bytes',
  'bytes_in',
  'bytes_out',
  'bytes_written',
  'tokens_in',
  'tokens_out',
])
/** Dimensions that are levels: held while an effect lasts, never captured. */
const LEVELS: ReadonlySet<string> = new Set(['concurrency'])
/** What an unknown outcome need not charge: levels, and bytes, which move through a lease alone and are counted there. */
const KNOWN: ReadonlySet<string> = new Set([...LEVELS, 'bytes', 'bytes_in', 'bytes_out', 'bytes_written'])
const CLASSES: readonly string[] = ['fs', 'net', 'tool', 'infer', 'state', 'agent']
const STANDING: readonly string[] = ['run', 'installation', ...CLASSES.map((name) => `installation:${name}`)]
/** Reserved in slices: may overshoot by one slice on each CPU. */
const SLICED: ReadonlySet<string> = new Set(['wall_time_ms', 'cpu_ms'])

export class Effects {
  /** `run`, `installation` and its classes are counted from the first record on: their limits may come, or move, later. */
  readonly #accounts = new Map<string, Account>(STANDING.map((name) => [name, newAccount(name)]))
  /** Names (long ones as hashes) of accounts that were charged without any limit: none of them may get one any more. */
  readonly #uncounted = new Set<string>()
  #logBytes: number | null = null
  readonly #open = new Map<number, Effect>()
  #slack = TIME_SLICE_MS
  /** Time went on past a limit by more than a slice: what happened after that was not allowed. */
  #late: string | null = null
  intents = 0
  unknown = 0
  limits = 0

  get open(): number {
    return this.#open.size
  }

  /** Limits of RUN_START. */
  start(fields: Fields): void {
    for (const row of fields.limits as readonly { account: string; dimension: string; limit: number }[]) {
      const account = this.#account(row.account)
      account.limits.set(row.dimension, Math.min(row.limit, account.limits.get(row.dimension) ?? Number.POSITIVE_INFINITY))
      this.limits++
      if (row.account === 'run' && row.dimension === 'log_bytes') this.#logBytes = Math.min(row.limit, this.#logBytes ?? row.limit)
    }
    const cpus = (fields.detail as Fields).cpus
    if (typeof cpus === 'number' && Number.isInteger(cpus) && cpus >= 1 && cpus <= MAX_CPUS) this.#slack = cpus * TIME_SLICE_MS
  }

  #account(name: string): Account {
    let account = this.#accounts.get(name)
    if (!account) {
      account = newAccount(name)
      this.#accounts.set(name, account)
    }
    return account
  }

  /** Bytes of records the run may write; recovery must end it whatever it takes. */
  logBytesExceeded(bytes: number): string | null {
    const limit = this.#logBytes
    return limit !== null && bytes > limit ? `the records have ${bytes} bytes, and log_bytes of the run is ${limit}` : null
  }

  /** Limits of an account that appears later, as a capability block does. */
  limit(fields: Fields): string | null {
    if (!this.#accounts.has(fields.account as string)) {
      if (this.#accounts.size >= MAX_LIMITED_ACCOUNTS + STANDING.length) return `more than ${MAX_LIMITED_ACCOUNTS} accounts have limits`
      if (this.#mayBeCharged(fields.account as string)) return `account ${String(fields.account)} was named before it had a limit`
    }
    const { limits, captured, reserved, name } = this.#account(fields.account as string)
    for (const [dimension, limit] of Object.entries(fields.limits as Amounts)) {
      limits.set(dimension, Math.min(limit, limits.get(dimension) ?? Number.POSITIVE_INFINITY))
      this.limits++
      const sum = (captured.get(dimension) ?? 0) + (reserved.get(dimension) ?? 0)
      if (sum > limit) return `${dimension} of account ${name} gets a limit of ${limit} and has ${sum} already`
    }
    return null
  }

  /** The run's part of the installation's budget: its limit moves, never below what is spent and held. */
  leased(fields: Fields): string | null {
    for (const [key, limit] of Object.entries(fields.leased as Amounts)) {
      const [account, dimension] = shareOf(key)
      const { limits, captured, reserved, name } = this.#account(account)
      const sum = (captured.get(dimension) ?? 0) + (reserved.get(dimension) ?? 0)
      if (sum > limit && sum <= (limits.get(dimension) ?? Number.POSITIVE_INFINITY))
        return `${dimension} of account ${name} is leased at ${limit} with ${sum} in use`
      limits.set(dimension, limit)
    }
    return null
  }

  /** Each returns a sentence when the record breaks a rule, else null. */
  intent(seq: number, fields: Fields): string | null {
    this.intents++
    if (this.#late !== null) return `an effect after ${this.#late}`
    if (this.#open.size >= MAX_OPEN_EFFECTS) return `more than ${MAX_OPEN_EFFECTS} effects are open at once`
    const accounts: Account[] = []
    for (const name of fields.accounts as readonly string[]) {
      const account = this.#accounts.get(name)
      if (account) accounts.push(account)
      else if (this.#uncounted.size < MAX_UNLIMITED_ACCOUNTS) this.#uncounted.add(shortName(name))
    }
    if (hasTwice(fields.accounts as readonly string[])) return 'an account is charged twice'
    const reserved = fields.reserve as Amounts
    this.#open.set(seq, { accounts, reserved, outcome: false, closed: false })
    return this.#reserve(accounts, reserved)
  }

  #mayBeCharged(name: string): boolean {
    return this.#uncounted.size >= MAX_UNLIMITED_ACCOUNTS || this.#uncounted.has(shortName(name))
  }

  lease(fields: Fields): string | null {
    const effect = this.#open.get(fields.intent as number)
    if (!effect || effect.closed) return `a lease for ${String(fields.intent)}, which is not open`
    if (this.#late !== null) return `a lease after ${this.#late}`
    const more = fields.reserve as Amounts
    const reserved: { [dimension: string]: number } = { ...effect.reserved }
    for (const dimension in more) reserved[dimension] = amountOf(reserved, dimension) + amountOf(more, dimension)
    effect.reserved = reserved
    return this.#reserve(effect.accounts, more)
  }

  #reserve(accounts: readonly Account[], amounts: Amounts): string | null {
    for (const account of accounts) {
      for (const dimension in amounts) {
        if (!counts(account, dimension)) continue
        const limit = account.limits.get(dimension) ?? Number.POSITIVE_INFINITY
        const added = amountOf(amounts, dimension)
        const held = (account.reserved.get(dimension) ?? 0) + added
        account.reserved.set(dimension, held)
        const sum = (account.captured.get(dimension) ?? 0) + held
        if (added > 0 && limit !== undefined && sum > limit) return `${dimension} of account ${account.name} reaches ${sum} of ${limit}`
      }
    }
    return null
  }

  outcome(fields: Fields): string | null {
    const intent = fields.intent as number
    const effect = this.#open.get(intent)
    if (!effect || effect.outcome) return `an outcome of ${intent}, which is not an open effect`
    const captured = fields.captured as Amounts
    const leased = fields.leased as Amounts | undefined
    const status = fields.status
    if (status === 'unknown') this.unknown++
    effect.outcome = true
    const kept: { [dimension: string]: number } = {}
    for (const dimension in effect.reserved) {
      const reserved = amountOf(effect.reserved, dimension)
      const stays = leased !== undefined && Object.hasOwn(leased, dimension) && !effect.closed
      if (stays && amountOf(leased, dimension) > reserved) return `more ${dimension} is leased than was reserved`
      if (stays) kept[dimension] = reserved
      else free(effect, dimension, reserved)
      if (status === 'unknown' && !stays && !KNOWN.has(dimension) && amountOf(captured, dimension) < reserved)
        return `an unknown outcome is not charged in full: ${dimension}`
    }
    const wrong = capture(effect, captured, fields.overrun === true)
    effect.reserved = kept
    if (leased === undefined || effect.closed) this.#open.delete(intent)
    return wrong
  }

  close(fields: Fields): string | null {
    const intent = fields.intent as number
    const effect = this.#open.get(intent)
    if (!effect || effect.closed) return `a close of ${intent}, which is not open`
    const captured = fields.captured as Amounts
    effect.closed = true
    const kept: { [dimension: string]: number } = {}
    for (const dimension in effect.reserved) {
      const reserved = amountOf(effect.reserved, dimension)
      if (effect.outcome || Object.hasOwn(captured, dimension)) free(effect, dimension, reserved)
      else kept[dimension] = reserved
    }
    const wrong = capture(effect, captured, false)
    effect.reserved = kept
    if (effect.outcome) this.#open.delete(intent)
    return wrong
  }

  /** Time of the run itself, and of what it leased of the installation's. It cannot be held back: past its limit it ends what may begin, not the log. */
  time(fields: Fields): string | null {
    const captured = fields.captured as Amounts
    const shared = this.#account('installation')
    const ofShared = Object.fromEntries(Object.entries(captured).filter(([dimension]) => shared.limits.has(dimension)))
    return this.#pass(this.#account('run'), captured) ?? this.#pass(shared, ofShared)
  }

  #pass(account: Account, captured: Amounts): string | null {
    for (const [dimension, amount] of Object.entries(captured)) {
      add(account, dimension, amount)
      const limit = account.limits.get(dimension) ?? Number.POSITIVE_INFINITY
      const sum = (account.captured.get(dimension) ?? 0) + (account.reserved.get(dimension) ?? 0)
      const text = `${dimension} of account ${account.name} reached ${sum} of ${limit}`
      if (sum > limit && !SLICED.has(dimension)) return text
      if (sum > limit + this.#slack) this.#late ??= text
    }
    return null
  }
}

/** `calls` is of account `installation`, `net.calls` of `installation:net`. */
export function shareOf(key: string): readonly [account: string, dimension: string] {
  const cut = key.indexOf('.')
  const name = key.slice(0, Math.max(0, cut))
  return CLASSES.includes(name) ? [`installation:${name}`, key.slice(cut + 1)] : ['installation', key]
}

function hasTwice(names: readonly string[]): boolean {
  // Most effects charge two or three accounts: for them a Set costs more than it saves.
  return names.length > 8 ? new Set(names).size !== names.length : names.some((name, i) => names.indexOf(name) !== i)
}

function free(effect: Effect, dimension: string, amount: number): void {
  for (const { reserved } of effect.accounts) {
    const held = reserved.get(dimension)
    if (held !== undefined) reserved.set(dimension, held - amount)
  }
}

function capture(effect: Effect, captured: Amounts, overrun: boolean): string | null {
  for (const dimension in captured) {
    const amount = amountOf(captured, dimension)
    if (amount > 0 && LEVELS.has(dimension)) return `${dimension} is captured, and it is only ever held`
    const reserved = amountOf(effect.reserved, dimension)
    if (!overrun && amount > reserved) return `${amount} ${dimension} captured of ${reserved} reserved`
    for (const account of effect.accounts) add(account, dimension, amount)
  }
  return null
}

function add(account: Account, dimension: string, amount: number): void {
  const { captured } = account
  if (counts(account, dimension)) captured.set(dimension, (captured.get(dimension) ?? 0) + amount)
}

/** A hostile log cannot make the verifier remember names: only those that have a limit, and the dimensions there are. */
function counts({ limits }: Account, dimension: string): boolean {
  return DIMENSIONS.has(dimension) || limits.has(dimension)
}

function newAccount(name: string): Account {
  return { name, limits: new Map(), captured: new Map(), reserved: new Map() }
}

/** What is remembered of a name takes no more room than a hash, however long a hostile log makes it. */
function shortName(name: string): string {
  return name.length <= 64 ? name : sha256(Buffer.from(name)).toString('latin1')
}
