import { crashCampaign, tamperCampaign } from '../../kernel/audit/campaign.ts'

export const about =
  'every byte, end, order and checkpoint of a sealed log changed; every file system call of a run broken in process; arguments: step of the bytes (1)'

/** Some minutes. */
export async function campaign([step = '1']: readonly string[]): Promise<number> {
  const { tried, passed, statuses } = await tamperCampaign(Number(step))
  console.log(`${tried} mutants: ${JSON.stringify(statuses)}`)
  for (const name of passed) console.log(`passed as intact: ${name}`)
  const crashes = await crashCampaign(6)
  console.log(`${crashes.tried} crashes`)
  for (const promise of crashes.broken) console.log(promise)
  return passed.length + crashes.broken.length
}
