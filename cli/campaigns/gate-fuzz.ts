import { fuzzCampaign } from '@authority/kernel/gate/fuzz'

export const about = 'sessions and links against peers that break the rules now and then: [CONVERSATIONS] [FIRST-SEED]'

export async function campaign([conversations = '2000', firstSeed = String(Date.now() % 1_000_000)]: readonly string[]): Promise<number> {
  console.log(`${conversations} conversations from seed ${firstSeed} on`)
  const { steps, broken } = await fuzzCampaign(Number(conversations), Number(firstSeed))
  console.log(`${steps} steps`)
  for (const sentence of broken) console.log(sentence)
  return broken.length
}
