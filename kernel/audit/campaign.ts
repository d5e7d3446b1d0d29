/** The long sweeps behind `npm run campaign`: unit tests run a sample of each. They touch only folders of their own. */
import { brokenPromises, callsOfARun, crashOnce } from './testing/crashes.ts'

export { compareVerifiers } from './testing/both-verifiers.ts'

import { countingRandom } from './testing/scenario.ts'
import { mutateLog, type SweepReport, sweepLog } from './testing/sweep.ts'

/** Every byte flipped, every end cut, every neighbour swapped… of a sealed log: none may pass as intact. Some minutes. */
export function tamperCampaign(step = 1): Promise<SweepReport> {
  return sweepLog(step)
}

/** Seeded changes of all kinds to a log of 1,000 records. */
export function mutationCampaign(count: number, seed: number): Promise<SweepReport> {
  return mutateLog(1000, count, seed)
}

export interface CrashReport {
  readonly tried: number
  readonly broken: readonly string[]
}

/** Every file system call of a run fails with EIO, with ENOSPC after half a write, and kills, each with `seeds` different losses of unsynced sectors. */
export async function crashCampaign(seeds: number): Promise<CrashReport> {
  const { from, to, trace } = await callsOfARun()
  const broken: string[] = []
  let tried = 0
  for (let at = from; at < to; at++) {
    for (let seed = 1; seed <= seeds; seed++) {
      for (const breakage of [
        { kind: 'fault', fault: { at, code: 'EIO' } },
        { kind: 'fault', fault: { at, code: 'ENOSPC', partial: true } },
        { kind: 'kill', at },
      ] as const) {
        const random = countingRandom(seed * 7919 + at)
        const where = `${breakage.kind} at ${trace[at - from]} ${at}, seed ${seed}`
        tried++
        try {
          const result = await crashOnce(breakage, () => (random(1)[0] ?? 0) < 128)
          broken.push(...brokenPromises(result).map((promise) => `${where}: ${promise}`))
        } catch (error) {
          broken.push(`${where}: ${error instanceof Error ? error.message : String(error)}`)
        }
      }
    }
  }
  return { tried, broken }
}
