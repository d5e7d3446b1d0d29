/** What one rule of a list must be: its grammar, and how broad it may be. */
import {
  classify,
  normalizeHost,
  PatternError,
  parseConnectPattern,
  parseHostPattern,
  parseListenPattern,
  parseNamePattern,
  parsePathGlob,
} from '../patterns/index.ts'
import { broadConnect, broadHost, broadWrite, type TooBroad } from './breadth.ts'
import { checkEnvRule, parseMountRule } from './expectations.ts'
import { mayListen } from './fix.ts'
import { checkIncludeName } from './include-name.ts'
import { quoted } from './load-error.ts'
import { posingHost, posingPath } from './look-alike.ts'
import { nearestKey } from './nearest-key.ts'
import { isProfile, PROFILE_NAMES } from './profiles.ts'
import type { RuleKind } from './schema.ts'
import type { Located } from './structure.ts'
import { checkToolRule } from './tool-rule.ts'

/** Throws PatternError; returns what makes a well-formed rule too broad, or another one than it looks like. Deny rules may be as broad as they like. */
export function checkRule(of: RuleKind, list: string, rule: Located): TooBroad | null {
  const { text } = rule
  const denies = list.includes('/deny')
  const options = { publicSuffix: denies ? 'accept' : 'refuse' } as const
  switch (of) {
    case 'path':
      parsePathGlob(text)
      return posingPath(text) ?? writtenPath(list, text)
    case 'name': {
      const host = parseHostPattern(text, options)
      return posingHost(text, text) ?? (denies ? null : broadHost(host, text))
    }
    case 'connect': {
      const pattern = parseConnectPattern(text, options)
      const posing = pattern.kind === 'dns' ? posingHost(text, text.slice('dns:'.length, text.lastIndexOf(':'))) : null
      if (posing !== null) return posing
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
      checkToolRule(rule.tool ?? text)
      return Object.values(rule.tool?.args ?? {}).reduce<TooBroad | null>((found, { glob }) => found ?? posingPath(glob ?? ''), null)
    case 'include':
      checkIncludeName(text)
      return null
    case 'env':
      checkEnvRule(text, list.endsWith('/require'))
      return null
    case 'mount':
      parseMountRule(text)
      return null
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

function writtenPath(list: string, text: string): TooBroad | null {
  return list === '/fs/write' || list === '/fs/ask/write' ? broadWrite(text) : null
}

export function isLoopback(address: string): boolean {
  const host = normalizeHost(address)
  return host.kind === 'address' && classify(host.address) === 'loopback'
}
