/** Why a rule with a look-alike is refused, and what to write instead. */
import { lookAlikeIn, normalizeHost } from '../patterns/index.ts'
import type { TooBroad } from './breadth.ts'
import { codePoint, quoted } from './load-error.ts'

export function posingPath(text: string): TooBroad | null {
  const found = lookAlikeIn(text)
  if (found === null) return null
  return {
    message: `${quoted(text)} ${said(found.kind, found.char)}`,
    suggestion: `write the plain character, or \`[${found.char}]\` where this very one is meant`,
  }
}

/** `host`: as written, without port and kind. */
export function posingHost(text: string, host: string): TooBroad | null {
  const found = lookAlikeIn(host)
  if (found === null) return null
  const name = normalizeHost(host.replace(/^\*\./, ''))
  return {
    message: `${quoted(text)} ${said(found.kind, found.char)}`,
    suggestion: `write the plain character${name.kind === 'name' ? `, or \`${name.name}\` where this very name is meant` : ''}`,
  }
}

function said(kind: string, char: string): string {
  if (kind === 'invisible') return `holds an invisible character, ${codePoint(char)}`
  if (kind.startsWith('a ')) return `holds ${kind}, \`${char}\` (${codePoint(char)})`
  return `mixes Latin letters with \`${char}\` (${kind}, ${codePoint(char)})`
}
