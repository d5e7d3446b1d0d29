import { attenuate, seal } from '../attenuate.ts'
import { idsOf, unhex, verifyChain } from '../chain.ts'
import { deriveRunKey } from '../keys.ts'
import { hex, portableMac } from '../mac.ts'
import type { Restriction } from '../restriction.ts'
import { INSTALLATION, NOW, RUN, SECRET, testStage } from '../testing/index.ts'
import { parseToken, RUN_BYTES, readLayout } from '../token.ts'

/** Valid until an hour after NOW. */
export const UNTIL = NOW + 3_600_000
export const RUN_KEY = deriveRunKey(SECRET, INSTALLATION, unhex(RUN, RUN_BYTES) ?? new Uint8Array())

const { stage } = testStage()
/** The tokens all vectors grow from. */
export const RUN_TOKEN = stage.runToken
export const ROOT = stage.mint(
  {
    fs: { read: ['/work/**'], write: ['/work/out/**'] },
    net: { dns: ['example.org'], connect: ['dns:api.example.com:443'], listen: [] },
    tools: ['search'],
    infer: ['small-model'],
    delegate: 14,
    uses: 1000,
    rate: { count: 10, periodMs: 1000, burst: 20 },
    budget: { calls: 500, cost_nano_usd: 5_000_000_000, bytes: 1_073_741_824 },
  },
  { notBefore: NOW, expires: UNTIL },
)
export const NOTHING = stage.mint({}, { notBefore: NOW, expires: UNTIL })
/** Grants of nothing but a wide read: the block a forger would like to have. */
export const OTHER = stage.mint({ fs: { read: ['/**'] } }, { notBefore: NOW, expires: UNTIL })

export const RESTRICTIONS: readonly (readonly [string, Restriction])[] = [
  ['one section', { fs: { read: ['/work/docs/**'] } }],
  [
    'every section',
    {
      fs: { read: ['/work/a'], write: ['/work/out/b'] },
      net: { dns: ['example.org'], connect: ['dns:api.example.com:443'], listen: [] },
      tools: [],
      infer: [],
    },
  ],
  ['looking', { fs: { look: ['/work/docs/**'] } }],
  ['looking and reading', { fs: { look: ['/work/**'], read: ['/work/docs/**'] } }],
  ['looking at nothing', { fs: { look: [] } }],
  ['an empty section allows nothing', { tools: [] }],
  ['closed', { fs: { read: ['/work/**'] }, closed: true }],
  ['closed and empty: nothing', { closed: true }],
  ['times', { notBefore: NOW + 1, expires: NOW + 60_000 }],
  ['the last instant', { expires: 253_402_300_799_999 }],
  ['delegation', { delegate: 0 }],
  ['uses', { uses: 1 }],
  ['uses at 2^53−1', { uses: Number.MAX_SAFE_INTEGER }],
  ['rate', { rate: { count: 5, periodMs: 60_000, burst: 1 } }],
  [
    'budget of every dimension',
    {
      budget: {
        tokens_out: 14,
        tokens_in: 13,
        bytes_written: 12,
        bytes_out: 11,
        bytes_in: 10,
        log_bytes: 9,
        concurrency: 8,
        cpu_ms: 7,
        wall_time_ms: 6,
        bytes: 5,
        cost_nano_usd: 4,
        tokens: 3,
        tool_calls: 2,
        calls: 1,
      },
    },
  ],
  ['a pattern beyond ASCII', { fs: { read: ['/work/straße/日本/𝕏'] } }],
  [
    'integers at the edges of their encodings',
    {
      budget: {
        calls: 23,
        tool_calls: 24,
        tokens: 255,
        cost_nano_usd: 256,
        bytes: 65_535,
        wall_time_ms: 65_536,
        cpu_ms: 4_294_967_295,
        concurrency: 4_294_967_296,
      },
    },
  ],
]

export const NARROWED = attenuate(ROOT, { fs: { read: ['/work/docs/**'] } })
export const DEEP = attenuate(attenuate(NARROWED, { closed: true, fs: { read: ['/work/**'] }, tools: ['search'] }), {
  uses: 5,
  expires: NOW + 60_000,
})

function fullest(): string {
  let token = ROOT
  for (let uses = 99; uses > 85; uses--) token = attenuate(token, { uses })
  return token
}

/** Genuine tokens with everything a verifier computes on the way. */
export function goodTokens(): readonly object[] {
  const tokens: readonly (readonly [string, string])[] = [
    ['the capability of a run: its grants by digest', RUN_TOKEN],
    ['a grant of every section with every limit', ROOT],
    ['a grant of nothing', NOTHING],
    ['narrowed once', NARROWED],
    ['narrowed three times', DEEP],
    ['sealed', seal(DEEP)],
    ['a sealed grant', seal(ROOT)],
    ['15 blocks, as many as its delegation lets', fullest()],
    ...RESTRICTIONS.filter(([name]) => name !== 'times').map(
      ([name, restriction]) => [`restricted: ${name}`, attenuate(ROOT, restriction)] as const,
    ),
  ]
  return tokens.map(([name, token]) => describeToken(name, token))
}

function describeToken(name: string, token: string): object {
  const parsed = parseToken(token)
  const chain = verifyChain(portableMac, RUN_KEY, readLayout(token))
  if (chain === null) throw new Error(`${name} is not genuine`)
  const ids = idsOf(portableMac, chain)
  return {
    name,
    token,
    run_key: hex(RUN_KEY),
    now: NOW,
    key_id: hex(parsed.keyId),
    nonce: hex(parsed.nonce),
    run: hex(parsed.run),
    not_before: parsed.notBefore,
    expires: parsed.expires,
    sealed: chain.sealed,
    blocks: parsed.blocks.map(({ type, payload }, index) => ({ type, payload: hex(payload), id: ids[index] })),
    tag: hex(parsed.tag),
  }
}
