import { mutationCampaign } from '../../kernel/audit/campaign.ts'

export const about = 'seeded changes of all kinds to a log of 1,000 records, none of which may verify as intact: [COUNT] [SEED]'

export async function campaign([count = '20000', seed = '1']: readonly string[]): Promise<number> {
  const { tried, passed, statuses } = await mutationCampaign(Number(count), Number(seed))
  console.log(`${tried} mutants, seed ${seed}: ${JSON.stringify(statuses)}`)
  for (const name of passed) console.log(`passed as intact: ${name}`)
  return passed.length
}
