/** Strict JSON (RFC 8259) with places. Beyond the RFC it refuses duplicate keys, lone surrogates and depth or size beyond the limits. */
import { MAX_POLICY_DEPTH, MAX_POLICY_VALUES } from './limits.ts'
import { PolicyLoadError, quoted } from './load-error.ts'
import type { SourceText } from './source-text.ts'
import { type Member, type Node, pointerTo } from './tree.ts'

/** Throws PolicyLoadError with the first fault. */
export function parseJson(source: SourceText): Node {
  return new Parser(source).document()
}

const ESCAPES: Readonly<Record<string, string>> = { '"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }

class Parser {
  readonly #source: SourceText
  readonly #text: string
  #at = 0
  #values = 0

  constructor(source: SourceText) {
    this.#source = source
    this.#text = source.text
  }

  document(): Node {
    this.#space()
    if (this.#at === this.#text.length) this.#fail('the file is empty', 'the least policy is `{ "version": "1.0" }`')
    const node = this.#value('', 1)
    this.#space()
    if (this.#at < this.#text.length) this.#fail(`${this.#here()} after the end of the document`)
    return node
  }

  #value(pointer: string, depth: number): Node {
    if (++this.#values > MAX_POLICY_VALUES) this.#fail(`more than ${MAX_POLICY_VALUES} values`)
    const at = this.#at
    const char = this.#text[at]
    if (char === '{' || char === '[') {
      if (depth > MAX_POLICY_DEPTH) this.#fail(`nested deeper than ${MAX_POLICY_DEPTH}`)
      return char === '{' ? this.#object(pointer, depth) : this.#list(pointer, depth)
    }
    if (char === '"') return { kind: 'string', at, value: this.#string() }
    if (char === '-' || (char !== undefined && char >= '0' && char <= '9')) return this.#number()
    for (const [word, node] of [
      ['true', { kind: 'boolean', at, value: true }],
      ['false', { kind: 'boolean', at, value: false }],
      ['null', { kind: 'null', at }],
    ] as const) {
      if (this.#text.startsWith(word, at)) {
        this.#at += word.length
        return node
      }
    }
    return this.#fail(`expected a value but found ${this.#here()}`, char === "'" ? 'strings have double quotes' : this.#commentHint())
  }

  #object(pointer: string, depth: number): Node {
    const at = this.#at++
    const members: Member[] = []
    const seen = new Map<string, number>()
    this.#space()
    if (this.#take('}')) return { kind: 'object', at, members }
    for (;;) {
      const keyAt = this.#at
      if (this.#text[keyAt] !== '"')
        this.#fail(
          `expected a key in double quotes but found ${this.#here()}`,
          this.#text[keyAt] === '}' ? 'remove the comma before it' : this.#commentHint(),
        )
      const key = this.#string()
      const first = seen.get(key)
      if (first !== undefined) {
        const { line, column } = this.#source.place(first)
        this.#failAt(keyAt, `the key ${quoted(key)} stands twice, first at ${line}:${column}`, 'merge the two', pointerTo(pointer, key))
      }
      seen.set(key, keyAt)
      this.#space()
      if (!this.#take(':')) this.#fail(`expected \`:\` but found ${this.#here()}`)
      this.#space()
      members.push({ key, at: keyAt, value: this.#value(pointerTo(pointer, key), depth + 1) })
      this.#space()
      if (this.#take('}')) return { kind: 'object', at, members }
      if (!this.#take(',')) this.#fail(`expected \`,\` or \`}\` but found ${this.#here()}`, this.#commentHint())
      this.#space()
    }
  }

  #list(pointer: string, depth: number): Node {
    const at = this.#at++
    const items: Node[] = []
    this.#space()
    if (this.#take(']')) return { kind: 'list', at, items }
    for (;;) {
      if (this.#text[this.#at] === ']') this.#fail('a comma before `]`', 'remove it')
      items.push(this.#value(pointerTo(pointer, items.length), depth + 1))
      this.#space()
      if (this.#take(']')) return { kind: 'list', at, items }
      if (!this.#take(',')) this.#fail(`expected \`,\` or \`]\` but found ${this.#here()}`, this.#commentHint())
      this.#space()
    }
  }

  #string(): string {
    const start = ++this.#at
    // The usual case has no escape: one slice.
    // biome-ignore lint/suspicious/noControlCharactersInRegex: RFC 8259 forbids them in strings
    const plain = /[^"\\\u0000-\u001f]*/y
    let value = ''
    for (;;) {
      plain.lastIndex = this.#at
      value += plain.exec(this.#text)?.[0] ?? ''
      this.#at = plain.lastIndex
      const char = this.#text[this.#at]
      if (char === '"') break
      if (char === undefined) this.#failAt(start - 1, 'a string that does not end', 'close it with `"`')
      if (char !== '\\') this.#fail(`${this.#here()} inside a string`, 'write it as an escape, or close the string on its line')
      value += this.#escape()
    }
    this.#at++
    if (!value.isWellFormed()) this.#failAt(start - 1, 'a string with half of a surrogate pair')
    return value
  }

  #escape(): string {
    const letter = this.#text[this.#at + 1] ?? ''
    if (letter === 'u') {
      const hex = this.#text.slice(this.#at + 2, this.#at + 6)
      if (!/^[0-9a-fA-F]{4}$/.test(hex)) this.#fail(`the escape ${quoted(`\\u${hex}`)} has not four hex digits`)
      this.#at += 6
      return String.fromCharCode(Number.parseInt(hex, 16))
    }
    const meant = Object.hasOwn(ESCAPES, letter) ? ESCAPES[letter] : undefined
    if (meant === undefined) return this.#fail(`the escape ${quoted(`\\${letter}`)} does not exist`, 'a backslash itself is `\\\\`')
    this.#at += 2
    return meant
  }

  #number(): Node {
    const at = this.#at
    const number = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y
    number.lastIndex = at
    const text = number.exec(this.#text)?.[0]
    const next = this.#text[at + (text?.length ?? 0)]
    if (text === undefined || (next !== undefined && /[0-9A-Za-z.+_-]/.test(next)))
      return this.#fail('a malformed number', 'write plain digits without leading zeros')
    this.#at += text.length
    return { kind: 'number', at, text }
  }

  #space(): void {
    while (isSpace(this.#text.charCodeAt(this.#at))) this.#at++
  }

  #take(char: string): boolean {
    if (this.#text[this.#at] !== char) return false
    this.#at++
    return true
  }

  #here(): string {
    const point = this.#text.codePointAt(this.#at)
    return point === undefined ? 'the end of the file' : quoted(String.fromCodePoint(point))
  }

  #commentHint(): string | null {
    return this.#text[this.#at] === '/' || this.#text[this.#at] === '#'
      ? 'JSON has no comments; a policy may also be TOML, which has'
      : null
  }

  #fail(message: string, suggestion: string | null = null): never {
    return this.#failAt(this.#at, message, suggestion)
  }

  #failAt(at: number, message: string, suggestion: string | null = null, pointer = ''): never {
    throw new PolicyLoadError(this.#source.name, [this.#source.problem(at, pointer, message, suggestion)])
  }
}

function isSpace(unit: number): boolean {
  return unit === 0x20 || unit === 0x0a || unit === 0x0d || unit === 0x09
}
