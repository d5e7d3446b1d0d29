/** A policy file with its meaning checked: every pattern parsed, breadth refused, budgets in kernel units. Still the operator's own words; expansion is expand.ts's. */
import {
  classify,
  formatAddress,
  isNever,
  matchHostPattern,
  mayBeOpened,
  normalizeHost,
  PatternError,
  parseConnectPattern,
  parseHostPattern,
  parseListenPattern,
  parseNamePattern,
  parsePathGlob,
} from '../patterns/index.ts'
import type { Charges, Dimension } from '../vocabulary/index.ts'
import { broadConnect, broadHost, broadWrite, type TooBroad } from './breadth.ts'
import { mayListen } from './fix.ts'
import { PolicyLoadError, quoted } from './load-error.ts'
import { nearestKey } from './nearest-key.ts'
import { isProfile, PROFILE_NAMES, type ProfileName } from './profiles.ts'
import type { RuleKind } from './schema.ts'
import type { SourceText } from './source-text.ts'
import { type Located, readStructure, type Structure } from './structure.ts'
import { type Node, pointerTo } from './tree.ts'

export interface PolicyDocument {
  readonly profiles: readonly ProfileName[]
  readonly fs: {
    readonly read: readonly string[]
    readonly write: readonly string[]
    readonly deny: { readonly read: readonly string[]; readonly write: readonly string[] }
  }
  readonly net: {
    readonly dns: readonly string[]
    readonly connect: readonly string[]
    readonly listen: readonly string[]
    /** Canonical name → canonical address, from the file and from the operator's options. */
    readonly hosts: ReadonlyMap<string, string>
    readonly deny: { readonly dns: readonly string[]; readonly connect: readonly string[] }
  }
  readonly tools: { readonly allow: readonly string[]; readonly deny: readonly string[] }
  readonly infer: { readonly models: readonly string[]; readonly max_tokens: number | null }
  readonly budgets: Charges
}

export const EMPTY_DOCUMENT: PolicyDocument = {
  profiles: [],
  fs: { read: [], write: [], deny: { read: [], write: [] } },
  net: { dns: [], connect: [], listen: [], hosts: new Map(), deny: { dns: [], connect: [] } },
  tools: { allow: [], deny: [] },
  infer: { models: [], max_tokens: null },
  budgets: {},
}

/** `hosts`: the operator's own mappings (`--host NAME=ADDR`); they win over the file's. Throws PolicyLoadError with every problem found. */
export function readDocument(root: Node, source: SourceText, hosts: Readonly<Record<string, string>>): PolicyDocument {
  const structure = readStructure(root, source)
  const reader = new Reader(structure, source)
  reader.checkLists()
  const document = reader.document(hosts)
  if (structure.problems.length > 0)
    throw new PolicyLoadError(
      source.name,
      structure.problems.toSorted((a, b) => a.line - b.line || a.column - b.column),
    )
  return document
}

class Reader {
  readonly #structure: Structure
  readonly #source: SourceText

  constructor(structure: Structure, source: SourceText) {
    this.#structure = structure
    this.#source = source
  }

  checkLists(): void {
    for (const [pointer, { of, rules }] of this.#structure.lists) {
      for (const rule of rules) this.#attempt(rule, () => checkRule(of, pointer, rule.text))
    }
  }

  document(operatorHosts: Readonly<Record<string, string>>): PolicyDocument {
    const list = (pointer: string): readonly string[] => this.#structure.lists.get(pointer)?.rules.map((rule) => rule.text) ?? []
    return {
      profiles: [...new Set(list('/profiles').filter(isProfile))],
      fs: { read: list('/fs/read'), write: list('/fs/write'), deny: { read: list('/fs/deny/read'), write: list('/fs/deny/write') } },
      net: {
        dns: list('/net/dns'),
        connect: list('/net/connect'),
        listen: list('/net/listen'),
        hosts: this.#hosts(operatorHosts),
        deny: { dns: list('/net/deny/dns'), connect: list('/net/deny/connect') },
      },
      tools: { allow: list('/tools/allow'), deny: list('/tools/deny') },
      infer: { models: list('/infer/models'), max_tokens: this.#structure.integers.get('/infer/max_tokens')?.value ?? null },
      budgets: this.#budgets(),
    }
  }

  #hosts(operator: Readonly<Record<string, string>>): ReadonlyMap<string, string> {
    const hosts = new Map<string, string>()
    const own = this.#structure.hosts.map((entry) => ({
      name: entry.name,
      address: entry.address.text,
      located: { text: entry.name, at: entry.at, pointer: entry.pointer },
    }))
    const given = Object.entries(operator).map(([name, address]) => ({
      name,
      address,
      located: { text: name, at: 0, pointer: pointerTo('--host', name) },
    }))
    for (const { name, address, located } of own) {
      const mapped = this.#mapping(name, address, located)
      if (mapped === null) continue
      if (hosts.has(mapped.name)) this.#report(located, { message: `${quoted(name)} is mapped twice`, suggestion: 'keep one of the two' })
      hosts.set(mapped.name, mapped.address)
    }
    for (const { name, address, located } of given) {
      const mapped = this.#mapping(name, address, located)
      if (mapped !== null) hosts.set(mapped.name, mapped.address)
    }
    this.#checkLoopbackPorts(hosts)
    return hosts
  }

  #mapping(name: string, text: string, located: Located): { name: string; address: string } | null {
    const host = normalizeHost(name)
    const address = normalizeHost(text)
    if (host.kind !== 'name') {
      this.#report(located, {
        message: host.kind === 'error' ? host.reason : `\`${name}\` is an address, not a name`,
        suggestion: 'map a name to an address, e.g. `"db.internal": "10.0.0.5"`',
      })
      return null
    }
    if (address.kind !== 'address') {
      this.#report(located, {
        message: `${quoted(text)} is not an IP address`,
        suggestion: 'map a name to an address, e.g. `"db.internal": "10.0.0.5"`',
      })
      return null
    }
    if (!mayBeOpened(address.address) || isNever(classify(address.address))) {
      this.#report(located, {
        message: `\`${text}\` is a link-local, metadata, multicast or reserved address`,
        suggestion: 'no rule can open it: remove it',
      })
      return null
    }
    return { name: host.name, address: formatAddress(address.address) }
  }

  /** A name that stands for this machine must be allowed port by port, as loopback itself is. */
  #checkLoopbackPorts(hosts: ReadonlyMap<string, string>): void {
    const loopback = [...hosts].filter(([, address]) => isLoopback(address)).map(([name]) => name)
    if (loopback.length === 0) return
    for (const rule of this.#structure.lists.get('/net/connect')?.rules ?? []) {
      this.#attempt(rule, () => {
        const pattern = parseConnectPattern(rule.text)
        if (pattern.kind !== 'dns' || pattern.ports.low === pattern.ports.high) return null
        const name = loopback.find((candidate) => matchHostPattern(pattern.host, candidate))
        return name === undefined
          ? null
          : {
              message: `\`${rule.text}\` opens every port of this machine, because \`${name}\` is mapped to it`,
              suggestion: `name one port: \`dns:${name}:PORT\``,
            }
      })
    }
  }

  #budgets(): Charges {
    const charges: Partial<Record<Dimension, number>> = {}
    const take = (key: string, dimension: Dimension, divisor = 1): void => {
      const found = this.#structure.integers.get(`/budgets/${key}`)
      if (found === undefined) return
      if (charges[dimension] !== undefined)
        this.#report(
          { text: key, at: found.at, pointer: `/budgets/${key}` },
          { message: `\`${key}\` limits what another key already limits`, suggestion: 'keep one of the two' },
        )
      charges[dimension] = Math.floor(found.value / divisor)
    }
    for (const key of [
      'calls',
      'tool_calls',
      'tokens',
      'bytes',
      'wall_time_ms',
      'cpu_ms',
      'concurrency',
      'log_bytes',
      'cost_nano_usd',
    ] as const)
      take(key, key)
    take('cost', 'cost_nano_usd')
    take('cpu_ns', 'cpu_ms', 1_000_000)
    return charges
  }

  #attempt(rule: Located, check: () => TooBroad | null): void {
    try {
      const problem = check()
      if (problem !== null) this.#report(rule, problem)
    } catch (error) {
      if (!(error instanceof PatternError)) throw error
      if (this.#structure.problems.some((problem) => problem.pointer === rule.pointer)) return
      this.#report(rule, { message: error.message, suggestion: error.suggestion })
    }
  }

  #report(rule: Located, problem: { readonly message: string; readonly suggestion: string | null }): void {
    this.#structure.problems.push(this.#source.problem(rule.at, rule.pointer, problem.message, problem.suggestion))
  }
}

/** Throws PatternError; returns what makes a well-formed rule too broad. Deny rules may be as broad as they like. */
function checkRule(of: RuleKind, list: string, text: string): TooBroad | null {
  const denies = list.includes('/deny')
  const options = { publicSuffix: denies ? 'accept' : 'refuse' } as const
  switch (of) {
    case 'path':
      parsePathGlob(text)
      return list === '/fs/write' ? broadWrite(text) : null
    case 'name': {
      const host = parseHostPattern(text, options)
      return denies ? null : broadHost(host, text)
    }
    case 'connect': {
      const pattern = parseConnectPattern(text, options)
      if (!denies) return broadConnect(pattern, text)
      // A name is dialled at whatever global address it has; a rule that seemed to forbid one address and did not would be worse than none.
      return pattern.kind === 'ip'
        ? {
            message: `\`${text}\` denies an address, which names could still lead to`,
            suggestion: 'deny the name as `dns:HOST:PORT`; addresses that are not global are denied without a rule',
          }
        : null
    }
    case 'listen': {
      const { address } = parseListenPattern(text)
      return mayListen(address) ? null : { message: `\`${text}\` is no address of this machine`, suggestion: 'write `ip:127.0.0.1:PORT`' }
    }
    case 'tool':
    case 'model':
      parseNamePattern(text)
      return null
    case 'profile': {
      if (isProfile(text)) return null
      const near = nearestKey(text, PROFILE_NAMES)
      throw new PatternError(
        `${quoted(text)} is not a profile`,
        near === null ? `profiles are ${PROFILE_NAMES.join(', ')}` : `did you mean \`${near}\`?`,
      )
    }
  }
}

export function isLoopback(address: string): boolean {
  const host = normalizeHost(address)
  return host.kind === 'address' && classify(host.address) === 'loopback'
}
