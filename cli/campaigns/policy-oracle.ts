import { sweep } from '@authority/kernel/policy/campaign'

export const about = 'policy decisions against Cedar and a naive model, containment against decisions: [RUNS] [SEED]'

export async function campaign([runs = '20000', seed = String(Date.now() % 2 ** 31)]: readonly string[]): Promise<number> {
  console.log(`seed ${seed}, ${runs} pairs of policies`)
  const { decisions, compared, disagreement } = sweep(Number(runs), Number(seed))
  console.log(`${decisions} decisions three ways, ${compared} containments`)
  if (disagreement !== null) console.log(`they disagree on ${disagreement}`)
  return disagreement === null ? 0 : 1
}
