/** Names of tools and models: exact, or a prefix followed by one `*` at the end. */
import { MAX_NAME_PATTERN_BYTES } from './limits.ts'
import { PatternError } from './pattern-error.ts'

export interface NamePattern {
  readonly prefix: string
  /** False: only the name itself. */
  readonly open: boolean
}

/** Letters, digits and what servers, vendors and versions are joined with: no space, quote, slash-dot tricks or Unicode look-alike. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$/

export function isName(text: string): boolean {
  return text.length <= MAX_NAME_PATTERN_BYTES && NAME.test(text)
}

/** Throws PatternError. */
export function parseNamePattern(text: string): NamePattern {
  const open = text.endsWith('*')
  const prefix = open ? text.slice(0, -1) : text
  if (prefix.includes('*'))
    throw new PatternError(
      `\`${text}\` has a star that is not its end`,
      `write \`${prefix.slice(0, prefix.indexOf('*'))}*\` or the name in full`,
    )
  if (!(open && prefix === '') && !isName(prefix))
    throw new PatternError(
      `\`${text}\` is not a name`,
      'a name begins with a letter or digit and holds letters, digits and `. _ : / @ + -`',
    )
  return { prefix, open }
}

export function matchNamePattern(pattern: NamePattern, name: string): boolean {
  return pattern.open ? name.startsWith(pattern.prefix) : name === pattern.prefix
}
