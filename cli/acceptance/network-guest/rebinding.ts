/** Names whose answers change under the gate, and what came of connecting to them. */
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { GOOD } from '@authority/kernel/effects/net/rebinding'
import { inPrivateNetwork } from './private-network.ts'

export const RESOLVERS = ['system', 'servers', 'https'] as const
export type ResolverKind = (typeof RESOLVERS)[number]

export interface Found {
  readonly outcomes: Readonly<Record<string, readonly string[]>>
  /** Connections the public server saw. */
  readonly good: number
  /** Who came to each forbidden one. */
  readonly forbidden: Readonly<Record<string, readonly string[]>>
  readonly denied: number
  /** Of `audit verify`. */
  readonly verified: number
}

export interface RandomLies {
  readonly seed: number
  readonly names: number
}

/** Against the compiled gate. */
export function rebound(kind: ResolverKind, folder: string, random?: RandomLies): Found {
  const lies = random === undefined ? [] : [String(random.seed), String(random.names)]
  return inPrivateNetwork<Found>('rebinding-process.ts', kind, mkdtempSync(join(folder, 'own-')), ...lies)
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
    ...(found.verified === 0 ? [] : [`audit verify exits with ${found.verified}`]),
  ]
}
