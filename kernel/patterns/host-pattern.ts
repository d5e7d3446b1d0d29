/** Host names and their patterns: `host`, `*.host` (one label or more in front) and `*`. Names are lower-case A-labels without a trailing dot. */
import { parse } from 'tldts'
import { type Address, parseAddress, unmapped } from './address.ts'
import { PatternError } from './pattern-error.ts'

/** Bytes of a name and of one label (RFC 1035). */
const MAX_NAME = 253
const MAX_LABEL = 63

export type Host =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'address'; readonly address: Address }
  | { readonly kind: 'error'; readonly reason: string }

/** Whether a text is already in the one spelling of a name: what a question must hold. An IP address in any spelling is not a name. */
export function isCanonicalName(text: string): boolean {
  return text.length <= MAX_NAME && /^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/.test(text) && !endsInNumber(text)
}

/** WHATWG: such a host is read as an IPv4 address (`127.1`, `0x7f.0.0.1`, `2130706433`), so it can never be a name. */
function endsInNumber(name: string): boolean {
  const last = name.slice(name.lastIndexOf('.') + 1)
  return /^[0-9]+$/.test(last) || /^0x[0-9a-f]*$/.test(last)
}

/**
 * One spelling for what a person or an agent wrote as a host: Unicode to A-labels (UTS 46), upper to lower case, one trailing dot dropped,
 * any spelling of an IP address to that address. Userinfo, ports, escapes, spaces and control characters are refused, never cleaned away.
 */
export function normalizeHost(text: string): Host {
  const error = (reason: string): Host => ({ kind: 'error', reason })
  if (text === '') return error('the host is empty')
  if (text.length > 4 * MAX_NAME) return error('the host is too long')
  const bracketed = /^\[(.*)\]$/.exec(text)
  if (bracketed !== null || text.includes(':')) {
    const address = parseAddress(bracketed?.[1] ?? text)
    return address === null || address.family === 4
      ? error(`\`${text}\` is not a host; a port or an IPv6 zone has no place in one`)
      : { kind: 'address', address: unmapped(address) }
  }
  if (text.includes('@')) return error(`\`${text}\` holds userinfo; only the host is wanted`)
  // What the URL parser would drop, decode or read as a delimiter.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is refused
  const bad = /[\u0000-\u0020\u007f"#%/<>?[\\\]^`{|}*!$&'()+,;=~]/.exec(text)
  if (bad !== null) return error(`\`${text}\` holds \`${bad[0]}\`, which no host name has`)
  let name = text
  // Already in the one spelling, as nearly every rule is: the URL parser, twenty times as slow, would give the same back.
  if (!isCanonicalName(text) || text.includes('xn--')) {
    try {
      name = new URL(`http://${text}/`).hostname
    } catch {
      return error(`\`${text}\` is not a valid host name`)
    }
  }
  const address = parseAddress(name)
  if (address !== null) return { kind: 'address', address }
  if (name.endsWith('.')) name = name.slice(0, -1)
  if (name.length > MAX_NAME) return error(`\`${text}\` is longer than ${MAX_NAME} bytes`)
  if (name.split('.').some((label) => label === '')) return error(`\`${text}\` has an empty label`)
  if (name.split('.').some((label) => label.length > MAX_LABEL)) return error(`\`${text}\` has a label longer than ${MAX_LABEL} bytes`)
  return isCanonicalName(name) ? { kind: 'name', name } : error(`\`${text}\` is not a valid host name`)
}

export type HostPattern =
  | { readonly kind: 'any' }
  | { readonly kind: 'name'; readonly name: string }
  /** Every name with at least one label in front of `parent`. */
  | { readonly kind: 'below'; readonly parent: string }

export interface HostPatternOptions {
  /** A rule that denies may name a whole public suffix (`*.zip`); one that allows may not. */
  readonly publicSuffix: 'refuse' | 'accept'
}

/** Throws PatternError. */
export function parseHostPattern(text: string, options: HostPatternOptions = { publicSuffix: 'refuse' }): HostPattern {
  if (text === '*') return { kind: 'any' }
  const below = text.startsWith('*.')
  const bare = below ? text.slice(2) : text
  if (bare.includes('*'))
    throw new PatternError(
      `\`${text}\` has a star that is not its whole first label`,
      `write \`*.${bare.replace(/^.*\*[^.]*\.?/, '') || 'example.com'}\` or the name in full`,
    )
  const host = normalizeHost(bare)
  if (host.kind === 'error') throw new PatternError(host.reason, suggestHost(bare))
  if (host.kind === 'address')
    throw new PatternError(`\`${text}\` is an IP address, not a name`, 'write it under `net.connect` as `ip:ADDRESS:PORT`')
  if (!below) return { kind: 'name', name: host.name }
  if (options.publicSuffix === 'refuse' && isPublicSuffix(host.name)) {
    throw new PatternError(
      `\`${text}\` covers a public suffix: anyone can register a name below \`${host.name}\``,
      `name the registered domain, e.g. \`*.example.${host.name}\``,
    )
  }
  return { kind: 'below', parent: host.name }
}

function suggestHost(text: string): string | null {
  const inside = /^(?:[a-z][a-z0-9+.-]*:\/\/)?(?:[^/@]*@)?([^/:?#@]+)/i.exec(text)?.[1]
  const host = inside === undefined || inside === text ? null : normalizeHost(inside)
  return host?.kind === 'name' ? `write \`${host.name}\`` : null
}

/** Whether anyone may register names below this one: top-level domains, and both parts of the public suffix list. */
export function isPublicSuffix(name: string): boolean {
  return !name.includes('.') || parse(name, { allowPrivateDomains: true, validateHostname: false }).publicSuffix === name
}

/** The one spelling of a pattern. */
export function formatHostPattern(pattern: HostPattern): string {
  if (pattern.kind === 'any') return '*'
  return pattern.kind === 'name' ? pattern.name : `*.${pattern.parent}`
}

/** `name` must be canonical. */
export function matchHostPattern(pattern: HostPattern, name: string): boolean {
  if (pattern.kind === 'any') return true
  return pattern.kind === 'name' ? pattern.name === name : name.endsWith(`.${pattern.parent}`)
}
