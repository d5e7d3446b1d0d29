import { compareVerifiers } from '../../kernel/audit/campaign.ts'

export const about =
  'seeded changes to logs and to their records, of which our verifier and the one in Python must say the same: [COUNT] [SEED]'

export async function campaign([count = '20000', seed = '1']: readonly string[]): Promise<number> {
  const { tried, disagreements, statuses } = await compareVerifiers(Number(count), Number(seed))
  console.log(`${tried} logs, seed ${seed}: ${JSON.stringify(statuses)}`)
  for (const each of disagreements) console.log(each)
  return disagreements.length
}
