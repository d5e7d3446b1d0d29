/** Verifies mutants of a log in one real folder, writing only the files that differ. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type Verdict, type VerifyOptions, verifyRun } from '../verify/index.ts'
import { MemoryFs } from './memory-fs.ts'
import { cuts, type Files, flips, type Mutant, removals, shuffles } from './mutants.ts'
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
