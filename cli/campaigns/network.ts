/** The sweeps of which kernel/effects/net/fuzz.test.ts, cli/acceptance/network-rebinding.test.ts and cli/acceptance/hostile-guest.test.ts run small ones: fuzz, lies of resolvers, then floods by a hostile guest with the gate's memory measured. */
import { fuzzPackets, networkConversation } from '@authority/kernel/effects/net/fuzz'
import { uploadConversation } from '@authority/kernel/effects/net/fuzz-uploads'
import { type Hostile, prepareHostile, runHostile } from '../acceptance/hostile-guest/gate.ts'
import { networkAttack, openServers, type Sizes } from '../acceptance/hostile-guest/network-attacks.ts'
import { RESOLVERS, rebound, wronglyReached } from '../acceptance/network-guest/rebinding.ts'
import { freePort } from '../acceptance/network-guest/world.ts'
import { freshFolder, removeFolder } from '../acceptance/vm-support.ts'

export const about =
  '22,000 conversations and 5 million packets that break rules; 6,000 names whose addresses change; a million dials, DNS queries and opened connections of a hostile guest: [DIVISOR of the sizes] [FIRST-SEED]'

const CONVERSATIONS = 20_000
const STEPS = 300
const UPLOADS = 2000
const UPLOAD_STEPS = 400
const PACKETS = 5_000_000
/** Names for each kind of resolver, in processes of so many: each is connected to four times, and one session has 256 streams. */
const REBOUND = 2_000
const REBOUND_AT_ONCE = 60
const MILLION = 1_000_000
/** What the gate may take at most, MiB: as in the acceptance test. */
const MAX_GATE_MIB = 224
const RUN_MS = 5_400_000

export async function campaign([divisor = '1', firstSeed = String(Date.now() % 1_000_000)]: readonly string[]): Promise<number> {
  const part = (size: number): number => Math.max(1, Math.floor(size / Number(divisor)))
  const seed = Number(firstSeed)
  console.log(`seed ${seed}`)
  let broken = tell(`${part(PACKETS)} packets`, fuzzPackets(seed, part(PACKETS)))
  for (let i = 0; i < part(CONVERSATIONS); i++) broken += told(await networkConversation(seed + i, STEPS))
  console.log(`${part(CONVERSATIONS)} conversations of ${STEPS} steps`)
  for (let i = 0; i < part(UPLOADS); i++) broken += told(await uploadConversation(seed + i, UPLOAD_STEPS))
  console.log(`${part(UPLOADS)} conversations of streamed request bodies`)
  for (const kind of RESOLVERS) broken += tell(`${part(REBOUND)} names that change, resolver ${kind}`, changing(kind, seed, part(REBOUND)))
  const hostile = await prepareHostile()
  const none: Sizes = { dials: 0, queries: 0, opens: 0 }
  try {
    for (const what of ['dials', 'queries', 'opens'] as const) broken += await flooded(hostile, what, { ...none, [what]: part(MILLION) })
  } finally {
    hostile.clean()
  }
  return broken
}

function changing(kind: (typeof RESOLVERS)[number], seed: number, names: number): readonly string[] {
  const folder = freshFolder('rebinding-')
  try {
    const wrong: string[] = []
    for (let done = 0; done < names; done += REBOUND_AT_ONCE) {
      const some = { seed: seed + done, names: Math.min(REBOUND_AT_ONCE, names - done) }
      wrong.push(...wronglyReached(rebound(kind, folder, some)).map((sentence) => `seed ${some.seed}: ${sentence}`))
    }
    return wrong
  } finally {
    removeFolder(folder)
  }
}

async function flooded(hostile: Hostile, what: keyof Sizes, sizes: Sizes): Promise<number> {
  const servers = await openServers()
  const { run, judge } = networkAttack(servers, await freePort(), sizes)
  const started = performance.now()
  const out = await runHostile(hostile, { ...run, timeoutMs: RUN_MS })
  await servers.close()
  const seconds = ((performance.now() - started) / 1000).toFixed(0)
  return tell(`${sizes[what]} ${what}: gate ${out.peakMib.toFixed(0)} MiB at most, ${seconds} s`, [
    ...judge(out),
    ...(out.end.exitCode === 0 ? [] : [`ended by ${out.end.endedBy}: ${out.end.reason}`]),
    ...(out.left.length === 0 ? [] : [`left: ${out.left.join(', ')}`]),
    ...(out.verdict.status === 'intact' && out.verdict.findings.length === 0 ? [] : [`the log: ${JSON.stringify(out.verdict.findings)}`]),
    ...(out.peakMib < MAX_GATE_MIB ? [] : ['the gate took too much memory']),
  ])
}

function tell(what: string, wrong: readonly string[]): number {
  console.log(`${what}: ${wrong.length === 0 ? 'right' : ''}`)
  return told(wrong)
}

function told(wrong: readonly string[]): number {
  for (const sentence of wrong) console.log(sentence)
  return wrong.length
}
