import { type Charges, DIMENSIONS, type Dimension } from '../vocabulary/index.ts'
import { type Amounts, at, CONCURRENCY, chargesOf, noAmounts, readCharges } from './amounts.ts'
import { MAX_ADJUSTABLE_EFFECTS, MAX_AMOUNT } from './limits.ts'
import type { LoggedRecord } from './replay.ts'
import type { AccountName } from './types.ts'

/** An effect that was charged for more than is known: an operator who learned what it used may take the rest back. */
export interface AdjustableEffect {
  readonly intent: number
  readonly op: string
  readonly object: string
  readonly accounts: readonly AccountName[]
  /** Its outcome is not known, a provider said more than was reserved, or its lease was open when the gate died. */
  readonly why: 'unknown' | 'overrun' | 'lease'
  /** What was captured so, of each account. */
  readonly captured: Charges
}

interface Begun extends Pick<AdjustableEffect, 'op' | 'object' | 'accounts'> {
  outcome: boolean
  closed: boolean
}

interface Found extends Omit<AdjustableEffect, 'captured'> {
  readonly amounts: Amounts
}

/** Told the records of a run in log order. What is known to have been used is never among it. */
export class AdjustableEffects {
  readonly #chosen: (intent: number) => boolean
  readonly #begun = new Map<number, Begun>()
  readonly #found = new Map<number, Found>()
  #recovered = false

  /** Only of the effects `chosen`. */
  constructor(chosen: (intent: number) => boolean = () => true) {
    this.#chosen = chosen
  }

  /** Throws RangeError for amounts that are none. */
  add(record: LoggedRecord): void {
    if (record.type === 'RECOVERED') this.#recovered = true
    if (record.type === 'INTENT' && this.#chosen(record.seq)) {
      const { op, object, accounts } = record
      this.#begun.set(record.seq, { op, object, accounts, outcome: false, closed: false })
    }
    if (record.type === 'OUTCOME') this.#outcome(record)
    if (record.type === 'CLOSE') this.#close(record)
  }

  get(intent: number): AdjustableEffect | null {
    const found = this.#found.get(intent)
    return found === undefined ? null : shown(found)
  }

  get all(): readonly AdjustableEffect[] {
    return [...this.#found.values()].map(shown)
  }

  #outcome({ intent, status, captured, leased, overrun }: Extract<LoggedRecord, { type: 'OUTCOME' }>): void {
    const begun = this.#begun.get(intent)
    if (begun === undefined || begun.outcome) return
    begun.outcome = true
    if (status === 'unknown') this.#note(intent, begun, 'unknown', captured)
    else if (overrun === true) this.#note(intent, begun, 'overrun', captured)
    if (leased === undefined || begun.closed) this.#begun.delete(intent)
  }

  #close({ intent, captured }: Extract<LoggedRecord, { type: 'CLOSE' }>): void {
    const begun = this.#begun.get(intent)
    if (begun === undefined || begun.closed) return
    begun.closed = true
    // One the gate wrote itself says what was moved.
    if (this.#recovered) this.#note(intent, begun, 'lease', captured)
    if (begun.outcome) this.#begun.delete(intent)
  }

  #note(intent: number, { op, object, accounts }: Begun, why: AdjustableEffect['why'], captured: Charges): void {
    const amounts = readCharges(captured)
    amounts[CONCURRENCY] = 0
    const before = this.#found.get(intent)
    if (amounts.every((amount) => amount === 0) || (before === undefined && this.#found.size >= MAX_ADJUSTABLE_EFFECTS)) return
    const sum = before?.amounts ?? noAmounts()
    for (const index of DIMENSIONS.keys()) sum[index] = Math.min(MAX_AMOUNT, at(sum, index) + at(amounts, index))
    this.#found.set(intent, { intent, op, object, accounts, why: before?.why ?? why, amounts: sum })
  }
}

function shown({ amounts, ...effect }: Found): AdjustableEffect {
  return { ...effect, captured: chargesOf(amounts) }
}

/** What is left of some charges; without zeros. */
export function less(charges: Charges, lowered: Charges): Charges {
  const left = Object.entries(charges).map(([name, amount]) => [name, Math.max(0, amount - (lowered[name as Dimension] ?? 0))] as const)
  return Object.fromEntries(left.filter(([, amount]) => amount > 0))
}
