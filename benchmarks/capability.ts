import { attenuate, bunMac, createCapabilityStage, patternRules, portableMac } from '@authority/kernel/capability'
import type { Question } from '@authority/kernel/vocabulary'
import { openPeers, type Side } from './capability-peers.ts'
import { atMost, type Row } from './statistics.ts'

const ROUNDS = 20
/** ms each side gets in a round. */
const ROUND_MS = 15
const WARM_UP = 300
/** A token that comes again, which nearly all do: against the fastest peer. */
const AGAIN_LIMIT = 0.5
/** What is promised, with or without the cache of tokens seen before: a token that is new to the gate misses it, and the row says so. */
const FRESH_LIMIT = 0.5
const SECRET = Uint8Array.from({ length: 32 }, (_, i) => i * 5 + 1)
const RUN = '000102030405060708090a0b0c0d0e0f'
const HOUR_MS = 3_600_000
/**
 * A token of a root and three narrowing blocks: parsed, verified and asked about one effect, from its text. Peers do the same with three first-party
 * caveats, each checked.
 */
export async function capabilitySuite(): Promise<readonly Row[]> {
  const peers = await openPeers()
  const [again, fresh] = ownVerifiers()
  const micros = fastestRounds([...peers, again])
  // By itself: what it allocates would be collected in the others' rounds.
  for (const [side, value] of fastestRounds([fresh])) micros.set(side, value)
  const of = (side: Side): number => micros.get(side) ?? Number.NaN
  const [fastest = again] = [...peers].sort((a, b) => of(a) - of(b))
  const measured = [...micros].map(([{ name }, value]) => `${name} ${value.toFixed(1)} µs`).join('; ')
  const row = (side: Side, limit: number): Row =>
    atMost(`root+3 parsed, verified and asked: ${side.name} against ${fastest.name}`, measured, of(side) / of(fastest), limit)
  return [row(again, AGAIN_LIMIT), row(fresh, FRESH_LIMIT)]
}

/** µs of the best round of each: on a shared machine the least disturbed one. */
function fastestRounds(sides: readonly Side[]): Map<Side, number> {
  const best = new Map<Side, number>()
  for (const { verify } of sides) for (let i = 0; i < WARM_UP; i++) verify()
  for (let round = 0; round < ROUNDS; round++)
    for (const side of sides) best.set(side, Math.min(best.get(side) ?? Number.POSITIVE_INFINITY, microsOf(side.verify)))
  return best
}

function ownVerifiers(): readonly [again: Side, fresh: Side] {
  const stage = createCapabilityStage({
    run: RUN,
    installation: 'benchmark',
    grants: { fs: { read: ['/work/**'], write: ['/work/out/**'] }, tools: ['search', 'fetch'] },
    compile: patternRules,
    clock: { wallMs: () => Date.now(), monotonicMs: () => performance.now() },
    random: (bytes) => crypto.getRandomValues(new Uint8Array(bytes)),
    mac: bunMac,
    secret: SECRET,
    declareBudget: () => undefined,
  })
  const now = Date.now()
  const narrowed = (path: string): string => {
    let token = stage.mint({ fs: { read: ['/work/**'] }, tools: ['search'] }, { notBefore: now - 1000, expires: now + HOUR_MS })
    token = attenuate(token, { fs: { read: [path] } }, portableMac)
    token = attenuate(token, { expires: now + HOUR_MS / 2 }, portableMac)
    return attenuate(token, { tools: [] }, portableMac)
  }
  const question: Question = { action: 'fs.read', object: '/work/src/main.ts' }
  const use = (token: string): void => {
    const handle = stage.bind('s', token)
    if (!stage.check('s', handle, [question]).allow) throw new Error('refused')
    stage.release('s', handle)
  }
  const seen = narrowed('/work/src/**')
  const fresh = Array.from({ length: 4096 }, (_, i) => narrowed(`/work/{src,unit-${i}}/**`))
  let next = 0
  return [
    { name: 'known to the gate', verify: () => use(seen) },
    { name: 'new to the gate', verify: () => use(fresh[next++ % fresh.length] ?? seen) },
  ]
}

function microsOf(verify: () => void): number {
  const end = performance.now() + ROUND_MS
  const began = performance.now()
  let count = 0
  for (; performance.now() < end; count++) verify()
  return ((performance.now() - began) * 1000) / count
}
