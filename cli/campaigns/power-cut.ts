import { changesOfARun, cutPower } from '../../kernel/audit/testing/power-cut.ts'
import { powerRound } from '../acceptance/gate-power.ts'

export const about =
  'the power of a real file system fails at every change of a small gate, and of the compiled one under load: [SEEDS] [GATE-ROUNDS] [FIRST-SEED]'

/** Changes of the compiled gate among which the cut is chosen: enough for a segment to fill. */
const MOST_CHANGES = 5000

/** Needs FUSE. Some half an hour with two seeds and 60 rounds. */
export async function campaign([seeds = '2', rounds = '60', first = '1']: readonly string[]): Promise<number> {
  const { changes, broken } = await changesOfARun()
  const told = [...broken]
  let cuts = 0
  for (let at = 1; at <= changes; at++)
    for (let seed = 0; seed <= Number(seeds); seed++)
      for (const when of ['before', 'after'] as const) {
        const again = (at + seed) % 2 === 0 ? { at: 1 + ((at * 7 + seed) % 24), when, seed } : null
        told.push(...(await cutPower({ at, when, seed: seed === 0 ? 0 : at * 31 + seed }, again)))
        cuts++
      }
  let segments = 0
  for (let round = Number(first); round < Number(first) + Number(rounds); round++) {
    const at = 1 + ((Math.imul(round, 2_654_435_761) >>> 0) % MOST_CHANGES)
    const report = await powerRound({ at, when: round % 2 === 0 ? 'before' : 'after', seed: round % 3 === 0 ? 0 : round })
    segments = Math.max(segments, report.segments)
    told.push(...report.broken)
  }
  for (const sentence of told) console.log(sentence)
  console.log(`${cuts} cuts at ${changes} changes, ${rounds} rounds of the gate with up to ${segments} segments`)
  return told.length
}
