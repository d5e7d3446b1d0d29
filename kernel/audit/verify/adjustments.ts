/** What an operator took back of a run's effects: proved by reading the run's log once more, for those effects alone. */
import { shareOf } from './effects.ts'
import { MAX_ADJUSTMENTS } from './limits.ts'
import type { Walk } from './log-reader.ts'
import { type Fields, parseRecord, RUN_SHAPES } from './shapes.ts'
import { Tampered } from './verdict.ts'

type Amounts = { readonly [dimension: string]: number }

class Adjusted {
  /** In sum over all records. */
  readonly lowered = new Map<string, number>()
  readonly shared = new Map<string, number>()
  /** Of the run's log: what was captured without being known to be used. */
  readonly unproven = new Map<string, number>()
  accounts: readonly string[] = []
  begun = false
}

export class Adjustments {
  readonly #effects = new Map<number, Adjusted>()
  /** Records there are. */
  count = 0

  /** A BUDGET_ADJUST of the run. A sentence when there are too many, else null. */
  add(fields: Fields): string | null {
    if (++this.count > MAX_ADJUSTMENTS) return `a run is adjusted more than ${MAX_ADJUSTMENTS} times`
    const effect = this.#effects.get(fields.intent as number) ?? new Adjusted()
    this.#effects.set(fields.intent as number, effect)
    addTo(effect.lowered, fields.lowered as Amounts)
    addTo(effect.shared, fields.shared as Amounts)
    return null
  }

  /** `walk` is a new one over the run's log, `root` what was proved of it before. Throws Tampered. */
  prove(walk: Walk, root: Buffer): void {
    let recovered = false
    for (const { text, seq } of walk.records()) {
      const parsed = parseRecord(text, seq, RUN_SHAPES)
      if (typeof parsed === 'string') continue
      recovered ||= parsed.type === 'RECOVERED'
      this.#see(seq, parsed.type, parsed.fields, recovered)
    }
    if (!walk.tree.root().equals(root)) throw new Tampered('the log changed while it was read', walk.folder)
    for (const [intent, effect] of this.#effects) {
      const wrong = excess(effect)
      if (wrong !== null) throw new Tampered(`the installation log adjusts effect ${intent} of this run: ${wrong}`, walk.folder)
    }
  }

  #see(seq: number, type: string, fields: Fields, recovered: boolean): void {
    const effect = this.#effects.get(type === 'INTENT' ? seq : (fields.intent as number))
    if (effect === undefined) return
    if (type === 'INTENT') {
      effect.begun = true
      effect.accounts = fields.accounts as readonly string[]
    }
    const isUnproven = type === 'OUTCOME' ? fields.status === 'unknown' || fields.overrun === true : type === 'CLOSE' && recovered
    if (effect.begun && isUnproven) addTo(effect.unproven, fields.captured as Amounts)
  }
}

/** A sentence when more was taken back than may be, else null. */
function excess({ lowered, shared, unproven, accounts, begun }: Adjusted): string | null {
  if (!begun) return 'there is none'
  for (const [dimension, amount] of lowered) {
    const most = unproven.get(dimension) ?? 0
    if (amount > most) return `${amount} ${dimension} are taken back, and ${most} were charged without being known to be used`
  }
  for (const [key, amount] of shared) {
    const [account, dimension] = shareOf(key)
    if (amount > 0 && !accounts.includes(account)) return `${key} of what runs share is taken back, which it was not charged to`
    if (amount > (lowered.get(dimension) ?? 0)) return `${amount} ${key} of what runs share are taken back, and less of the effect itself`
  }
  return null
}

function addTo(sums: Map<string, number>, amounts: Amounts): void {
  for (const [dimension, amount] of Object.entries(amounts)) sums.set(dimension, (sums.get(dimension) ?? 0) + amount)
}
