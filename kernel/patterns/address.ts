/** IPv4 and IPv6 addresses: strict text, one canonical spelling, ranges, and what each address is for. Pure. */
import { PatternError } from './pattern-error.ts'

/** `value` is the address as an unsigned integer: 32 bits for family 4, 128 for family 6. */
export interface Address {
  readonly family: 4 | 6
  readonly value: bigint
}

/** All addresses whose first `bits` bits are those of `value`; the rest of `value` is zero. */
export interface Cidr {
  readonly family: 4 | 6
  readonly value: bigint
  readonly bits: number
}

/**
 * What an address is for. `global` may be dialled for a name; the others only when a CIDR rule names them, loopback only by a literal rule, and
 * those of NEVER not at all.
 */
export type AddressClass =
  | 'global'
  | 'private'
  | 'cgnat'
  | 'ula'
  | 'special'
  | 'translated'
  | 'loopback'
  | 'unspecified'
  | 'link-local'
  | 'metadata'
  | 'multicast'
  | 'reserved'

/** No rule of any policy opens these: the cloud's metadata services, the neighbours on the wire, and what is no destination of a connection. */
const NEVER: ReadonlySet<AddressClass> = new Set(['unspecified', 'link-local', 'metadata', 'multicast', 'reserved'])

export function isNever(kind: AddressClass): boolean {
  return NEVER.has(kind)
}

/** Dotted decimal, four parts, no leading zeros (which other parsers read as octal). */
export function parseIpv4(text: string): Address | null {
  const parts = text.split('.', 5)
  if (parts.length !== 4) return null
  let value = 0n
  for (const part of parts) {
    if (!/^(0|[1-9][0-9]{0,2})$/.test(part) || Number(part) > 255) return null
    value = (value << 8n) | BigInt(part)
  }
  return { family: 4, value }
}

/** RFC 4291 section 2.2 text, embedded IPv4 allowed, no zone id, no brackets. */
export function parseIpv6(text: string): Address | null {
  if (text.length > 45 || !/^[0-9a-fA-F:.]+$/.test(text)) return null
  const halves = text.split('::', 3)
  if (halves.length > 2) return null
  const head = groupsOf(halves[0] ?? '', halves.length === 1)
  const tail = halves.length === 2 ? groupsOf(halves[1] ?? '', true) : []
  if (head === null || tail === null) return null
  const missing = 8 - head.length - tail.length
  // `::` stands for at least one group; without it all eight are written.
  if (halves.length === 2 ? missing < 1 : missing !== 0) return null
  let value = 0n
  for (const group of [...head, ...new Array<number>(missing).fill(0), ...tail]) value = (value << 16n) | BigInt(group)
  return { family: 6, value }
}

function groupsOf(text: string, last: boolean): number[] | null {
  if (text === '') return []
  const groups: number[] = []
  const parts = text.split(':', 9)
  for (const [index, part] of parts.entries()) {
    if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      groups.push(Number.parseInt(part, 16))
      continue
    }
    const embedded = last && index === parts.length - 1 ? parseIpv4(part) : null
    if (embedded === null) return null
    groups.push(Number(embedded.value >> 16n), Number(embedded.value & 0xffffn))
  }
  return groups.length > 8 ? null : groups
}

/** Either family; brackets are not part of an address. */
export function parseAddress(text: string): Address | null {
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text)
}

/** The one spelling: dotted decimal, or RFC 5952 lower-case with the first longest run of zero groups shortened. */
export function formatAddress(address: Address): string {
  if (address.family === 4) return [24n, 16n, 8n, 0n].map((shift) => String((address.value >> shift) & 0xffn)).join('.')
  const groups = Array.from({ length: 8 }, (_, index) => Number((address.value >> BigInt(112 - index * 16)) & 0xffffn))
  const run = longestZeroRun(groups)
  const hex = (part: number[]): string => part.map((group) => group.toString(16)).join(':')
  return run === null ? hex(groups) : `${hex(groups.slice(0, run.start))}::${hex(groups.slice(run.start + run.length))}`
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } | null {
  let best: { start: number; length: number } | null = null
  for (let start = 0; start < groups.length; start++) {
    let length = 0
    while (groups[start + length] === 0) length++
    if (length >= 2 && length > (best?.length ?? 0)) best = { start, length }
  }
  return best
}

/** As `formatAddress`, in brackets when IPv6: the form inside `ip:ADDRESS:PORT`. */
export function formatHost(address: Address): string {
  return address.family === 4 ? formatAddress(address) : `[${formatAddress(address)}]`
}

/** An IPv4-mapped IPv6 address reaches the IPv4 address it holds: it is decided as that one. */
export function unmapped(address: Address): Address {
  return address.family === 6 && address.value >> 32n === 0xffffn ? { family: 4, value: address.value & 0xffffffffn } : address
}

/** `ADDRESS` or `ADDRESS/BITS`, bits beyond the prefix zero. Throws PatternError. */
export function parseCidr(text: string): Cidr {
  const slash = text.indexOf('/')
  const address = parseAddress(slash === -1 ? text : text.slice(0, slash))
  if (address === null) throw new PatternError(`\`${text}\` is not an IP address or CIDR range`)
  const width = address.family === 4 ? 32 : 128
  const bitsText = slash === -1 ? String(width) : text.slice(slash + 1)
  if (!/^(0|[1-9][0-9]{0,2})$/.test(bitsText) || Number(bitsText) > width) {
    throw new PatternError(`\`${text}\` has no prefix length between 0 and ${width}`)
  }
  const bits = Number(bitsText)
  const cidr: Cidr = { family: address.family, value: networkOf(address, bits), bits }
  if (cidr.value !== address.value) {
    throw new PatternError(`\`${text}\` has bits set beyond its prefix`, `write \`${formatCidr(cidr)}\``)
  }
  if (address.family === 6 && bits >= 96 && unmapped(address).family === 4) {
    throw new PatternError(
      `\`${text}\` is an IPv4-mapped range`,
      `write \`${formatCidr({ family: 4, value: address.value & 0xffffffffn, bits: bits - 96 })}\``,
    )
  }
  return cidr
}

export function formatCidr(cidr: Cidr): string {
  const text = formatAddress(cidr)
  return cidr.bits === (cidr.family === 4 ? 32 : 128) ? text : `${text}/${cidr.bits}`
}

/** The first `bits` bits of an address, the rest zero. */
export function networkOf(address: Address, bits: number): bigint {
  const rest = BigInt((address.family === 4 ? 32 : 128) - bits)
  return (address.value >> rest) << rest
}

export function cidrContains(cidr: Cidr, address: Address): boolean {
  return cidr.family === address.family && networkOf(address, cidr.bits) === cidr.value
}

export function cidrWithin(inner: Cidr, outer: Cidr): boolean {
  return inner.bits >= outer.bits && cidrContains(outer, inner)
}

function range(text: string, kind: AddressClass): readonly [Cidr, AddressClass] {
  return [parseCidr(text), kind]
}

/** IANA special-purpose registries (RFC 6890 and successors) plus the metadata addresses of the large clouds. First match wins. */
const RANGES: readonly (readonly [Cidr, AddressClass])[] = [
  range('169.254.169.254', 'metadata'),
  range('169.254.170.2', 'metadata'), // AWS container credentials
  range('169.254.170.23', 'metadata'), // AWS pod identity
  range('100.100.100.200', 'metadata'), // Alibaba
  range('168.63.129.16', 'metadata'), // Azure wire server: global by its number, local by its nature
  range('192.0.0.192', 'metadata'), // Oracle
  range('0.0.0.0/8', 'unspecified'), // Linux dials loopback for 0.0.0.0
  range('10.0.0.0/8', 'private'),
  range('100.64.0.0/10', 'cgnat'),
  range('127.0.0.0/8', 'loopback'),
  range('169.254.0.0/16', 'link-local'),
  range('172.16.0.0/12', 'private'),
  range('192.0.0.0/24', 'special'),
  range('192.0.2.0/24', 'special'),
  range('192.31.196.0/24', 'special'),
  range('192.52.193.0/24', 'special'),
  range('192.88.99.0/24', 'translated'), // 6to4 relay anycast
  range('192.168.0.0/16', 'private'),
  range('192.175.48.0/24', 'special'),
  range('198.18.0.0/15', 'special'), // the gate's own synthetic addresses
  range('198.51.100.0/24', 'special'),
  range('203.0.113.0/24', 'special'),
  range('224.0.0.0/4', 'multicast'),
  range('240.0.0.0/4', 'reserved'),
  range('fd00:ec2::254', 'metadata'), // AWS
  range('fd00:ec2::23', 'metadata'), // AWS pod identity
  range('fd20:ce::254', 'metadata'), // Google
  range('fd00:c1::a9fe:a9fe', 'metadata'), // Oracle
  range('fd00:42::42', 'metadata'), // Scaleway
  range('::', 'unspecified'),
  range('::1', 'loopback'),
  range('::/96', 'reserved'), // IPv4-compatible, deprecated
  range('::ffff:0:0:0/96', 'reserved'), // IPv4-translated, RFC 2765
  range('64:ff9b::/96', 'translated'), // NAT64
  range('64:ff9b:1::/48', 'translated'), // local NAT64
  range('100::/64', 'special'), // discard
  range('2001::/32', 'translated'), // Teredo
  range('2001::/23', 'special'),
  range('2001:db8::/32', 'special'),
  range('2002::/16', 'translated'), // 6to4
  range('3fff::/20', 'special'),
  range('5f00::/16', 'special'),
  range('fc00::/7', 'ula'),
  range('fe80::/10', 'link-local'),
  range('fec0::/10', 'reserved'), // site-local, deprecated
  range('ff00::/8', 'multicast'),
  range('2000::/3', 'global'),
]

/** What an address is for. IPv6 outside 2000::/3 and the named ranges is reserved; a mapped address is classified as the IPv4 one it holds. */
export function classify(address: Address): AddressClass {
  const real = unmapped(address)
  for (const [cidr, kind] of RANGES) if (cidrContains(cidr, real)) return kind
  return real.family === 4 ? 'global' : 'reserved'
}

/** The IPv4 address that a translated IPv6 one is carried to (NAT64 RFC 6052, 6to4 RFC 3056, Teredo RFC 4380), or null. */
export function embedded(address: Address): Address | null {
  if (address.family === 4) return null
  const v4 = (value: bigint): Address => ({ family: 4, value: value & 0xffffffffn })
  if (address.value >> 32n === 0x64ff9bn << 64n) return v4(address.value)
  if (address.value >> 112n === 0x2002n) return v4(address.value >> 80n)
  if (address.value >> 96n === 0x20010000n) return v4(address.value ^ 0xffffffffn)
  // The local NAT64 prefix may hold the address at any of five places (RFC 6052): the /96 place is the common one.
  if (address.value >> 80n === 0x64ff9b0001n) return v4(address.value)
  return null
}

/**
 * Whether a CIDR rule may open this address at all: never for NEVER, nor for a translated address that is carried to anything not global.
 * Loopback is the caller's to treat: only a literal rule opens it.
 */
export function mayBeOpened(address: Address): boolean {
  const real = unmapped(address)
  if (isNever(classify(real))) return false
  const inner = embedded(real)
  return inner === null || classify(inner) === 'global'
}
