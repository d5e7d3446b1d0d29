import { attenuate, bunMac, createCapabilityStage, patternRules, portableMac } from '@authority/kernel/capability'
import type { Question } from '@authority/kernel/vocabulary'
import { openPeers, type Side } from './capability-peers.ts'
import { atMost, type Row } from './statistics.ts'

const ROUNDS = 60
/** ms each side gets in a round. */
const ROUND_MS = 15
const WARM_UP = 300
/** Promised against the fastest peer, whatever the gate has seen before. */
const LIMIT = 0.5
/** Tokens of each kind that come in turn: more than the tokens a gate remembers, so that none is known when its turn comes again. */
const TOKENS = 4096
const SECRET = Uint8Array.from({ length: 32 }, (_, i) => i * 5 + 1)
const RUN = '000102030405060708090a0b0c0d0e0f'
const HOUR_MS = 3_600_000
/**
 * A token of a root and three narrowing blocks, from its text: parsed, its MACs verified, bound, asked about one effect, let go. Peers
 * parse, verify and ask three first-party caveats, each checked. Three kinds, since the gate remembers tokens that
 * were genuine: one that comes again, new children of one root, and new roots. Names of blocks are made for the record of an effect, not here: peers have none.
 */
export async function capabilitySuite(): Promise<readonly Row[]> {
  const peers = await openPeers()
  const own = ownVerifiers()
  const micros = fastestRounds(peers)
  // Each by itself: what it allocates would be collected in the others' rounds.
  for (const side of own) for (const [, value] of fastestRounds([side])) micros.set(side, value)
  const of = (side: Side): number => micros.get(side) ?? Number.NaN
  const fastest = [...peers].sort((a, b) => of(a) - of(b))[0] as Side
  const measured = [...micros].map(([{ name }, value]) => `${name} ${value.toFixed(1)} µs`).join('; ')
  return own.map((side) =>
    atMost(`root+3 parsed, verified and asked: ${side.name} against ${fastest.name}`, measured, of(side) / of(fastest), LIMIT),
  )
}

/** µs of the best round of each: on a shared machine the least disturbed one. */
function fastestRounds(sides: readonly Side[]): Map<Side, number> {
  const best = new Map<Side, number>()
  for (const { verify } of sides) for (let i = 0; i < WARM_UP; i++) verify()
  for (let round = 0; round < ROUNDS; round++)
    for (const side of sides) best.set(side, Math.min(best.get(side) ?? Number.POSITIVE_INFINITY, microsOf(side.verify)))
  return best
}

function ownVerifiers(): readonly Side[] {
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
  const root = (): string =>
    stage.mint({ fs: { read: ['/work/**'] }, tools: ['search'] }, { notBefore: now - 1000, expires: now + HOUR_MS })
  const narrowed = (token: string, path: string): string => {
    const toPath = attenuate(token, { fs: { read: [path] } }, portableMac)
    return attenuate(attenuate(toPath, { expires: now + HOUR_MS / 2 }, portableMac), { tools: [] }, portableMac)
  }
  const inFolder = (name: string): Question => ({ action: 'fs.read', object: `/work/${name}/main.ts` })
  const side = (name: string, cases: readonly (readonly [token: string, question: Question])[]): Side => {
    const tokens = cases.map(([token]) => token)
    const questions = cases.map(([, question]) => [question])
    let next = 0
    return {
      name,
      verify: () => {
        const at = next++ % tokens.length
        const handle = stage.bind('s', tokens[at] as string)
        if (!stage.check('s', handle, questions[at] as Question[]).allow) throw new Error('refused')
        stage.release('s', handle)
      },
    }
  }
  const [known, source] = [root(), inFolder('src')]
  const many = (token: (i: number) => string, question: (i: number) => Question): [string, Question][] =>
    Array.from({ length: TOKENS }, (_, i) => [token(i), question(i)])
  return [
    side('one that comes again', [[narrowed(known, '/work/src/**'), source]]),
    side(
      'new children of a known root',
      many(
        (i) => narrowed(known, `/work/unit-${i}/**`),
        (i) => inFolder(`unit-${i}`),
      ),
    ),
    side(
      'new roots',
      many(
        () => narrowed(root(), '/work/src/**'),
        () => source,
      ),
    ),
  ]
}

function microsOf(verify: () => void): number {
  const end = performance.now() + ROUND_MS
  const began = performance.now()
  let count = 0
  for (; performance.now() < end; count++) verify()
  return ((performance.now() - began) * 1000) / count
}
