import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { LossyDisk, type PowerCut } from '../../kernel/audit/testing/lossy-disk.ts'
import { brokenPromises, load, recovered, startGate } from './gate-load.ts'
import { waitGone } from './machine-support.ts'

const CLIENTS = 4
/** A disk that was not cut by then stays on: the round says so. */
const MOST_ANSWERS = 60_000
/** ms a gate has to be gone after it was killed. */
const GATE_END_MS = 10_000

export interface PowerReport {
  readonly answers: number
  readonly segments: number
  readonly broken: readonly string[]
}

/** `authority gate serve` with its home on a disk whose power fails at the nth change under load; the machine starts again with what the disk kept. */
export async function powerRound(cut: PowerCut): Promise<PowerReport> {
  const where = `cut ${cut.when} change ${cut.at}, seed ${cut.seed}: `
  const disk = await LossyDisk.mount()
  try {
    const world = await startGate({ home: join(disk.folder, 'home') })
    try {
      let answers = 0
      const ended = new Promise<void>((done) => world.supervisor.once('exit', () => done()))
      disk.cut(cut)
      await Promise.all(
        Array.from({ length: CLIENTS }, (_, i) =>
          load(
            world,
            i,
            () => void answers++,
            () => answers >= MOST_ANSWERS,
          ),
        ),
      )
      if (!disk.dead) return { answers, segments: 0, broken: [`${where}the power did not fail`] }
      // No process outlives its machine.
      world.supervisor.kill('SIGKILL')
      await ended
      if (!waitGone(world.gatePid, GATE_END_MS)) return { answers, segments: 0, broken: [`${where}the gate is still there`] }
      disk.on()
      const log = join(world.home, 'runs', world.run, 'audit')
      if (!existsSync(log)) return { answers, segments: 0, broken: [`${where}the whole log is lost`] }
      const { verdict, records } = await recovered(world)
      const broken = brokenPromises(world, verdict, records).map((sentence) => where + sentence)
      return { answers, segments: verdict.segments, broken }
    } finally {
      disk.on()
      await world.close()
    }
  } catch (error) {
    return { answers: 0, segments: 0, broken: [where + (error instanceof Error ? error.message : String(error))] }
  } finally {
    await disk.unmount()
  }
}
