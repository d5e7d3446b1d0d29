/** Rules that are well formed and still refused, because nobody who knew what they open would write them. Each with what to write instead. */
import {
  type Cidr,
  type ConnectPattern,
  cidrContains,
  cidrWithin,
  classify,
  formatAddress,
  formatPorts,
  type HostPattern,
  isNever,
  mayBeOpened,
  parseCidr,
  parsePathGlob,
} from '../patterns/index.ts'

export interface TooBroad {
  readonly message: string
  readonly suggestion: string
}

/** A write rule must say in which top folder: a star in front, in whatever form, opens every mount at once. */
export function broadWrite(text: string): TooBroad | null {
  for (const { segments } of parsePathGlob(text).alternatives) {
    const first = segments[0]
    const named =
      first === undefined ||
      first.kind === 'literal' ||
      (first.kind === 'affix' && first.prefix !== '') ||
      (first.kind === 'glob' && first.steps[0]?.kind === 'char')
    if (!named) return { message: `\`${text}\` allows writing almost everywhere`, suggestion: 'begin with a folder, e.g. `/work/**`' }
  }
  return null
}

export function broadHost(host: HostPattern, text: string): TooBroad | null {
  if (host.kind === 'any')
    return {
      message: `\`${text}\` stands for every name: one is enough to carry data out`,
      suggestion: 'name the hosts, or a domain as `*.example.com`',
    }
  const name = host.kind === 'name' ? host.name : host.parent
  if (name === 'localhost' || name.endsWith('.localhost')) {
    return { message: `\`${text}\` names this machine`, suggestion: 'write `ip:127.0.0.1:PORT` under `net.connect`' }
  }
  return null
}

/** Widest ranges a rule may have: `/8` and `/32`, or any width inside the private IPv6 range. */
const WIDEST = { 4: 8, 6: 32 } as const
const ULA = parseCidr('fc00::/7')
const LOOPBACKS = [parseCidr('127.0.0.0/8'), parseCidr('::1')]

export function broadConnect(pattern: ConnectPattern, text: string): TooBroad | null {
  if (pattern.kind === 'dns') return broadHost(pattern.host, text)
  const { cidr, ports } = pattern
  const width = cidr.family === 4 ? 32 : 128
  const literal = cidr.bits === width
  if (cidr.bits < WIDEST[cidr.family] && !cidrWithin(cidr, ULA)) {
    return {
      message: `\`${text}\` covers too many addresses`,
      suggestion: `a range may be as wide as /${WIDEST[cidr.family]}; name the network that is meant`,
    }
  }
  const loopback = LOOPBACKS.find((range) => cidrContains(range, cidr))
  if (loopback !== undefined && (!literal || ports.low !== ports.high)) {
    const address = cidr.family === 6 ? '[::1]' : literal ? formatAddress(cidr) : '127.0.0.1'
    return {
      message: `\`${text}\` opens more than one service of this machine`,
      suggestion: `name one port: \`ip:${address}:${ports.low === 1 ? 'PORT' : formatPorts({ low: ports.low, high: ports.low })}\``,
    }
  }
  if (isNeverRange(cidr) || (literal && !mayBeOpened(cidr)))
    return { message: `\`${text}\` is a link-local, metadata, multicast or reserved address`, suggestion: 'no rule can open it: remove it' }
  return null
}

/** Whether the range as a whole lies where nothing may be opened. (A wider range is allowed; inside it those addresses stay closed.) */
function isNeverRange(cidr: Cidr): boolean {
  const last = cidr.value | ((1n << BigInt((cidr.family === 4 ? 32 : 128) - cidr.bits)) - 1n)
  return isNever(classify(cidr)) && classify({ family: cidr.family, value: last }) === classify(cidr)
}
