/** Names whose answers change under the gate, and what came of connecting to them. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { GOOD } from '@authority/kernel/effects/net/rebinding'

const PROCESS = join(import.meta.dirname, '../../../kernel/effects/net/testing/rebinding-process.ts')
export const RESOLVERS = ['system', 'servers', 'https'] as const
export type ResolverKind = (typeof RESOLVERS)[number]

export interface Found {
  readonly outcomes: Readonly<Record<string, readonly string[]>>
  /** Connections the public server saw. */
  readonly good: number
  /** Who came to each forbidden one. */
  readonly forbidden: Readonly<Record<string, readonly string[]>>
  readonly denied: number
}

export interface RandomLies {
  readonly seed: number
  readonly names: number
}

/** In a network of its own, where every address is this machine's and nothing leads out. */
export function rebound(kind: ResolverKind, folder: string, random?: RandomLies): Found {
  const asRoot = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user']
  const lies = random === undefined ? [] : [String(random.seed), String(random.names)]
  const ran = spawnSync('unshare', [...asRoot, '--net', '--mount', process.execPath, PROCESS, kind, folder, ...lies], {
    encoding: 'utf8',
    timeout: 110_000,
    maxBuffer: 64 << 20,
    env: { PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
  })
  if (ran.status !== 0) throw new Error(`${ran.error ?? ''} ${ran.stderr}`)
  return JSON.parse(ran.stdout) as Found
}

/** What must not be, whatever a resolver says: the servers' own logs are the witness. */
export function wronglyReached(found: Found): readonly string[] {
  const all = Object.entries(found.outcomes).flatMap(([name, outcomes]) => outcomes.map((outcome) => ({ name, outcome })))
  const reached = all.filter(({ outcome }) => !outcome.startsWith('E_'))
  return [
    ...Object.entries(found.forbidden).flatMap(([address, log]) =>
      log.length === 0 ? [] : [`${address} was reached ${log.length} times`],
    ),
    ...reached.filter(({ outcome }) => outcome !== GOOD && outcome !== 'answered').map(({ name, outcome }) => `${name}: ${outcome}`),
    ...all
      .filter(({ outcome }) => outcome.startsWith('E_') && !/^E_(POLICY_DENY|UPSTREAM)$/.test(outcome))
      .map(({ name, outcome }) => `${name}: ${outcome}`),
    ...(found.good === reached.length ? [] : [`the public server saw ${found.good} connections, ${reached.length} were told of`]),
  ]
}
