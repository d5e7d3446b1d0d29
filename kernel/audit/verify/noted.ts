/** What the installation log remembers of one run, record by record, while the installation log itself is proved. */

import { Adjustments } from './adjustments.ts'
import { type KeyChain, loadChain } from './key-chain.ts'
import { MAX_RUNS } from './limits.ts'
import { type LogRecord, Walk } from './log-reader.ts'
import type { PublicKey } from './primitives.ts'
import { type Fields, INSTALLATION_SHAPES, parseRecord } from './shapes.ts'
import { SharedBudget } from './shared-budget.ts'
import { Tampered, Unreadable } from './verdict.ts'

export interface Noted {
  readonly type: string
  readonly size: number
  readonly root: string
  readonly chain: string
  readonly file: string
  readonly offset: number
  readonly seq: number
}

export class NotedRun {
  readonly walk: Walk
  readonly #entries: Generator<Noted, void>
  #next: Noted | null = null
  /** The last that was noted, once everything was read. */
  opened = false
  recovered = false
  /** How many runs were opened. */
  runs = 0
  /** Records the run had when it was sealed. */
  sealedSize: number | null = null
  /** All that was ever leased to the run of the shared budget. */
  readonly leased = new Map<string, number>()
  /** What an operator took back of the run that is asked about. */
  readonly adjustments = new Adjustments()
  removed = false
  entries = 0

  /** `key`: what the run is signed with; null when the run is not there to ask. `run` null: every run there is. */
  constructor(folder: string, key: PublicKey | null, run: string | null, onRecord: (walk: Walk) => void = () => undefined) {
    const { keys, certificates, current } = loadChain(folder)
    if (key && !keys.some(({ text }) => text === key.text))
      throw new Tampered('the run and the installation log are signed with different keys', folder)
    this.walk = new Walk(folder, keys)
    this.#entries = entriesOf(this.walk, run, key, { certificates, current, onRecord }, this)
    this.#advance()
    if (this.walk.segments === 0) throw new Unreadable('there is no installation log here', folder)
  }

  /** Holds every note about this size against the log. Throws Tampered. */
  at(size: number, root: () => string, chain: () => string): void {
    while (this.#next && this.#next.size <= size) {
      const { size: noted, file, offset, seq } = this.#next
      if (noted < size || this.#next.root !== root() || this.#next.chain !== chain())
        throw new Tampered(`the installation log noted another state at ${noted} records`, file, offset, seq)
      this.#advance()
    }
  }

  /** The log has ended. Throws Tampered when more of it was noted. Reads the installation log to its end. */
  finish(size: number): void {
    if (this.#next)
      throw new Tampered(
        `the installation log noted ${this.#next.size} records and there are ${size}: records are missing`,
        this.#next.file,
        this.#next.offset,
        this.#next.seq,
      )
    this.#advance()
  }

  /** Reads the installation log to its end without comparing. */
  readAll(): void {
    while (this.#next) this.#advance()
  }

  #advance(): void {
    const step = this.#entries.next()
    this.#next = step.done ? null : step.value
  }

  /** Ends the reading early and closes the files. */
  close(): void {
    this.#entries.return()
  }
}

/** What is noted of a run begins with RUN_OPENED, never shrinks, and ends with RUN_SEALED. */
class RunOrder {
  readonly #runs = new Map<string, { size: number; sealed: boolean }>()

  get runs(): number {
    return this.#runs.size
  }

  isSealed(run: string): boolean {
    return this.#runs.get(run)?.sealed === true
  }

  /** A sentence when the record breaks the order, else null. */
  add(noted: Fields, origin: string): string | null {
    const size = noted.size as number
    const before = this.#runs.get(noted.run as string)
    if (noted.type === 'RUN_OPENED') {
      if (before || noted.origin !== origin) return 'a run is opened twice, or under another name'
      if (this.#runs.size >= MAX_RUNS) return `more than ${MAX_RUNS} runs`
    } else if (!before) return 'a run is noted that was never opened'
    if (before?.sealed) return 'a sealed run goes on'
    if (before && size < before.size) return 'a run becomes shorter'
    this.#runs.set(noted.run as string, { size, sealed: noted.type === 'RUN_SEALED' })
    return null
  }
}

function* entriesOf(
  walk: Walk,
  run: string | null,
  key: PublicKey | null,
  { certificates, current, onRecord }: Pick<KeyChain, 'certificates' | 'current'> & { readonly onRecord: (walk: Walk) => void },
  state: NotedRun,
): Generator<Noted, void> {
  const order = new RunOrder()
  let rotations = 0
  const shared = new SharedBudget()
  for (const record of walk.records()) {
    const fail = (why: string): Tampered => new Tampered(why, record.file, record.offset, record.seq)
    const noted = readNote(record, walk, fail)
    if (noted.type === 'KEY_ROTATED' && noted.certificate !== certificates[rotations++])
      throw fail('a key was replaced that key.chain does not know')
    const overspent = shared.add(noted.type as string, noted)
    if (overspent !== null) throw fail(overspent)
    onRecord(walk)
    if (noted.type === 'RECOVERED') state.recovered = true
    if (typeof noted.run !== 'string' || (run !== null && noted.run !== run)) continue
    if (noted.type === 'BUDGET_LEASE') addTo(state.leased, noted.lease as { readonly [dimension: string]: number })
    if (noted.type === 'BUDGET_ADJUST') {
      if (!order.isSealed(noted.run)) throw fail('a run is adjusted that is not sealed')
      const wrong = run === null ? null : state.adjustments.add(noted)
      if (wrong !== null) throw fail(wrong)
    }
    if (noted.type === 'RUN_REMOVED') state.removed = true
    if (noted.type === 'RUN_REMOVED' || String(noted.type).startsWith('BUDGET_')) continue
    if (noted.type === 'RUN_OPENED' && key && walk.keys[rotations]?.text !== key.text)
      throw fail('the run is not signed with the key that was in force when it began')
    const wrong = order.add(noted, `authority/${walk.logId}/run/${noted.run}`)
    if (wrong !== null) throw fail(wrong)
    const size = noted.size as number
    state.entries++
    state.runs = order.runs
    state.opened = true
    if (noted.type === 'RUN_SEALED') state.sealedSize = size
    yield {
      type: noted.type as string,
      size,
      root: noted.root as string,
      chain: noted.chain as string,
      file: record.file,
      offset: record.offset,
      seq: record.seq,
    }
  }
  // One certificate more than there are records: a rotation that was interrupted.
  const inForce = walk.keys[rotations]
  if (certificates.length > rotations + 1)
    throw new Tampered('key.chain holds certificates the installation log does not know', walk.folder)
  if (current.text !== inForce?.text && current.text !== walk.keys.at(-1)?.text)
    throw new Tampered('key.pub of the installation is not the key in force', walk.folder)
}

function addTo(sums: Map<string, number>, amounts: { readonly [dimension: string]: number }): void {
  for (const [dimension, amount] of Object.entries(amounts)) sums.set(dimension, (sums.get(dimension) ?? 0) + amount)
}

function readNote(record: LogRecord, walk: Walk, fail: (why: string) => Tampered): { readonly [name: string]: unknown } {
  const parsed = parseRecord(record.text, record.seq, INSTALLATION_SHAPES)
  if (typeof parsed === 'string') throw fail(parsed)
  if ((record.seq === 0) !== (parsed.type === 'INSTALLATION')) throw fail('the installation log does not begin with its own record')
  if (record.seq === 0 && (parsed.fields.installation !== walk.logId || parsed.fields.key !== walk.keys[0]?.text))
    throw fail('the installation log is of another installation')
  return { ...parsed.fields, type: parsed.type }
}
