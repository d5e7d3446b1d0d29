/** A document with its profiles and host mappings written out: the lists the rules are compiled from, and where each rule came from. */
import type { Grants } from '../capability/types.ts'
import { formatHost, formatPorts, type HostPattern, parseAddress, parseConnectPattern, parseHostPattern } from '../patterns/index.ts'
import { isLoopback } from './check-rule.ts'
import type { PolicyDocument } from './document.ts'
import { mappedNames } from './mapped-names.ts'
import { originOf } from './merge.ts'
import { PROFILES } from './profiles.ts'
import { toolRuleText } from './tool-rule.ts'
import { pointerTo } from './tree.ts'

export interface ExpandedRule {
  readonly text: string
  /** `/fs/read/0`, `profile:python/fs/read/3` or `/net/hosts/NAME`. */
  readonly origin: string
  /** The name alone, of a tool rule with conditions: what a capability grants. */
  readonly name?: string
}

export interface Expanded {
  readonly look: readonly ExpandedRule[]
  readonly read: readonly ExpandedRule[]
  readonly write: readonly ExpandedRule[]
  readonly dns: readonly ExpandedRule[]
  readonly connect: readonly ExpandedRule[]
  readonly listen: readonly ExpandedRule[]
  readonly tools: readonly ExpandedRule[]
  readonly infer: readonly ExpandedRule[]
  /** What a person may allow; null in the list of what is asked itself. */
  readonly asked: Expanded | null
}

export function expand(document: PolicyDocument): Expanded {
  const own = (list: string, texts: readonly string[]): ExpandedRule[] =>
    texts.map((text, index) => ({ text, origin: originOf(document, pointerTo(list, index)) }))
  const profiles = document.profiles.flatMap((name) =>
    PROFILES[name].read.map((text, index) => ({ text, origin: `profile:${name}/fs/read/${index}` })),
  )
  return {
    look: own('/fs/look', document.fs.look),
    read: [...own('/fs/read', document.fs.read), ...profiles],
    write: own('/fs/write', document.fs.write),
    dns: own('/net/dns', document.net.dns),
    connect: [...own('/net/connect', document.net.connect), ...mappedAddresses(document, document.net.connect)],
    listen: own('/net/listen', document.net.listen),
    tools: ownTools(document, 'allow'),
    infer: own('/infer/models', document.infer.models),
    asked: askedRules(document),
  }
}

/** The ask lists, in the same shape. */
export function askedRules(document: PolicyDocument): Expanded {
  const own = (list: string, texts: readonly string[]): ExpandedRule[] =>
    texts.map((text, index) => ({ text, origin: originOf(document, pointerTo(list, index)) }))
  const { fs, net, infer } = document
  return {
    look: own('/fs/ask/look', fs.ask.look),
    read: own('/fs/ask/read', fs.ask.read),
    write: own('/fs/ask/write', fs.ask.write),
    dns: [],
    connect: [...own('/net/ask/connect', net.ask.connect), ...mappedAddresses(document, net.ask.connect)],
    listen: [],
    tools: ownTools(document, 'ask'),
    infer: own('/infer/ask', infer.ask),
    asked: null,
  }
}

/** A mapped name counts as the rule for its address, at the ports the name itself is allowed at. */
function mappedAddresses(document: PolicyDocument, connect: readonly string[]): ExpandedRule[] {
  const { hosts } = document.net
  if (hosts.size === 0) return []
  const denied = new Set(deniedHosts(document).flatMap(mappedNames(hosts.keys())))
  const matching = mappedNames([...hosts.keys()].filter((name) => !denied.has(name)))
  const derived = new Map<string, ExpandedRule[]>()
  for (const rule of connect) {
    const pattern = parseConnectPattern(rule)
    if (pattern.kind !== 'dns') continue
    for (const name of matching(pattern.host)) {
      const text = hosts.get(name) ?? ''
      const address = parseAddress(text)
      if (address === null || (isLoopback(text) && pattern.ports.low !== pattern.ports.high)) continue
      const rules = derived.get(name) ?? []
      rules.push({ text: `ip:${formatHost(address)}:${formatPorts(pattern.ports)}`, origin: pointerTo('/net/hosts', name) })
      derived.set(name, rules)
    }
  }
  // In the order of the mappings, then of the rules.
  return [...hosts.keys()].flatMap((name) => derived.get(name) ?? [])
}

/** A name that any deny rule speaks of derives nothing: its address must not be a way around the denial. */
function deniedHosts(document: PolicyDocument): HostPattern[] {
  const options = { publicSuffix: 'accept' } as const
  const names = document.net.deny.dns.map((text) => parseHostPattern(text, options))
  const endpoints = document.net.deny.connect.map((text) => parseConnectPattern(text, options))
  return [...names, ...endpoints.flatMap((pattern) => (pattern.kind === 'dns' ? [pattern.host] : []))]
}

function ownTools(document: PolicyDocument, list: 'allow' | 'ask'): ExpandedRule[] {
  return document.tools[list].map((rule, index) => ({
    text: toolRuleText(rule),
    origin: originOf(document, pointerTo(`/tools/${list}`, index)),
    ...(typeof rule === 'string' ? {} : { name: rule.name }),
  }))
}

/** All a run's own capability must cover: what is allowed, and what a person may allow. */
export function grantsOf(expanded: Expanded): Grants {
  const { asked } = expanded
  const texts = (list: Exclude<keyof Expanded, 'asked'>): string[] =>
    [...expanded[list], ...(asked?.[list] ?? [])].map((rule) => rule.name ?? rule.text)
  const look = texts('look')
  return {
    // Left out where there is none: the digest of such grants stays what it was before there was such a section.
    fs: { ...(look.length === 0 ? {} : { look }), read: texts('read'), write: texts('write') },
    net: { dns: texts('dns'), connect: texts('connect'), listen: texts('listen') },
    tools: texts('tools'),
    infer: texts('infer'),
  }
}

/** The rule behind a pointer of the compiled lists, or null. */
export function ruleAt(expanded: Expanded, pointer: string): ExpandedRule | null {
  const slash = pointer.lastIndexOf('/')
  const lists: Readonly<Record<string, readonly ExpandedRule[]>> = {
    '/fs/look': expanded.look,
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
