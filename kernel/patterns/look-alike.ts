/**
 * Characters that make a name look like another one: invisible ones, spaces that are no space, wide and mathematical letters, and letters of another script within a
 * Latin word. A whole word of another script cannot be told from what it looks like.
 */

export interface LookAlike {
  readonly char: string
  /** `invisible`, or the script. */
  readonly kind: string
}

const INVISIBLE = /[\p{Default_Ignorable_Code_Point}\p{Cf}\p{Zl}\p{Zp}]/u
const OTHER_SPACE = /(?! )\p{Zs}/u
const STYLED = /[\uff21-\uff3a\uff41-\uff5a\u{1d400}-\u{1d7ff}]/u
/** Scripts with letters that look like Latin ones. */
const SCRIPTS: readonly (readonly [name: string, letter: RegExp])[] = [
  ['Cyrillic', /\p{Script=Cyrillic}/u],
  ['Greek', /\p{Script=Greek}/u],
  ['Armenian', /\p{Script=Armenian}/u],
  ['Cherokee', /\p{Script=Cherokee}/u],
  ['Coptic', /\p{Script=Coptic}/u],
]
const WORD = /[\p{L}\p{M}]+/gu
const LATIN = /\p{Script=Latin}/u
// biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII
const ASCII = /^[\u0000-\u007f]*$/
const CLASS = /\[!?\]?[^\]]*\]/g

/** The first look-alike of a pattern or name; what stands in a class of its own, `[о]`, is meant. */
export function lookAlikeIn(text: string): LookAlike | null {
  if (ASCII.test(text)) return null
  const spots = lookAlikes(text.replace(CLASS, '/'))
  const [first] = [...spots].sort(([a], [b]) => a - b)
  return first?.[1] ?? null
}

/** Each as a class of one, which stands for itself and says that it is meant. */
export function withClasses(path: string): string {
  if (ASCII.test(path)) return path
  const spots = lookAlikes(path)
  if (spots.size === 0) return path
  let index = 0
  return Array.from(path, (char) => {
    const at = index
    index += char.length
    return spots.has(at) ? `[${char}]` : char
  }).join('')
}

/** By index of the text. */
function lookAlikes(text: string): Map<number, LookAlike> {
  const found = new Map<number, LookAlike>()
  for (const { 0: char, index } of text.matchAll(/\P{ASCII}/gu)) {
    if (INVISIBLE.test(char)) found.set(index, { char, kind: 'invisible' })
    else if (OTHER_SPACE.test(char)) found.set(index, { char, kind: 'a space of another kind' })
    else if (STYLED.test(char)) found.set(index, { char, kind: 'a styled letter' })
  }
  for (const { 0: word, index: start } of text.matchAll(WORD)) {
    if (ASCII.test(word) || !LATIN.test(word)) continue
    for (const { 0: char, index } of word.matchAll(/\P{ASCII}/gu)) {
      const script = SCRIPTS.find(([, letter]) => letter.test(char))
      if (script !== undefined) found.set(start + index, { char, kind: script[0] })
    }
  }
  return found
}
