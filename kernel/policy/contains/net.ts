/**
 * Names and ports: decided on one representative of every class the rules of both policies tell apart, which is exact. Address ranges: compared as intervals,
 * which is sound whatever the classes of the addresses in them.
 */
import { type Cidr, formatHost, type Ports, parseConnectPattern, parseHostPattern, parseListenPattern } from '../../patterns/index.ts'
import type { Question } from '../../vocabulary/index.ts'
import type { LoadedPolicy } from '../stage.ts'
import { confirm } from './confirm.ts'
import { MAX_CANDIDATES } from './limits.ts'
import { type Containment, YES } from './types.ts'

const ACCEPT = { publicSuffix: 'accept' } as const
/** A label no sensible rule names; lengthened until none does. */
const FRESH = 'zq'
/** Bytes of a name (RFC 1035). */
const MAX_NAME = 253

export function netContained(parent: LoadedPolicy, child: LoadedPolicy): Containment {
  const both = [parent, child]
  const names = candidateNames(both)
  const ports = candidatePorts(both)
  if (names.length * ports.length > MAX_CANDIDATES)
    return { contains: 'unknown', why: 'the net rules name too many hosts and ports to compare' }
  const questions: Question[] = [
    ...names.map((object): Question => ({ action: 'net.dns', object })),
    ...names.flatMap((name) => ports.map((port): Question => ({ action: 'net.connect', object: `dns:${name}:${port}` }))),
    ...listenCandidates(both, ports),
  ]
  for (const question of questions) {
    const found = confirm(parent, child, question)
    if (found !== null) return found
  }
  return rangesContained(parent, child, ports)
}

function connectTexts({ expanded }: LoadedPolicy): { readonly allow: string[]; readonly ask: string[] } {
  return { allow: expanded.connect.map(({ text }) => text), ask: (expanded.asked?.connect ?? []).map(({ text }) => text) }
}

function allConnect(policy: LoadedPolicy): string[] {
  const { allow, ask } = connectTexts(policy)
  return [...allow, ...ask, ...policy.document.net.deny.connect]
}

/** Every name a rule mentions, and below each of them a name none mentions. */
function candidateNames(policies: readonly LoadedPolicy[]): string[] {
  const mentioned = new Set<string>()
  for (const policy of policies) {
    const patterns = [
      ...[...policy.document.net.dns, ...policy.document.net.deny.dns].map((text) => parseHostPattern(text, ACCEPT)),
      ...allConnect(policy).flatMap((text) => {
        const pattern = parseConnectPattern(text, ACCEPT)
        return pattern.kind === 'dns' ? [pattern.host] : []
      }),
    ]
    for (const host of patterns) if (host.kind !== 'any') mentioned.add(host.kind === 'name' ? host.name : host.parent)
  }
  let fresh = FRESH
  while ([...mentioned].some((name) => name.includes(fresh))) fresh += 'q'
  const below = [...mentioned].flatMap((name) => {
    if (fresh.length + 1 + name.length <= MAX_NAME) return [`${fresh}.${name}`]
    return Array.from('zqjxkv0123456789', (label) => `${label}.${name}`).filter((each) => each.length <= MAX_NAME)
  })
  return [...mentioned, ...below, `${fresh}.example`]
}

/** Both ends of every port range and what lies just outside: decisions change nowhere else. */
function candidatePorts(policies: readonly LoadedPolicy[]): number[] {
  const ports = new Set([1, 65535])
  const add = ({ low, high }: Ports): void => {
    for (const port of [low - 1, low, high, high + 1]) if (port >= 1 && port <= 65535) ports.add(port)
  }
  for (const policy of policies) {
    for (const text of allConnect(policy)) add(parseConnectPattern(text, ACCEPT).ports)
    for (const text of policy.document.net.listen) add(parseListenPattern(text).ports)
  }
  return [...ports].sort((a, b) => a - b)
}

function listenCandidates(policies: readonly LoadedPolicy[], ports: readonly number[]): Question[] {
  const addresses = new Set(
    policies.flatMap(({ document }) => document.net.listen.map((text) => formatHost(parseListenPattern(text).address))),
  )
  return [...addresses].flatMap((host) => ports.map((port): Question => ({ action: 'net.listen', object: `ip:${host}:${port}` })))
}

interface Range {
  readonly family: 4 | 6
  readonly first: bigint
  readonly last: bigint
  readonly ports: Ports
  readonly literal: boolean
}

function rangesOf(texts: readonly string[]): Range[] {
  return texts.flatMap((text) => {
    const pattern = parseConnectPattern(text, ACCEPT)
    if (pattern.kind !== 'ip') return []
    const { cidr, ports } = pattern
    return [{ family: cidr.family, first: cidr.value, last: lastOf(cidr), ports, literal: cidr.bits === (cidr.family === 4 ? 32 : 128) }]
  })
}

function lastOf({ family, value, bits }: Cidr): bigint {
  return value | ((1n << BigInt((family === 4 ? 32 : 128) - bits)) - 1n)
}

function rangesContained(parent: LoadedPolicy, child: LoadedPolicy, ports: readonly number[]): Containment {
  const inner = connectTexts(child)
  const outer = connectTexts(parent)
  const [allow, ask, parentAllow, parentAsk] = [inner.allow, inner.ask, outer.allow, outer.ask].map(rangesOf)
  let doubt: Containment = YES
  for (const range of [...(allow ?? []), ...(ask ?? [])]) {
    for (const port of ports) {
      if (port < range.ports.low || port > range.ports.high) continue
      const found = rangeContained({
        parent,
        child,
        port,
        range,
        ask: ask ?? [],
        parentAllow: parentAllow ?? [],
        parentAsk: parentAsk ?? [],
      })
      if (found.contains === 'no') return found
      if (found.contains === 'unknown') doubt = found
    }
  }
  return doubt
}

function rangeContained(options: {
  readonly parent: LoadedPolicy
  readonly child: LoadedPolicy
  readonly port: number
  readonly range: Range
  readonly ask: readonly Range[]
  readonly parentAllow: readonly Range[]
  readonly parentAsk: readonly Range[]
}): Containment {
  const { parent, child, port, range, ask, parentAllow, parentAsk } = options
  const at = (value: bigint): Containment | null => {
    const object = `ip:${formatHost({ family: range.family, value })}:${port}`
    return confirm(parent, child, { action: 'net.connect', object })
  }
  if (range.literal) return at(range.first) ?? YES
  const here = (list: readonly Range[]): Range[] =>
    list.filter((other) => other.family === range.family && other.ports.low <= port && port <= other.ports.high)
  const within = (list: readonly Range[], value: bigint): boolean => list.some(({ first, last }) => first <= value && value <= last)
  const [asks, allows, parentAsks] = [here(ask), here(parentAllow), here(parentAsk)]
  const cuts = new Set([range.first])
  for (const { first, last } of [...asks, ...allows, ...parentAsks])
    for (const cut of [first, last + 1n]) if (cut > range.first && cut <= range.last) cuts.add(cut)
  const starts = [...cuts].sort((a, b) => (a < b ? -1 : 1))
  let doubt: Containment = YES
  for (const [index, first] of starts.entries()) {
    const last = (starts[index + 1] ?? range.last + 1n) - 1n
    const asked = within(asks, first)
    const inside = asked ? within(allows, first) || within(parentAsks, first) : within(allows, first) && !within(parentAsks, first)
    if (inside) continue
    const found = at(first) ?? at(last) ?? at((first + last) / 2n) ?? at(first + 1n <= last ? first + 1n : first)
    if (found !== null) return found
    doubt = { contains: 'unknown', why: `some addresses of a child’s range at port ${port} are in no range of the parent` }
  }
  return doubt
}
