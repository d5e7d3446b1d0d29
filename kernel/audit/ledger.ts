/** What the records say is still open and what they have charged: lets a seal or a recovery close every effect, charged in full. */
import type { Charges, Dimension } from '../vocabulary/index.ts'
import { OpenEffects } from './open-effects.ts'
import type { RecordBody } from './types.ts'

interface OpenEffect {
  reserved: Charges
  outcome: boolean
  closed: boolean
}

/** A level, not a sum: it is never captured. */
const LEVELS: ReadonlySet<string> = new Set<Dimension>(['concurrency'])

function addTo(sum: { [dimension: string]: number }, charges: Charges): void {
  for (const dimension in charges) sum[dimension] = (sum[dimension] ?? 0) + (charges[dimension as Dimension] ?? 0)
}

function addCharges(a: Charges, b: Charges): Charges {
  const sum = { ...a }
  addTo(sum, b)
  return sum
}

function chargedInFull(reserved: Charges): Charges {
  return Object.fromEntries(Object.entries(reserved).filter(([dimension, amount]) => !LEVELS.has(dimension) && amount > 0))
}

export class Ledger {
  readonly #open = new OpenEffects<OpenEffect>()
  readonly #spent: { [dimension: string]: number } = {}
  #effects = 0
  #denials = 0
  #last: RecordBody['type'] | null = null
  /** How many OUTCOME and CLOSE records may still come. */
  outcomesOwed = 0
  closesOwed = 0

  get open(): number {
    return this.#open.size
  }
  get effects(): number {
    return this.#effects
  }
  get denials(): number {
    return this.#denials
  }
  get spent(): Charges {
    return { ...this.#spent }
  }
  get last(): RecordBody['type'] | null {
    return this.#last
  }

  note(seq: number, body: RecordBody): void {
    this.#last = body.type
    switch (body.type) {
      case 'INTENT':
        this.#effects++
        this.outcomesOwed++
        this.closesOwed++
        this.#open.add(seq, { reserved: body.reserve, outcome: false, closed: false })
        return
      case 'LEASE': {
        const effect = this.#open.get(body.intent)
        if (effect) effect.reserved = addCharges(effect.reserved, body.reserve)
        return
      }
      case 'OUTCOME':
        this.#outcome(body.intent, body.captured, body.leased)
        return
      case 'CLOSE':
        this.#close(body.intent, body.captured)
        return
      case 'TIME':
        addTo(this.#spent, body.captured)
        return
      case 'DENY':
        this.#denials++
        return
      case 'DENY_REPEAT':
        this.#denials += body.count
    }
  }

  #outcome(intent: number, captured: Charges, leased: Charges | undefined): void {
    addTo(this.#spent, captured)
    const effect = this.#open.get(intent)
    if (!effect) return
    if (!effect.outcome) this.outcomesOwed--
    if (!leased || effect.closed) {
      if (!effect.closed) this.closesOwed--
      this.#open.delete(intent)
      return
    }
    effect.outcome = true
    effect.reserved = Object.fromEntries(Object.entries(effect.reserved).filter(([dimension]) => dimension in leased))
  }

  #close(intent: number, captured: Charges): void {
    addTo(this.#spent, captured)
    const effect = this.#open.get(intent)
    if (!effect) return
    if (!effect.closed) this.closesOwed--
    effect.closed = true
    if (effect.outcome) this.#open.delete(intent)
    else effect.reserved = Object.fromEntries(Object.entries(effect.reserved).filter(([dimension]) => !(dimension in captured)))
  }

  /** The records that close everything open: unknown outcomes and unclosed leases, charged in full. */
  closings(reason: string): RecordBody[] {
    return [...this.#open].map(([intent, effect]) =>
      effect.outcome
        ? { type: 'CLOSE', intent, captured: chargedInFull(effect.reserved), detail: { reason } }
        : { type: 'OUTCOME', intent, status: 'unknown', captured: chargedInFull(effect.reserved), detail: { reason } },
    )
  }
}
