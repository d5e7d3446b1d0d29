/** The characters of a path glob as tokens, and its `{a,b}` alternatives multiplied out. */
import { MAX_ALTERNATIVES, MAX_CLASS_RANGES, MAX_EXPANDED_LENGTH } from './limits.ts'
import { PatternError } from './pattern-error.ts'

export interface CharClass {
  readonly kind: 'class'
  readonly negated: boolean
  /** Code points, both ends included. */
  readonly ranges: readonly (readonly [number, number])[]
}

export type Token =
  | { readonly kind: 'char'; readonly char: string }
  | { readonly kind: 'slash' }
  | { readonly kind: 'one' }
  | { readonly kind: 'star' }
  | { readonly kind: 'globstar' }
  | CharClass

/** A run of tokens, or a choice between several. */
export type Piece = readonly Token[] | { readonly choices: readonly (readonly Token[])[] }

/** Throws PatternError for an unbalanced or nested brace, a bad class or a backslash. */
export function tokenize(text: string): Piece[] {
  const chars = Array.from(text)
  const pieces: Piece[] = []
  let run: Token[] = []
  let choices: Token[][] | null = null
  for (let index = 0; index < chars.length; index++) {
    const char = chars[index]
    if (char === '{') {
      if (choices !== null) throw new PatternError(`\`${text}\` has a brace within braces`, 'write one rule for each alternative')
      pieces.push(run)
      choices = []
      run = []
    } else if (char === ',' && choices !== null) {
      choices.push(run)
      run = []
    } else if (char === '}') {
      if (choices === null) throw new PatternError(`\`${text}\` has a \`}\` without \`{\``, 'write `[}]` for the character itself')
      if (choices.length === 0)
        throw new PatternError(`\`${text}\` has braces with fewer than two alternatives`, 'write `[{]` for the character itself')
      pieces.push({ choices: [...choices, run] })
      choices = null
      run = []
    } else {
      const [token, end] = tokenAt(chars, index, text)
      run.push(token)
      index = end
    }
  }
  if (choices !== null) throw new PatternError(`\`${text}\` has a \`{\` without \`}\``, 'write `[{]` for the character itself')
  pieces.push(run)
  return pieces
}

/** The token that begins at `index`, and the index of its last character. */
function tokenAt(chars: readonly string[], index: number, text: string): [Token, number] {
  const char = chars[index] ?? ''
  switch (char) {
    case '/':
      return [{ kind: 'slash' }, index]
    case '?':
      return [{ kind: 'one' }, index]
    case '*':
      return chars[index + 1] === '*' ? [{ kind: 'globstar' }, index + 1] : [{ kind: 'star' }, index]
    case '[':
      return classAt(chars, index, text)
    case ']':
      throw new PatternError(`\`${text}\` has a \`]\` without \`[\``, 'write `[]]` for the character itself')
    case '\\':
      throw new PatternError(
        `\`${text}\` has a backslash: there is no escape character`,
        'write `[*]` for a star itself and `[\\]` for a backslash',
      )
    default:
      return [{ kind: 'char', char }, index]
  }
}

function classAt(chars: readonly string[], start: number, text: string): [Token, number] {
  const bad = (why: string): PatternError =>
    new PatternError(`\`${text}\` has a class ${why}`, 'write `[abc]`, `[a-z]` or `[!abc]`, and `[[]` for the bracket itself')
  let index = start + 1
  if (chars[index] === '^') throw bad('that begins with `^`')
  const negated = chars[index] === '!'
  if (negated) index++
  const ranges: [number, number][] = []
  for (let first = true; ; first = false) {
    const low = chars[index]
    if (low === undefined) throw bad('that is not closed')
    if (low === ']' && !first) break
    if (low === '/') throw bad('with a slash')
    let high = low
    if (chars[index + 1] === '-' && chars[index + 2] !== undefined && chars[index + 2] !== ']') {
      high = chars[index + 2] ?? low
      index += 2
    }
    if (high === '/') throw bad('with a slash')
    const range: [number, number] = [low.codePointAt(0) ?? 0, high.codePointAt(0) ?? 0]
    if (range[0] > range[1]) throw bad(`whose range \`${low}-${high}\` is empty`)
    if (ranges.push(range) > MAX_CLASS_RANGES) throw bad(`with more than ${MAX_CLASS_RANGES} entries`)
    index++
  }
  const only = ranges[0]
  // A class of one character is how that character is written literally.
  if (!negated && ranges.length === 1 && only !== undefined && only[0] === only[1])
    return [{ kind: 'char', char: String.fromCodePoint(only[0]) }, index]
  return [{ kind: 'class', negated, ranges }, index]
}

/** How many alternatives a well-formed pattern has. Throws PatternError. */
export function alternativesOf(text: string): number {
  return tokenize(text).reduce((count, piece) => ('choices' in piece ? count * piece.choices.length : count), 1)
}

/** Every alternative in full. The number and total length are computed first, so a brace bomb costs nothing. */
export function expandBraces(pieces: readonly Piece[], text: string): Token[][] {
  let count = 1
  let longest = 0
  for (const piece of pieces) {
    if ('choices' in piece) {
      count *= piece.choices.length
      longest += Math.max(...piece.choices.map((choice) => choice.length))
    } else longest += piece.length
    if (count > MAX_ALTERNATIVES || count * longest > MAX_EXPANDED_LENGTH) {
      throw new PatternError(
        `\`${text}\` has more than ${MAX_ALTERNATIVES} alternatives or they are too long together`,
        'write several rules',
      )
    }
  }
  let results: Token[][] = [[]]
  for (const piece of pieces) {
    const choices = 'choices' in piece ? piece.choices : [piece]
    results = results.flatMap((head) => choices.map((choice) => [...head, ...choice]))
  }
  return results
}
