/** What `net.connect` and `net.listen` rules and questions are made of: `dns:HOST:PORT`, `ip:CIDR:PORT`, `ip:[v6/bits]:PORT`. */
import { type Address, type Cidr, formatAddress, formatCidr, formatHost, parseAddress, parseCidr, unmapped } from './address.ts'
import {
  formatHostPattern,
  type HostPattern,
  type HostPatternOptions,
  isCanonicalName,
  normalizeHost,
  parseHostPattern,
} from './host-pattern.ts'
import { PatternError } from './pattern-error.ts'

/** TCP ports, both ends included, within 1…65535. */
export interface Ports {
  readonly low: number
  readonly high: number
}

export type ConnectPattern =
  | { readonly kind: 'dns'; readonly host: HostPattern; readonly ports: Ports }
  | { readonly kind: 'ip'; readonly cidr: Cidr; readonly ports: Ports }

const SHAPE = 'write `dns:NAME:PORT`, `ip:ADDRESS:PORT` or `ip:RANGE/BITS:PORT`; an IPv6 address or range stands in brackets'

/** Throws PatternError. */
export function parseConnectPattern(text: string, options?: HostPatternOptions): ConnectPattern {
  const scheme = /^(dns|ip):/.exec(text)?.[1]
  if (scheme === undefined) throw new PatternError(`\`${text}\` begins with neither \`dns:\` nor \`ip:\``, suggestScheme(text))
  const { host, port } = splitPort(text.slice(scheme.length + 1), text)
  const ports = parsePorts(port, text)
  if (scheme === 'ip') return { kind: 'ip', cidr: parseCidrText(host), ports }
  const asAddress = host === '*' || host.startsWith('*.') ? null : normalizeHost(host)
  if (asAddress?.kind === 'address')
    throw new PatternError(`\`${text}\` names an IP address as \`dns:\``, `write \`ip:${formatHost(asAddress.address)}:${port}\``)
  return { kind: 'dns', host: parseHostPattern(host, options), ports }
}

function suggestScheme(text: string): string {
  const parts = /^(?:[a-z][a-z0-9+.-]*:\/\/)?([^/:@]+)(?::([0-9]+))?/i.exec(text)
  const host = parts?.[1] === undefined ? null : normalizeHost(parts[1])
  const port = parts?.[2] ?? (/^http:/i.test(text) ? '80' : '443')
  if (host?.kind === 'name') return `write \`dns:${host.name}:${port}\``
  return host?.kind === 'address' ? `write \`ip:${formatHost(host.address)}:${port}\`` : SHAPE
}

function splitPort(rest: string, text: string): { host: string; port: string } {
  const colon = rest.lastIndexOf(':')
  const host = rest.slice(0, colon)
  if (colon <= 0 || rest.endsWith(']')) throw new PatternError(`\`${text}\` names no port`, `write \`${text.replace(/:$/, '')}:443\``)
  if (host.includes(':') && !/^\[[^[\]]*\]$/.test(host)) {
    const bits = /^\[?([0-9a-fA-F:.]+)\]?(\/[0-9]+)?$/.exec(host)
    throw new PatternError(
      `\`${text}\` has an IPv6 address outside brackets`,
      bits === null ? SHAPE : `write \`ip:[${bits[1]}${bits[2] ?? ''}]:${rest.slice(colon + 1)}\``,
    )
  }
  return { host, port: rest.slice(colon + 1) }
}

function parseCidrText(host: string): Cidr {
  const inside = /^\[(.*)\]$/.exec(host)?.[1]
  if (inside === undefined) {
    const spelled = host.includes('/') ? null : normalizeHost(host)
    if (spelled?.kind === 'address' && formatAddress(spelled.address) !== host) {
      throw new PatternError(`\`${host}\` is an unusual spelling of an address`, `write \`${formatHost(spelled.address)}\``)
    }
    if (spelled?.kind === 'name') throw new PatternError(`\`${host}\` is a name, not an address`, `write \`dns:${spelled.name}:PORT\``)
  }
  const cidr = parseCidr(inside ?? host)
  if ((inside !== undefined) !== (cidr.family === 6))
    throw new PatternError(`\`${host}\` has brackets around an IPv4 address`, `write \`${formatCidr(cidr)}\``)
  return cidr
}

function parsePorts(text: string, pattern: string): Ports {
  if (text === '*') return { low: 1, high: 65535 }
  const parts = /^([1-9][0-9]{0,4})(?:-([1-9][0-9]{0,4}))?$/.exec(text)
  const low = Number(parts?.[1])
  const high = Number(parts?.[2] ?? parts?.[1])
  if (parts === null || high > 65535 || low > high) {
    throw new PatternError(`\`${text}\` in \`${pattern}\` is not a port`, 'write a number from 1 to 65535, a range `8000-8099`, or `*`')
  }
  return { low, high }
}

export function formatPorts(ports: Ports): string {
  if (ports.low === ports.high) return String(ports.low)
  return ports.low === 1 && ports.high === 65535 ? '*' : `${ports.low}-${ports.high}`
}

/** The one spelling of a pattern. */
export function formatConnectPattern(pattern: ConnectPattern): string {
  if (pattern.kind === 'dns') return `dns:${formatHostPattern(pattern.host)}:${formatPorts(pattern.ports)}`
  const range = formatCidr(pattern.cidr)
  return `ip:${pattern.cidr.family === 6 ? `[${range}]` : range}:${formatPorts(pattern.ports)}`
}

/** A `net.listen` rule: one literal address, one port or range. Throws PatternError. */
export function parseListenPattern(text: string): { readonly address: Address; readonly ports: Ports } {
  const pattern = parseConnectPattern(text)
  if (pattern.kind === 'dns') throw new PatternError(`\`${text}\` listens on a name`, 'write `ip:ADDRESS:PORT`')
  const { cidr, ports } = pattern
  if (cidr.bits !== (cidr.family === 4 ? 32 : 128))
    throw new PatternError(
      `\`${text}\` listens on a range`,
      `write \`ip:${cidr.family === 4 ? '0.0.0.0' : '[::]'}:${formatPorts(ports)}\` for every address`,
    )
  return { address: { family: cidr.family, value: cidr.value }, ports }
}

/** What a `net.connect` or `net.listen` question asks for, or null when its text is not in the one canonical spelling. */
export type Endpoint =
  | { readonly kind: 'dns'; readonly name: string; readonly port: number }
  | { readonly kind: 'ip'; readonly address: Address; readonly port: number }

export function parseEndpoint(object: string): Endpoint | null {
  const parts = /^(?:dns:([a-z0-9._-]{1,253})|ip:([0-9.]{7,15})|ip:\[([0-9a-f:.]{2,45})\]):([1-9][0-9]{0,4})$/.exec(object)
  const port = Number(parts?.[4])
  if (parts === null || port > 65535) return null
  if (parts[1] !== undefined) return isCanonicalName(parts[1]) ? { kind: 'dns', name: parts[1], port } : null
  const address = parseAddress(parts[2] ?? parts[3] ?? '')
  if (address === null || (address.family === 6) !== (parts[3] !== undefined)) return null
  // A mapped address is decided as the IPv4 one it reaches.
  return { kind: 'ip', address: unmapped(address), port }
}
