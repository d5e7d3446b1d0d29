/** The floods and races of which cli/acceptance/hostile-guest.test.ts runs small ones, at full size, with the gate's memory measured. */
import { readdirSync } from 'node:fs'
import { deepTree, type Flood, handlesNeverClosed, longNames, lookupsOfNothing } from '../acceptance/hostile-guest/floods.ts'
import { type Hostile, type Outcome, prepareHostile, runHostile } from '../acceptance/hostile-guest/gate.ts'
import { makeRivalFolders, mover, opener, RIVAL_WITHIN, textsRead } from '../acceptance/hostile-guest/rivals.ts'
import { FORBIDDEN, makeWorld, type World } from '../acceptance/hostile-guest/world.ts'

export const about =
  'a million lookups, openings and long names, deep trees, two runs that race on one mount, by a hostile guest: [DIVISOR of the sizes]'

const MILLION = 1_000_000
/** What the gate may take at most, MiB: as in the acceptance test. */
const MAX_GATE_MIB = 224
const MAX_HANDLES = 4_096
/** `/d` again and again is a path that Linux refuses. */
const DEEPEST = 1_900
const RUN_MS = 1_500_000

export async function campaign([divisor = '1']: readonly string[]): Promise<number> {
  const part = (size: number): number => Math.max(1, Math.floor(size / Number(divisor)))
  const hostile = await prepareHostile()
  const floods = [
    () => lookupsOfNothing(part(MILLION)),
    () => handlesNeverClosed(part(MILLION), MAX_HANDLES),
    () => longNames(part(MILLION / 10), 4_096),
    () => deepTree(part(2_500), DEEPEST),
  ]
  let broken = 0
  try {
    for (const make of floods) broken += await flooded(hostile, make())
    broken += await raced(hostile, part(3_000))
  } finally {
    hostile.clean()
  }
  return broken
}

async function flooded(hostile: Hostile, { what, script, judge }: Flood): Promise<number> {
  const world = await makeWorld()
  const started = performance.now()
  const out = await runHostile(hostile, { script, mounts: world.mounts, policy: world.policy, timeoutMs: RUN_MS })
  const wrong = [...judge(out), ...common(out, world)]
  await world.close()
  return tell(what, out, started, wrong)
}

async function raced(hostile: Hostile, rounds: number): Promise<number> {
  const world = await makeWorld()
  makeRivalFolders(world.out)
  const started = performance.now()
  const run = { mounts: world.mounts, policy: world.policy, timeoutMs: RUN_MS }
  const [moved, read] = await Promise.all([mover(rounds), opener(3 * rounds)].map((script) => runHostile(hostile, { ...run, script })))
  if (moved === undefined || read === undefined) throw new Error('two runs')
  const texts = [...textsRead(read, 3 * rounds)]
  const wrong = [
    ...common(moved, world),
    ...common(read, world),
    ...(texts.length === 1 && texts[0] === RIVAL_WITHIN ? [] : [`read: ${JSON.stringify(texts)}`]),
  ]
  await world.close()
  return tell(`${rounds} rounds of moves against ${3 * rounds} openings`, read, started, wrong)
}

/** What holds after every hostile run. */
function common(out: Outcome, world: World): string[] {
  const everything = Buffer.concat([...out.sent, out.stdout])
  return [
    ...FORBIDDEN.filter((canary) => everything.includes(canary)).map((canary) => `${canary} reached the guest`),
    ...(world.untouched() && readdirSync(world.outside).join() === 'secret.txt' ? [] : ['the host was changed outside of the mounts']),
    ...(out.end.exitCode === 0 ? [] : [`ended by ${out.end.endedBy}: ${out.end.reason}`]),
    ...(out.left.length === 0 ? [] : [`left: ${out.left.join(', ')}`]),
    ...(out.verdict.status === 'intact' && out.verdict.findings.length === 0 ? [] : [`the log: ${JSON.stringify(out.verdict.findings)}`]),
    ...(out.peakMib < MAX_GATE_MIB ? [] : [`the gate took ${out.peakMib.toFixed(0)} MiB`]),
  ]
}

function tell(what: string, out: Outcome, started: number, wrong: readonly string[]): number {
  const seconds = ((performance.now() - started) / 1000).toFixed(0)
  console.log(
    `${what}: ${wrong.length === 0 ? 'bounded and right' : wrong.join('; ')}; gate ${out.peakMib.toFixed(0)} MiB at most; ${seconds} s`,
  )
  return wrong.length
}
