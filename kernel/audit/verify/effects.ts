/** Re-proves from the records alone that every effect was announced first and that no budget was ever exceeded, at every prefix of the log. */
import { MAX_CPUS, MAX_OPEN_EFFECTS, TIME_SLICE_MS } from './limits.ts'
import type { Fields } from './shapes.ts'

type Amounts = { [dimension: string]: number }

interface Account {
  readonly limits: Map<string, number>
  readonly captured: Map<string, number>
  readonly reserved: Map<string, number>
}

interface Effect {
  readonly accounts: readonly string[]
  reserved: Map<string, number>
  outcome: boolean
  closed: boolean
}

/** Dimensions that are levels: held while an effect lasts, never captured. */
const LEVELS: ReadonlySet<string> = new Set(['concurrency'])
/** What an unknown outcome need not charge: levels, and bytes, which move through a lease alone and are counted there. */
const KNOWN: ReadonlySet<string> = new Set([...LEVELS, 'bytes'])
/** Reserved in slices: may overshoot by one slice on each CPU. */
const SLICED: ReadonlySet<string> = new Set(['wall_time_ms', 'cpu_ms'])

export class Effects {
  readonly #accounts = new Map<string, Account>()
  readonly #open = new Map<number, Effect>()
  #slack = TIME_SLICE_MS
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
    }
    const cpus = (fields.detail as Fields).cpus
    if (typeof cpus === 'number' && Number.isInteger(cpus) && cpus >= 1 && cpus <= MAX_CPUS) this.#slack = cpus * TIME_SLICE_MS
  }

  #account(name: string): Account {
    let account = this.#accounts.get(name)
    if (!account) {
      account = { limits: new Map(), captured: new Map(), reserved: new Map() }
      this.#accounts.set(name, account)
    }
    return account
  }

  /** Each returns a sentence when the record breaks a rule, else null. */
  intent(seq: number, fields: Fields): string | null {
    this.intents++
    if (this.#open.size >= MAX_OPEN_EFFECTS) return `more than ${MAX_OPEN_EFFECTS} effects are open at once`
    const accounts = fields.accounts as readonly string[]
    if (new Set(accounts).size !== accounts.length) return 'an account is charged twice'
    // Only accounts that have a limit are kept: a hostile log cannot make the verifier remember names.
    const effect: Effect = {
      accounts: accounts.filter((name) => this.#accounts.has(name)),
      reserved: new Map(),
      outcome: false,
      closed: false,
    }
    this.#open.set(seq, effect)
    return this.#reserve(effect, fields.reserve as Amounts)
  }

  lease(fields: Fields): string | null {
    const effect = this.#open.get(fields.intent as number)
    if (!effect || effect.closed) return `a lease for ${String(fields.intent)}, which is not open`
    return this.#reserve(effect, fields.reserve as Amounts)
  }

  #reserve(effect: Effect, amounts: Amounts): string | null {
    for (const [dimension, amount] of Object.entries(amounts)) {
      effect.reserved.set(dimension, (effect.reserved.get(dimension) ?? 0) + amount)
      for (const name of effect.accounts) {
        const account = this.#account(name)
        if (!account.limits.has(dimension)) continue
        account.reserved.set(dimension, (account.reserved.get(dimension) ?? 0) + amount)
        const over = this.#over(name, dimension, amount)
        if (over) return over
      }
    }
    return null
  }

  #over(name: string, dimension: string, added: number): string | null {
    const account = this.#account(name)
    const limit = account.limits.get(dimension)
    if (limit === undefined || added === 0) return null
    const sum = (account.captured.get(dimension) ?? 0) + (account.reserved.get(dimension) ?? 0)
    return sum <= limit ? null : `${dimension} of account ${name} reaches ${sum} of ${limit}`
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
    const kept = new Map<string, number>()
    for (const [dimension, reserved] of effect.reserved) {
      const stays = leased !== undefined && Object.hasOwn(leased, dimension) && !effect.closed
      if (stays && (leased[dimension] ?? 0) > reserved) return `more ${dimension} is leased than was reserved`
      if (stays) kept.set(dimension, reserved)
      else this.#free(effect, dimension, reserved)
      if (status === 'unknown' && !stays && !KNOWN.has(dimension) && (captured[dimension] ?? 0) < reserved)
        return `an unknown outcome is not charged in full: ${dimension}`
    }
    const wrong = this.#capture(effect, captured, fields.overrun === true)
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
    const ended = [...effect.reserved].filter(([dimension]) => effect.outcome || Object.hasOwn(captured, dimension))
    for (const [dimension, reserved] of ended) this.#free(effect, dimension, reserved)
    const wrong = this.#capture(effect, captured, false)
    for (const [dimension] of ended) effect.reserved.delete(dimension)
    if (effect.outcome) this.#open.delete(intent)
    return wrong
  }

  #free(effect: Effect, dimension: string, amount: number): void {
    for (const name of effect.accounts) {
      const { reserved } = this.#account(name)
      const held = reserved.get(dimension)
      if (held !== undefined) reserved.set(dimension, held - amount)
    }
  }

  #capture(effect: Effect, captured: Amounts, overrun: boolean): string | null {
    for (const [dimension, amount] of Object.entries(captured)) {
      if (LEVELS.has(dimension)) continue
      if (!overrun && amount > (effect.reserved.get(dimension) ?? 0))
        return `${amount} ${dimension} captured of ${effect.reserved.get(dimension) ?? 0} reserved`
      for (const name of effect.accounts) this.#add(name, dimension, amount)
    }
    return null
  }

  #add(name: string, dimension: string, amount: number): void {
    const { captured, limits } = this.#account(name)
    if (limits.has(dimension)) captured.set(dimension, (captured.get(dimension) ?? 0) + amount)
  }

  /** Time of the run itself. */
  time(fields: Fields): string | null {
    const run = this.#accounts.get('run')
    if (!run) return null
    for (const [dimension, amount] of Object.entries(fields.captured as Amounts)) {
      this.#add('run', dimension, amount)
      const limit = run.limits.get(dimension)
      const sum = run.captured.get(dimension) ?? 0
      if (limit !== undefined && sum > limit + (SLICED.has(dimension) ? this.#slack : 0))
        return `${dimension} of the run reaches ${sum} of ${limit}`
    }
    return null
  }
}
