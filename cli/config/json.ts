import { ConfigError, type Place } from './errors.ts'
import { MAX_CONFIG_DEPTH } from './limits.ts'

/** A JSON value that knows where it stands in its file. */
export type Located =
  | {
      readonly kind: 'object'
      readonly at: Place
      readonly members: readonly { readonly key: string; readonly at: Place; readonly value: Located }[]
    }
  | { readonly kind: 'array'; readonly at: Place; readonly items: readonly Located[] }
  | { readonly kind: 'string'; readonly at: Place; readonly value: string }
  | { readonly kind: 'number'; readonly at: Place; readonly value: number }
  | { readonly kind: 'boolean'; readonly at: Place; readonly value: boolean }
  | { readonly kind: 'null'; readonly at: Place }

/** Parses JSON (RFC 8259) strictly: no comments, trailing commas or duplicate keys; depth limited. Throws ConfigError with line and column. */
export function parseLocated(text: string, file: string): Located {
  const cursor = new Cursor(text, file)
  cursor.space()
  const value = parseValue(cursor, 1)
  cursor.space()
  if (!cursor.done) throw cursor.fail('there is something after the end of the document')
  return value
}

/** Control characters and unknown escapes in it are refused by JSON.parse afterwards. */
const STRING = /"(?:[^"\\]|\\.)*"/y
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y
const SPACE = /[ \t\n\r]*/y
const WORD = /true|false|null/y

class Cursor {
  private readonly text: string
  private readonly file: string
  private at = 0
  private counted = 0
  private line = 1
  private column = 1

  constructor(text: string, file: string) {
    this.text = text
    this.file = file
  }

  get done(): boolean {
    return this.at >= this.text.length
  }

  get next(): string {
    return this.text.charAt(this.at)
  }

  /** What a pattern matches here, or undefined; moves behind it. */
  take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at
    const found = pattern.exec(this.text)?.[0]
    if (found !== undefined) this.at += found.length
    return found
  }

  takeChar(char: string): boolean {
    if (this.next !== char) return false
    this.at += 1
    return true
  }

  space(): void {
    this.take(SPACE)
  }

  /** Counts on from where it was asked last: a file of many values must not be walked from its start for each. */
  place(): Place {
    const lines = this.text.slice(this.counted, this.at).split('\n')
    this.line += lines.length - 1
    this.column = (lines.length === 1 ? this.column : 1) + [...(lines[lines.length - 1] ?? '')].length
    this.counted = this.at
    return { file: this.file, line: this.line, column: this.column }
  }

  fail(what: string): ConfigError {
    return new ConfigError(this.place(), what, this.next === '/' || this.next === '#' ? 'JSON has no comments: remove them' : undefined)
  }
}

function parseValue(cursor: Cursor, depth: number): Located {
  const at = cursor.place()
  if (depth > MAX_CONFIG_DEPTH) throw cursor.fail(`nested deeper than ${MAX_CONFIG_DEPTH}`)
  if (cursor.takeChar('{')) return parseObject(cursor, at, depth)
  if (cursor.takeChar('[')) return parseArray(cursor, at, depth)
  if (cursor.next === '"') return { kind: 'string', at, value: parseString(cursor) }
  const word = cursor.take(WORD)
  if (word !== undefined) return word === 'null' ? { kind: 'null', at } : { kind: 'boolean', at, value: word === 'true' }
  const number = cursor.take(NUMBER)
  if (number !== undefined) return { kind: 'number', at, value: Number(number) }
  throw cursor.fail(cursor.done ? 'the file ends too early' : `${JSON.stringify(cursor.next)} is not JSON here`)
}

function parseObject(cursor: Cursor, at: Place, depth: number): Located {
  const members: { key: string; at: Place; value: Located }[] = []
  const seen = new Set<string>()
  cursor.space()
  if (cursor.takeChar('}')) return { kind: 'object', at, members }
  for (;;) {
    cursor.space()
    const keyAt = cursor.place()
    if (cursor.next !== '"') throw cursor.fail('a key in double quotes is missing')
    const key = parseString(cursor)
    if (seen.has(key)) throw new ConfigError(keyAt, `the key ${JSON.stringify(key)} stands here twice`, 'keep one of them')
    seen.add(key)
    cursor.space()
    if (!cursor.takeChar(':')) throw cursor.fail('a colon is missing')
    cursor.space()
    members.push({ key, at: keyAt, value: parseValue(cursor, depth + 1) })
    cursor.space()
    if (cursor.takeChar('}')) return { kind: 'object', at, members }
    if (!cursor.takeChar(',')) throw cursor.fail('a comma or } is missing')
  }
}

function parseArray(cursor: Cursor, at: Place, depth: number): Located {
  const items: Located[] = []
  cursor.space()
  if (cursor.takeChar(']')) return { kind: 'array', at, items }
  for (;;) {
    cursor.space()
    items.push(parseValue(cursor, depth + 1))
    cursor.space()
    if (cursor.takeChar(']')) return { kind: 'array', at, items }
    if (!cursor.takeChar(',')) throw cursor.fail('a comma or ] is missing')
  }
}

function parseString(cursor: Cursor): string {
  const bad = () => cursor.fail('the text is not closed, or holds a control character or unknown escape')
  const literal = cursor.take(STRING)
  if (literal === undefined) throw bad()
  let value: string
  try {
    value = JSON.parse(literal) as string
  } catch {
    throw bad()
  }
  if (!value.isWellFormed()) throw cursor.fail('the text before this is not valid Unicode')
  return value
}
