/** Verifies mutants of a log in one real folder, writing only the files that differ. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type Verdict, type VerifyOptions, verifyRun } from '../verify/index.ts'
import { MemoryFs } from './memory-fs.ts'
import { cuts, type Files, flips, joined, type Mutant, removals, shuffles } from './mutants.ts'
import { begin, HOME, RUN_END, RUN_ID, testContext, work } from './scenario.ts'

export class Bench {
  readonly folder = mkdtempSync(join(tmpdir(), 'authority-sweep-'))
  #there: Files = new Map()

  async verify(files: Files, options: VerifyOptions = {}, run = RUN_ID): Promise<Verdict> {
    for (const name of this.#there.keys()) if (!files.has(name)) rmSync(join(this.folder, name))
    for (const [name, bytes] of files) {
      if (this.#there.get(name) === bytes) continue
      mkdirSync(dirname(join(this.folder, name)), { recursive: true })
      writeFileSync(join(this.folder, name), bytes)
    }
    this.#there = files
    return verifyRun(join(this.folder, run), { installation: join(this.folder, 'installation'), ...options })
  }

  remove(): void {
    rmSync(this.folder, { recursive: true })
  }
}

/** About 60 records over three segments with several checkpoints, sealed; the files of the whole home. */
export async function sealedLog(seed = 1): Promise<Files> {
  const fs = new MemoryFs()
  const { log } = await begin(testContext(fs, seed), { segmentBytes: () => 4096 + 6000, checkpointRecords: 16 })
  await work(log, 9)
  await log.seal(RUN_END)
  return fs.snapshot(HOME)
}

export interface SweepReport {
  readonly tried: number
  /** Mutants that verified as intact and sealed: must be empty. */
  readonly passed: readonly string[]
  readonly statuses: { readonly [status: string]: number }
}

/** `step` 1 is exhaustive: every byte, every end. `npm run campaign` runs that; unit tests a sample. */
export async function sweepLog(step: number, options: VerifyOptions = {}): Promise<SweepReport> {
  const files = await sealedLog()
  const bench = new Bench()
  const passed: string[] = []
  const statuses: { [status: string]: number } = {}
  let tried = 0
  try {
    for (const mutant of allMutants(files, step)) {
      tried++
      const { status } = await bench.verify(mutant.files, options)
      statuses[status] = (statuses[status] ?? 0) + 1
      if (status === 'intact') passed.push(mutant.name)
    }
  } finally {
    bench.remove()
  }
  return { tried, passed, statuses }
}

function* allMutants(files: Files, step: number): Generator<Mutant> {
  // Bit 0 to 7 in turn: single-bit errors everywhere, no byte left out when the step is 1.
  yield* flips(files, RUN_ID, step, (at) => 1 << (at % 8))
  yield* cuts(files, RUN_ID, step)
  yield* shuffles(files, RUN_ID)
  yield* removals(files, RUN_ID)
}

/** About `records` records, sealed, in segments of 64 KiB. */
export async function longLog(records: number): Promise<Files> {
  const fs = new MemoryFs()
  const { log } = await begin(testContext(fs), { segmentBytes: () => 64 * 1024, checkpointRecords: 64 })
  await work(log, Math.ceil(records / 7))
  await log.seal(RUN_END)
  return fs.snapshot(HOME)
}

/** A change anywhere in the files of the run, drawn from `random` (0 ≤ x < 1): some bytes set, cut out, repeated or moved, a file cut, removed or exchanged. */
export function randomMutant(files: Files, random: () => number, folder = `${RUN_ID}/`): Mutant {
  const below = (n: number): number => Math.floor(random() * n)
  const names = [...files.keys()].filter((name) => name.startsWith(folder) && !name.endsWith('/lock') && !name.endsWith('commitments.key'))
  const name = names[below(names.length)] ?? ''
  const bytes = files.get(name) ?? new Uint8Array(0)
  const at = below(bytes.length)
  const length = 1 + below(random() < 0.5 ? 16 : 2000)
  const piece = bytes.subarray(at, at + length)
  const rest = bytes.subarray(at + length)
  const other = names[below(names.length)] ?? ''
  const kinds: readonly (() => Uint8Array | null)[] = [
    () => bytes.with(at, (bytes[at] ?? 0) ^ (1 << below(8))),
    () => Uint8Array.from(bytes, (byte, i) => (i >= at && i < at + length ? below(256) : byte)),
    () => joined(bytes.subarray(0, at), rest),
    () => joined(bytes.subarray(0, at), piece, piece, rest),
    () => joined(bytes.subarray(0, at), rest.subarray(0, length), piece, rest.subarray(length)),
    () => bytes.slice(0, at),
    () => (bytes.length === 0 ? null : new Uint8Array(bytes.length)),
    () => files.get(other) ?? null,
    () => null,
  ]
  const kind = below(kinds.length)
  const changed = kinds[kind]?.() ?? null
  const mutated = new Map(files)
  if (changed === null) mutated.delete(name)
  else mutated.set(name, changed)
  return { name: `kind ${kind} of ${name}@${at}+${length} (${other})`, files: mutated }
}

/** Whether a mutant is the log itself: some changes change nothing. */
export function isSame(a: Files, b: Files): boolean {
  return a.size === b.size && [...a].every(([name, bytes]) => Buffer.compare(bytes, b.get(name) ?? new Uint8Array(0)) === 0)
}

/** mulberry32: small, seeded, good enough to choose places. */
export function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** `count` seeded mutants of a log of `records` records, in process. */
export async function mutateLog(records: number, count: number, seed: number): Promise<SweepReport> {
  const files = await longLog(records)
  const random = seeded(seed)
  const bench = new Bench()
  const passed: string[] = []
  const statuses: { [status: string]: number } = {}
  let tried = 0
  try {
    while (tried < count) {
      const mutant = randomMutant(files, random)
      if (isSame(files, mutant.files)) continue
      tried++
      const { status } = await bench.verify(mutant.files)
      statuses[status] = (statuses[status] ?? 0) + 1
      if (status === 'intact') passed.push(mutant.name)
    }
  } finally {
    bench.remove()
  }
  return { tried, passed, statuses }
}
