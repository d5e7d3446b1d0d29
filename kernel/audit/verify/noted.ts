/** What the installation log remembers of one run, record by record, while the installation log itself is proved. */

import { loadChain } from './key-chain.ts'
import { type LogRecord, Walk } from './log-reader.ts'
import type { PublicKey } from './primitives.ts'
import { INSTALLATION_SHAPES, parseRecord } from './shapes.ts'
import { SharedBudget } from './shared-budget.ts'
import { Tampered } from './verdict.ts'

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
  sealed = false
  removed = false
  entries = 0

  /** `key`: what the run is signed with; null when the run is not there to ask. */
  constructor(folder: string, key: PublicKey | null, run: string) {
    const { keys, certificates } = loadChain(folder)
    if (key && !keys.some(({ text }) => text === key.text))
      throw new Tampered('the run and the installation log are signed with different keys', folder)
    this.walk = new Walk(folder, keys)
    this.#entries = entriesOf(this.walk, run, key, certificates, this)
    this.#advance()
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

function* entriesOf(
  walk: Walk,
  run: string,
  key: PublicKey | null,
  certificates: readonly string[],
  state: NotedRun,
): Generator<Noted, void> {
  let before = 0
  let rotations = 0
  const shared = new SharedBudget()
  for (const record of walk.records()) {
    const fail = (why: string): Tampered => new Tampered(why, record.file, record.offset, record.seq)
    const noted = readNote(record, walk, fail)
    if (noted.type === 'KEY_ROTATED' && noted.certificate !== certificates[rotations++])
      throw fail('a key was replaced that key.chain does not know')
    const overspent = shared.add(noted.type as string, noted)
    if (overspent !== null) throw fail(overspent)
    if (noted.run !== run || String(noted.type).startsWith('BUDGET_')) continue
    if (noted.type === 'RUN_OPENED' && key && walk.keys[rotations]?.text !== key.text)
      throw fail('the run is not signed with the key that was in force when it began')
    if (noted.type === 'RUN_REMOVED') {
      state.removed = true
      continue
    }
    const size = noted.size as number
    if (state.sealed) throw fail('a sealed run goes on')
    if (size < before) throw fail('a run becomes shorter')
    before = size
    state.entries++
    state.opened ||= noted.type === 'RUN_OPENED'
    state.sealed ||= noted.type === 'RUN_SEALED'
    if (!state.opened) throw fail('a run is noted that was never opened')
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
}

function readNote(record: LogRecord, walk: Walk, fail: (why: string) => Tampered): { readonly [name: string]: unknown } {
  const parsed = parseRecord(record.text, record.seq, INSTALLATION_SHAPES)
  if (typeof parsed === 'string') throw fail(parsed)
  if ((record.seq === 0) !== (parsed.type === 'INSTALLATION')) throw fail('the installation log does not begin with its own record')
  if (record.seq === 0 && (parsed.fields.installation !== walk.logId || parsed.fields.key !== walk.keys[0]?.text))
    throw fail('the installation log is of another installation')
  return { ...parsed.fields, type: parsed.type }
}
