/** Many host and address rules as indexes: a decision costs about the labels of a name or the distinct prefix lengths, not the number of rules. */
import { type Address, type Cidr, classify, formatAddress, mayBeOpened, networkOf } from './address.ts'
import { type Ports, parseConnectPattern, parseListenPattern } from './connect-pattern.ts'
import { type HostPattern, type HostPatternOptions, parseHostPattern } from './host-pattern.ts'

interface Entry {
  readonly rule: number
  readonly ports: Ports
}

const ANY_PORT: Ports = { low: 0, high: 65535 }

export interface HostRules {
  /** Lowest index of a rule for a canonical name, at this port where one is given. */
  match(name: string, port?: number): number | null
  /** A rule for the same name at another port, or for a name of the same parent; for explanations. */
  nearest(name: string): number | null
}

class HostIndex implements HostRules {
  readonly #exact = new Map<string, Entry[]>()
  readonly #below = new Map<string, Entry[]>()
  readonly #any: Entry[] = []
  /** Parent of each exact name → rule. */
  readonly #siblings = new Map<string, number>()

  add(host: HostPattern, entry: Entry): void {
    if (host.kind === 'any') this.#any.push(entry)
    else if (host.kind === 'below') push(this.#below, host.parent, entry)
    else {
      push(this.#exact, host.name, entry)
      const parent = parentOf(host.name)
      if (parent.includes('.') && !this.#siblings.has(parent)) this.#siblings.set(parent, entry.rule)
    }
  }

  match(name: string, port?: number): number | null {
    let best = firstOf(this.#exact.get(name), port, null)
    for (let parent = parentOf(name); parent !== ''; parent = parentOf(parent)) best = firstOf(this.#below.get(parent), port, best)
    return firstOf(this.#any, port, best)
  }

  nearest(name: string): number | null {
    const other = this.match(name)
    if (other !== null) return other
    for (let above = name; above.includes('.'); above = parentOf(above)) {
      const found = this.#below.get(above)?.[0]?.rule ?? this.#exact.get(above)?.[0]?.rule ?? this.#siblings.get(above)
      if (found !== undefined) return found
    }
    return null
  }
}

export function compileNameRules(patterns: readonly string[], options?: HostPatternOptions): HostRules {
  const index = new HostIndex()
  for (const [rule, text] of patterns.entries()) index.add(parseHostPattern(text, options), { rule, ports: ANY_PORT })
  return index
}

export interface ConnectRules {
  readonly names: HostRules
  /** Lowest index of a rule that opens this address and port; loopback only by a literal rule with one port, metadata and link-local by none. */
  address(address: Address, port: number): number | null
}

export function compileConnectRules(patterns: readonly string[], options?: HostPatternOptions): ConnectRules {
  const names = new HostIndex()
  const networks = new NetworkIndex()
  for (const [rule, text] of patterns.entries()) {
    const pattern = parseConnectPattern(text, options)
    if (pattern.kind === 'dns') names.add(pattern.host, { rule, ports: pattern.ports })
    else networks.add(pattern.cidr, { rule, ports: pattern.ports })
  }
  return {
    names,
    address: (address, port) => {
      if (!mayBeOpened(address)) return null
      return classify(address) === 'loopback' ? networks.literal(address, port) : networks.match(address, port)
    },
  }
}

export interface ListenRules {
  match(address: Address, port: number): number | null
}

export function compileListenRules(patterns: readonly string[]): ListenRules {
  const entries = new Map<string, Entry[]>()
  for (const [rule, text] of patterns.entries()) {
    const { address, ports } = parseListenPattern(text)
    push(entries, formatAddress(address), { rule, ports })
  }
  return { match: (address, port) => firstOf(entries.get(formatAddress(address)), port, null) }
}

class NetworkIndex {
  /** family and prefix length → network → rules. */
  readonly #tables = new Map<string, { family: 4 | 6; bits: number; networks: Map<bigint, Entry[]> }>()

  add(cidr: Cidr, entry: Entry): void {
    const key = `${cidr.family}/${cidr.bits}`
    let table = this.#tables.get(key)
    if (table === undefined) {
      table = { family: cidr.family, bits: cidr.bits, networks: new Map() }
      this.#tables.set(key, table)
    }
    push(table.networks, cidr.value, entry)
  }

  match(address: Address, port: number): number | null {
    let best: number | null = null
    for (const { family, bits, networks } of this.#tables.values()) {
      if (family === address.family) best = firstOf(networks.get(networkOf(address, bits)), port, best)
    }
    return best
  }

  literal(address: Address, port: number): number | null {
    const entries = this.#tables.get(address.family === 4 ? '4/32' : '6/128')?.networks.get(address.value)
    return firstOf(
      entries?.filter((entry) => entry.ports.low === entry.ports.high),
      port,
      null,
    )
  }
}

/** Lowest rule among `best` and the entries whose ports hold `port`. */
function firstOf(entries: readonly Entry[] | undefined, port: number | undefined, best: number | null): number | null {
  for (const { rule, ports } of entries ?? []) {
    if (best !== null && rule >= best) break
    if (port === undefined || (ports.low <= port && port <= ports.high)) return rule
  }
  return best
}

function parentOf(name: string): string {
  const dot = name.indexOf('.')
  return dot === -1 ? '' : name.slice(dot + 1)
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key)
  if (list === undefined) map.set(key, [value])
  else list.push(value)
}
