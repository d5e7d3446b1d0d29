/**
 * Absolute path globs. `*` `?` `[…]` stay within one segment, `**` is a whole segment and stands for none or more of them, `{a,b}` are alternatives.
 * No escape character: a special character is written as a class of one, `[*]`. README.md holds the table of what each form means.
 */
import { isWellFormed, utf8Length } from './bytes.ts'
import { expandBraces, type Token, tokenize } from './glob-tokens.ts'
import { MAX_GLOBSTARS, MAX_PATTERN_BYTES } from './limits.ts'
import { withClasses } from './look-alike.ts'
import { PatternError } from './pattern-error.ts'
import { compileSegment, matchSegment, type Segment } from './segment-glob.ts'

/** One alternative of a glob: its segments, the literal ones in front joined as `base` (`/` when there is none), and whether all are literal. */
export interface Alternative {
  readonly segments: readonly Segment[]
  readonly base: string
  readonly baseLength: number
  readonly literal: boolean
}

export interface PathGlob {
  readonly text: string
  readonly alternatives: readonly Alternative[]
}

/** Bytes of a path and of one component, as Linux. */
const MAX_PATH = 4096
const MAX_NAME = 255

/** Throws PatternError. */
export function parsePathGlob(text: string): PathGlob {
  if (!isWellFormed(text)) throw new PatternError('the pattern is not valid Unicode')
  if (utf8Length(text) > MAX_PATTERN_BYTES) throw new PatternError(`the pattern is longer than ${MAX_PATTERN_BYTES} bytes`)
  if (!text.startsWith('/')) {
    throw new PatternError(
      `\`${text}\` is not absolute`,
      text === '' ? 'write a path that begins with `/`' : `write \`/${text.replace(/^(\.?\/|~\/)+/, '')}\``,
    )
  }
  // Control characters in a rule are a sign of a mistake or of an attack on whoever reads it.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is refused
  if (/[\u0000-\u001f\u007f]/.test(text)) throw new PatternError('the pattern holds a control character')
  const plain = plainAlternative(text)
  if (plain !== null) return { text, alternatives: [plain] }
  return { text, alternatives: expandBraces(tokenize(text), text).map((tokens) => alternativeOf(tokens, text)) }
}

/** The usual rules, a literal path or all below one, without going through tokens; null for any other, and for whatever is wrong with it. */
function plainAlternative(text: string): Alternative | null {
  const tree = text.endsWith('/**')
  const base = tree ? text.slice(0, -3) : text
  if (base === '' || base === '/' || /[*?[\]{}\\]/.test(base)) return null
  if (utf8Length(base) > MAX_PATH) return null
  const segments: Segment[] = []
  for (const name of base.slice(1).split('/')) {
    if (name === '' || name === '.' || name === '..' || utf8Length(name) > MAX_NAME) return null
    segments.push({ kind: 'literal', text: name })
  }
  const baseLength = segments.length
  if (tree) segments.push({ kind: 'globstar' })
  return { segments, base, baseLength, literal: !tree }
}

function alternativeOf(tokens: readonly Token[], text: string): Alternative {
  const segments = splitSegments(tokens).map((part) => segmentOf(part, text))
  if (segments.filter((segment) => segment.kind === 'globstar').length > MAX_GLOBSTARS) {
    throw new PatternError(`\`${text}\` has more than ${MAX_GLOBSTARS} \`**\` segments`)
  }
  if (segments.reduce((sum, segment) => sum + 1 + (segment.kind === 'literal' ? utf8Length(segment.text) : 0), 0) > MAX_PATH) {
    throw new PatternError(`\`${text}\` is longer than any path (${MAX_PATH} bytes)`)
  }
  let baseLength = 0
  let base = ''
  for (const segment of segments) {
    if (segment.kind !== 'literal') break
    base += `/${segment.text}`
    baseLength++
  }
  return { segments, base: base === '' ? '/' : base, baseLength, literal: baseLength === segments.length }
}

/** Tokens between slashes; the pattern `/` has no segment. */
function splitSegments(tokens: readonly Token[]): Token[][] {
  const parts: Token[][] = []
  for (const token of tokens) {
    if (token.kind === 'slash') parts.push([])
    else parts.at(-1)?.push(token)
  }
  return parts.length === 1 && parts[0]?.length === 0 ? [] : parts
}

function segmentOf(tokens: readonly Token[], text: string): Segment {
  if (tokens.length === 0) {
    const bare = text.replace(/\/+$/, '')
    if (text.endsWith('/'))
      throw new PatternError(
        `\`${text}\` ends with a slash`,
        `write \`${bare}\` for the name itself or \`${bare}/**\` for it and all below`,
      )
    throw new PatternError(`\`${text}\` has an empty segment`, `write \`${text.replace(/\/{2,}/g, '/')}\``)
  }
  if (tokens.some((token) => token.kind === 'globstar')) {
    if (tokens.length > 1)
      throw new PatternError(`\`**\` in \`${text}\` is not a whole segment`, 'write `/**/` between slashes, or `*` within a segment')
    return { kind: 'globstar' }
  }
  const segment = compileSegment(tokens)
  if (segment.kind === 'literal') {
    if (segment.text === '.' || segment.text === '..')
      throw new PatternError(`\`${text}\` has a \`${segment.text}\` segment`, 'write the path it leads to')
    if (utf8Length(segment.text) > MAX_NAME) throw new PatternError(`\`${text}\` has a segment longer than any name (${MAX_NAME} bytes)`)
  }
  return segment
}

/** The path asked about last, and its segments: one question goes to the policy and to every block of a token. */
let lastPath = '/'
let lastSegments: readonly string[] | null = []

/** Segments of a canonical absolute path, or null when it is not one (`.`, `..`, empty component, NUL or control byte, lone surrogate, too long). */
export function pathSegments(path: string): readonly string[] | null {
  if (path !== lastPath) {
    lastSegments = splitPath(path)
    lastPath = path
  }
  return lastSegments
}

function splitPath(path: string): readonly string[] | null {
  if (path === '/') return []
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is refused
  if (!path.startsWith('/') || path.length > MAX_PATH || /[\u0000-\u001f\u007f]/.test(path)) return null
  if (!isWellFormed(path) || utf8Length(path) > MAX_PATH) return null
  const segments = path.slice(1).split('/')
  for (const segment of segments) {
    if (segment === '' || segment === '.' || segment === '..' || (segment.length > MAX_NAME / 3 && utf8Length(segment) > MAX_NAME))
      return null
  }
  return segments
}

/**
 * Whether an alternative matches. Cost is bounded by |pattern| × |path| whatever both hold: only the last `**` is ever taken back.
 * `from` skips leading segments the caller knows to be equal.
 */
export function matchAlternative(pattern: readonly Segment[], path: readonly string[], from = 0): boolean {
  let p = from
  let s = from
  let retryPattern = -1
  let retryPath = -1
  while (s < path.length) {
    const segment = pattern[p]
    if (segment?.kind === 'globstar') {
      retryPattern = p++
      retryPath = s
    } else if (segment !== undefined && matchSegment(segment, path[s] ?? '')) {
      p++
      s++
    } else if (retryPattern >= 0) {
      p = retryPattern + 1
      s = ++retryPath
    } else return false
  }
  while (pattern[p]?.kind === 'globstar') p++
  return p === pattern.length
}

/** Whether something strictly below the path could match: the path is a directory on the way of the pattern. */
export function reachesAlternative(pattern: readonly Segment[], path: readonly string[]): boolean {
  for (const [index, name] of path.entries()) {
    const segment = pattern[index]
    if (segment === undefined) return false
    if (segment.kind === 'globstar') return true
    if (!matchSegment(segment, name)) return false
  }
  return pattern.length > path.length
}

export function matchPathGlob(glob: PathGlob, path: string): boolean {
  const segments = pathSegments(path)
  return segments !== null && glob.alternatives.some((alternative) => matchAlternative(alternative.segments, segments))
}

/** The pattern that matches exactly this path, and that a policy takes. */
export function literalPathPattern(path: string): string {
  // Every second part is a special character.
  return path
    .split(/([*?[\]{}\\])/)
    .map((part, index) => (index % 2 === 1 ? `[${part}]` : withClasses(part)))
    .join('')
}
