/** What is wrong with a policy file, and where. */
import { AuthorityError } from '@authority/protocol'
import { MAX_MESSAGE, MAX_PROBLEMS, MAX_QUOTED } from './limits.ts'

export interface Problem {
  /** 1-based; column in characters. */
  readonly line: number
  readonly column: number
  /** JSON pointer of the value at fault, empty for the whole file. */
  readonly pointer: string
  /** The cause, one sentence without a full stop. */
  readonly message: string
  /** What to do instead. */
  readonly suggestion: string | null
}

/** A policy that does not load: nothing is allowed by it. `problems` has at least one entry. */
export class PolicyLoadError extends AuthorityError {
  readonly source: string
  readonly problems: readonly Problem[]

  constructor(source: string, problems: readonly Problem[]) {
    const shown = problems.slice(0, MAX_PROBLEMS)
    const more = problems.length > shown.length ? [`and ${problems.length - shown.length} more`] : []
    const hint = shown[0]?.suggestion ?? 'run `authority policy check FILE` after the change'
    super('E_POLICY_DENY', [...shown.map((problem) => formatProblem(source, problem)), ...more].join('\n'), { hint })
    this.name = 'PolicyLoadError'
    this.source = source
    this.problems = problems
  }
}

/** `policy.json:3:12: /fs/read/0: cause (suggestion)`. */
export function formatProblem(source: string, problem: Problem): string {
  const pointer = problem.pointer === '' ? '' : `${printable(problem.pointer, MAX_QUOTED)}: `
  return `${source}:${problem.line}:${problem.column}: ${pointer}${problem.message}${problem.suggestion === null ? '' : ` (${problem.suggestion})`}`
}

/** Text from a file between backticks, as it may stand in a message. */
export function quoted(text: string): string {
  return `\`${printable(text, MAX_QUOTED)}\``
}

/** What a terminal may be given: shortened, with control and invisible formatting characters escaped. */
export function printable(text: string, most: number = MAX_MESSAGE): string {
  const short = text.length > most ? `${text.slice(0, most)}…` : text
  return short.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`)
}

/** `U+0430`. */
export function codePoint(char: string): string {
  return `U+${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`
}

/** A key of the file between backticks; letters that only look like those of a known one are named. */
export function quotedKey(key: string): string {
  const foreign = /[^\x20-\x7e]/u.exec(key)?.[0]
  return foreign === undefined ? quoted(key) : `${quoted(key)} with ${codePoint(foreign)}`
}
