import { killRound } from '../acceptance/gate-kill.ts'

export const about = 'the gate killed under load at seeded moments: [ROUNDS] [FIRST-SEED]'

export async function campaign([rounds = '200', firstSeed = String(Date.now() % 1_000_000)]: readonly string[]): Promise<number> {
  console.log(`${rounds} rounds from seed ${firstSeed} on`)
  let broken = 0
  for (let seed = Number(firstSeed); seed < Number(firstSeed) + Number(rounds); seed++) {
    const report = await killRound(seed)
    broken += report.broken.length
    for (const sentence of report.broken) console.log(sentence)
  }
  return broken
}
