/** A document with its profiles and host mappings written out: the lists the rules are compiled from, and where each rule came from. */
import type { Grants } from '../capability/types.ts'
import {
  formatHost,
  formatPorts,
  type HostPattern,
  matchHostPattern,
  parseAddress,
  parseConnectPattern,
  parseHostPattern,
} from '../patterns/index.ts'
import { isLoopback, type PolicyDocument } from './document.ts'
import { PROFILES } from './profiles.ts'
import { pointerTo } from './tree.ts'

export interface ExpandedRule {
  readonly text: string
  /** `/fs/read/0`, `profile:python/fs/read/3` or `/net/hosts/NAME`. */
  readonly origin: string
}

export interface Expanded {
  readonly read: readonly ExpandedRule[]
  readonly write: readonly ExpandedRule[]
  readonly dns: readonly ExpandedRule[]
  readonly connect: readonly ExpandedRule[]
  readonly listen: readonly ExpandedRule[]
  readonly tools: readonly ExpandedRule[]
  readonly infer: readonly ExpandedRule[]
}

export function expand(document: PolicyDocument): Expanded {
  const own = (list: string, texts: readonly string[]): ExpandedRule[] =>
    texts.map((text, index) => ({ text, origin: pointerTo(list, index) }))
  const profiles = document.profiles.flatMap((name) =>
    PROFILES[name].read.map((text, index) => ({ text, origin: `profile:${name}/fs/read/${index}` })),
  )
  return {
    read: [...own('/fs/read', document.fs.read), ...profiles],
    write: own('/fs/write', document.fs.write),
    dns: own('/net/dns', document.net.dns),
    connect: [...own('/net/connect', document.net.connect), ...mappedAddresses(document)],
    listen: own('/net/listen', document.net.listen),
    tools: own('/tools/allow', document.tools.allow),
    infer: own('/infer/models', document.infer.models),
  }
}

/** A mapped name counts as the rule for its address, at the ports the name itself is allowed at. */
function mappedAddresses(document: PolicyDocument): ExpandedRule[] {
  const derived: ExpandedRule[] = []
  const denied = deniedHosts(document)
  for (const [name, text] of document.net.hosts) {
    const address = parseAddress(text)
    if (address === null || denied.some((host) => matchHostPattern(host, name))) continue
    for (const rule of document.net.connect) {
      const pattern = parseConnectPattern(rule)
      if (pattern.kind !== 'dns' || !matchHostPattern(pattern.host, name)) continue
      if (isLoopback(text) && pattern.ports.low !== pattern.ports.high) continue
      derived.push({ text: `ip:${formatHost(address)}:${formatPorts(pattern.ports)}`, origin: pointerTo('/net/hosts', name) })
    }
  }
  return derived
}

/** A name that any deny rule speaks of derives nothing: its address must not be a way around the denial. */
function deniedHosts(document: PolicyDocument): HostPattern[] {
  const options = { publicSuffix: 'accept' } as const
  const names = document.net.deny.dns.map((text) => parseHostPattern(text, options))
  const endpoints = document.net.deny.connect.map((text) => parseConnectPattern(text, options))
  return [...names, ...endpoints.flatMap((pattern) => (pattern.kind === 'dns' ? [pattern.host] : []))]
}

export function grantsOf(expanded: Expanded): Grants {
  const texts = (rules: readonly ExpandedRule[]): string[] => rules.map((rule) => rule.text)
  return {
    fs: { read: texts(expanded.read), write: texts(expanded.write) },
    net: { dns: texts(expanded.dns), connect: texts(expanded.connect), listen: texts(expanded.listen) },
    tools: texts(expanded.tools),
    infer: texts(expanded.infer),
  }
}

/** The rule behind a pointer of the compiled lists, or null. */
export function ruleAt(expanded: Expanded, pointer: string): ExpandedRule | null {
  const slash = pointer.lastIndexOf('/')
  const lists: Readonly<Record<string, readonly ExpandedRule[]>> = {
    '/fs/read': expanded.read,
    '/fs/write': expanded.write,
    '/net/dns': expanded.dns,
    '/net/connect': expanded.connect,
    '/net/listen': expanded.listen,
    '/tools': expanded.tools,
    '/infer': expanded.infer,
  }
  return lists[pointer.slice(0, slash)]?.[Number(pointer.slice(slash + 1))] ?? null
}
