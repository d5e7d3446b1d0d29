/** A policy file with its meaning checked: every pattern parsed, breadth refused, budgets in kernel units. Still the operator's own words; expansion is expand.ts's. */
import {
  alternativesOf,
  classify,
  formatAddress,
  isNever,
  mayBeOpened,
  normalizeHost,
  PatternError,
  parseConnectPattern,
} from '../patterns/index.ts'
import { DIMENSIONS, type Dimension, type NamedLimits, OPERATION_CLASSES } from '../vocabulary/index.ts'
import type { TooBroad } from './breadth.ts'
import { checkRule, isLoopback } from './check-rule.ts'
import { MAX_ALL_ALTERNATIVES, MAX_ASK_TIMEOUT_MS, MAX_MAPPED_RULES, MAX_QUOTED } from './limits.ts'
import { PolicyLoadError, quoted } from './load-error.ts'
import { posingHost } from './look-alike.ts'
import { countMapped, mappedNames } from './mapped-names.ts'
import { isProfile, type ProfileName } from './profiles.ts'
import type { SourceText } from './source-text.ts'
import { type Located, readStructure, type Structure } from './structure.ts'
import type { ToolRule } from './tool-rule.ts'
import { type Node, pointerTo } from './tree.ts'

export interface PathLists {
  readonly look: readonly string[]
  readonly read: readonly string[]
  readonly write: readonly string[]
}

export interface PolicyDocument {
  readonly profiles: readonly ProfileName[]
  readonly fs: PathLists & { readonly deny: PathLists; readonly ask: PathLists }
  readonly net: {
    readonly dns: readonly string[]
    readonly connect: readonly string[]
    readonly listen: readonly string[]
    /** Canonical name → canonical address, from the file and from the operator's options. */
    readonly hosts: ReadonlyMap<string, string>
    readonly deny: { readonly dns: readonly string[]; readonly connect: readonly string[] }
    readonly ask: { readonly connect: readonly string[] }
  }
  readonly tools: { readonly allow: readonly ToolRule[]; readonly deny: readonly ToolRule[]; readonly ask: readonly ToolRule[] }
  readonly infer: {
    readonly models: readonly string[]
    readonly deny: readonly string[]
    readonly ask: readonly string[]
    readonly max_tokens: number | null
  }
  readonly budgets: NamedLimits
  /** `allow` null: anything may be given. */
  readonly env: { readonly allow: readonly string[] | null; readonly require: readonly string[] }
  readonly mounts: { readonly allow: readonly string[] | null; readonly require: readonly string[] }
  readonly ask: { readonly timeout_ms: number | null }
  /** Where rules of included files stand: pointer of a list → the origin of each of its rules. Absent: all in the file itself. */
  readonly origins?: ReadonlyMap<string, readonly string[]>
}

export interface ReadDocument {
  readonly document: PolicyDocument
  /** Pointer of each list → its rules, counted. */
  readonly sizes: ReadonlyMap<string, number>
  readonly includes: readonly Located[]
}

export const EMPTY_DOCUMENT: PolicyDocument = {
  profiles: [],
  fs: { look: [], read: [], write: [], deny: { look: [], read: [], write: [] }, ask: { look: [], read: [], write: [] } },
  net: { dns: [], connect: [], listen: [], hosts: new Map(), deny: { dns: [], connect: [] }, ask: { connect: [] } },
  tools: { allow: [], deny: [], ask: [] },
  infer: { models: [], deny: [], ask: [], max_tokens: null },
  budgets: {},
  env: { allow: null, require: [] },
  mounts: { allow: null, require: [] },
  ask: { timeout_ms: null },
}

/** `hosts`: the operator's own mappings (`--host NAME=ADDR`); they win over the file's. Throws PolicyLoadError with every problem found. */
export function readDocument(root: Node, source: SourceText, hosts: Readonly<Record<string, string>>): ReadDocument {
  const structure = readStructure(root, source)
  const reader = new Reader(structure, source)
  reader.checkLists()
  const document = reader.document(hosts)
  if (structure.problems.length === 0) reader.checkMapped(document)
  if (structure.problems.length > 0)
    throw new PolicyLoadError(
      source.name,
      structure.problems.toSorted((a, b) => a.line - b.line || a.column - b.column),
    )
  const sizes = new Map([...structure.lists].map(([pointer, { rules }]) => [pointer, rules.length]))
  return { document, sizes, includes: structure.lists.get('/include')?.rules ?? [] }
}

class Reader {
  readonly #structure: Structure
  readonly #source: SourceText

  constructor(structure: Structure, source: SourceText) {
    this.#structure = structure
    this.#source = source
  }

  checkLists(): void {
    let alternatives = 0
    for (const [pointer, { of, rules }] of this.#structure.lists) {
      for (const rule of rules) {
        const before = this.#structure.problems.length
        this.#attempt(rule, () => checkRule(of, pointer, rule))
        if (of !== 'path' || !rule.text.includes('{') || this.#structure.problems.length > before) continue
        // Each is a rule of its own to whoever decides: a few bytes of braces must not become millions of them.
        alternatives += alternativesOf(rule.text)
        if (alternatives > MAX_ALL_ALTERNATIVES)
          return this.#report(rule, {
            message: `the rules up to here have more than ${MAX_ALL_ALTERNATIVES} alternatives in braces`,
            suggestion: 'write `*` or a class where any name will do',
          })
      }
    }
  }

  checkMapped(document: PolicyDocument): void {
    const [first] = this.#structure.hosts
    if (countMapped(document) <= MAX_MAPPED_RULES) return
    this.#report(first === undefined ? { text: '', at: 0, pointer: '--host' } : { text: first.name, at: first.at, pointer: '/net/hosts' }, {
      message: `mapped names and the rules for them make more than ${MAX_MAPPED_RULES} rules for addresses`,
      suggestion: 'allow the addresses themselves, e.g. `ip:10.0.0.0/24:443`',
    })
  }

  document(operatorHosts: Readonly<Record<string, string>>): PolicyDocument {
    const list = (pointer: string): readonly string[] => this.#structure.lists.get(pointer)?.rules.map((rule) => rule.text) ?? []
    const paths = (section: string): PathLists => ({
      look: list(`${section}/look`),
      read: list(`${section}/read`),
      write: list(`${section}/write`),
    })
    const tools = (pointer: string): readonly ToolRule[] =>
      this.#structure.lists.get(pointer)?.rules.map((rule) => rule.tool ?? rule.text) ?? []
    return {
      profiles: [...new Set(list('/profiles').filter(isProfile))],
      fs: {
        ...paths('/fs'),
        deny: paths('/fs/deny'),
        ask: paths('/fs/ask'),
      },
      net: {
        dns: list('/net/dns'),
        connect: list('/net/connect'),
        listen: list('/net/listen'),
        hosts: this.#hosts(operatorHosts),
        deny: { dns: list('/net/deny/dns'), connect: list('/net/deny/connect') },
        ask: { connect: list('/net/ask/connect') },
      },
      tools: { allow: tools('/tools/allow'), deny: tools('/tools/deny'), ask: tools('/tools/ask') },
      infer: {
        models: list('/infer/models'),
        deny: list('/infer/deny'),
        ask: list('/infer/ask'),
        max_tokens: this.#structure.integers.get('/infer/max_tokens')?.value ?? null,
      },
      budgets: this.#budgets(),
      env: { allow: this.#structure.lists.has('/env/allow') ? list('/env/allow') : null, require: list('/env/require') },
      mounts: { allow: this.#structure.lists.has('/mounts/allow') ? list('/mounts/allow') : null, require: list('/mounts/require') },
      ask: { timeout_ms: this.#askTimeout() },
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
    const posing = posingHost(name, name)
    if (posing !== null) this.#report(located, posing)
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
    const loopback = mappedNames([...hosts].filter(([, address]) => isLoopback(address)).map(([name]) => name))
    if (hosts.size === 0) return
    for (const rule of this.#structure.lists.get('/net/connect')?.rules ?? []) {
      this.#attempt(rule, () => {
        const pattern = parseConnectPattern(rule.text)
        if (pattern.kind !== 'dns' || pattern.ports.low === pattern.ports.high) return null
        const [name] = loopback(pattern.host)
        return name === undefined
          ? null
          : {
              message: `\`${rule.text}\` opens every port of this machine, because \`${name}\` is mapped to it`,
              suggestion: `name one port: \`dns:${name}:PORT\``,
            }
      })
    }
  }

  #budgets(): NamedLimits {
    return Object.assign({}, this.#limitsUnder(''), ...OPERATION_CLASSES.map((name) => this.#limitsUnder(`${name}.`)))
  }

  /** `prefix` is empty for the run, `net.` for a class. */
  #limitsUnder(prefix: string): NamedLimits {
    const limits: Record<string, number> = {}
    const take = (key: string, dimension: Dimension, divisor = 1): void => {
      const pointer = `/budgets/${prefix.replace('.', '/')}${key}`
      const found = this.#structure.integers.get(pointer)
      if (found === undefined) return
      if (limits[prefix + dimension] !== undefined)
        this.#report(
          { text: key, at: found.at, pointer },
          { message: `\`${key}\` limits what another key already limits`, suggestion: 'keep one of the two' },
        )
      limits[prefix + dimension] = Math.floor(found.value / divisor)
    }
    for (const dimension of DIMENSIONS) take(dimension, dimension)
    take('cost', 'cost_nano_usd')
    take('cpu_ns', 'cpu_ms', 1_000_000)
    return limits
  }

  #askTimeout(): number | null {
    const found = this.#structure.integers.get('/ask/timeout_ms')
    if (found === undefined) return null
    if (found.value < 1 || found.value > MAX_ASK_TIMEOUT_MS)
      this.#report(
        { text: '', at: found.at, pointer: '/ask/timeout_ms' },
        { message: `${found.value} ms is no time to wait for a person`, suggestion: `from 1 to ${MAX_ASK_TIMEOUT_MS}` },
      )
    return found.value
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
    // The cause stands behind the rule, and must not be cut off with it.
    const short = (text: string): string =>
      rule.text.length > MAX_QUOTED ? text.replaceAll(rule.text, `${rule.text.slice(0, MAX_QUOTED)}…`) : text
    const { message, suggestion } = problem
    this.#structure.problems.push(
      this.#source.problem(rule.at, rule.pointer, short(message), suggestion === null ? null : short(suggestion)),
    )
  }
}
