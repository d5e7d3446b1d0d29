import { nearest } from '../config/nearest.ts'
import { CliError } from '../runs/errors.ts'

/** `switch` is there or not; `text` needs a value; `list` may be repeated; `switch-or-text` is `--json` or `--json=FILE`. */
export type FlagKind = 'switch' | 'text' | 'list' | 'switch-or-text'

export interface Flag {
  readonly kind: FlagKind
  readonly short?: string
  /** What stands for the value in help. */
  readonly value?: string
  readonly doc: string
}

/** All there is to know of a verb without loading it: parser and help follow from it. */
export interface Verb {
  readonly summary: string
  /** Names of what stands without a dash, in order; `?` at the end: may be left out. */
  readonly positionals: readonly string[]
  /** Name of what may stand after `--`. */
  readonly rest?: string
  readonly flags: Readonly<Record<string, Flag>>
  /** Further paragraphs of help. */
  readonly notes?: readonly string[]
}

type ValueOf<Kind extends FlagKind> = Kind extends 'switch'
  ? boolean
  : Kind extends 'list'
    ? readonly string[]
    : Kind extends 'text'
      ? string | undefined
      : boolean | string

export interface Arguments<V extends Verb> {
  readonly flags: { readonly [Name in keyof V['flags']]: ValueOf<V['flags'][Name]['kind']> }
  readonly positionals: readonly string[]
  /** What stood after `--`; null without one. */
  readonly rest: readonly string[] | null
}

type Found = { readonly name: string; readonly flag: Flag }

/** Strict: unknown flags, missing and unwanted values, repeated flags and extra arguments are CliErrors `usage` that name the verb's help. */
export function parseArguments<V extends Verb>(name: string, verb: V, words: readonly string[]): Arguments<V> {
  return new Parser(name, verb).parse(words) as Arguments<V>
}

class Parser {
  private readonly name: string
  private readonly verb: Verb
  private readonly values = new Map<string, boolean | string | string[]>()
  private readonly positionals: string[] = []
  private rest: readonly string[] | null = null

  constructor(name: string, verb: Verb) {
    this.name = name
    this.verb = verb
  }

  parse(words: readonly string[]): Arguments<Verb> {
    const queue = [...words]
    for (let word = queue.shift(); word !== undefined; word = queue.shift()) {
      if (word === '--') {
        this.rest = queue.splice(0)
      } else if (word.startsWith('--')) this.long(word, queue)
      else if (word.startsWith('-') && word.length > 1) this.short(word, queue)
      else this.positionals.push(word)
    }
    this.checkPositionals()
    const flags = Object.fromEntries(Object.entries(this.verb.flags).map(([name, flag]) => [name, this.values.get(name) ?? absent(flag)]))
    return { flags, positionals: this.positionals, rest: this.rest }
  }

  private long(word: string, queue: string[]): void {
    const cut = word.indexOf('=')
    const name = cut < 0 ? word.slice(2) : word.slice(2, cut)
    const flag = Object.hasOwn(this.verb.flags, name) ? this.verb.flags[name] : undefined
    if (flag === undefined) throw this.unknown(`--${name}`, nearest(name, Object.keys(this.verb.flags)))
    const inline = cut < 0 ? undefined : word.slice(cut + 1)
    if (inline !== undefined && flag.kind === 'switch') throw this.usage(`--${name} takes no value`)
    this.set({ name, flag }, `--${name}`, inline ?? this.next(flag, `--${name}`, queue))
  }

  /** `-c FILE`, `-cFILE`, and switches together: `-it`. */
  private short(word: string, queue: string[]): void {
    for (let at = 1; at < word.length; at++) {
      const letter = word.charAt(at)
      const found = this.byLetter(letter)
      if (found === undefined) throw this.unknown(`-${letter}`, undefined)
      if (found.flag.kind === 'switch' || found.flag.kind === 'switch-or-text') {
        this.set(found, `-${letter}`, undefined)
        continue
      }
      const glued = word.slice(at + 1)
      return this.set(found, `-${letter}`, glued === '' ? this.next(found.flag, `-${letter}`, queue) : glued)
    }
  }

  private byLetter(letter: string): Found | undefined {
    const entry = Object.entries(this.verb.flags).find(([, flag]) => flag.short === letter)
    return entry && { name: entry[0], flag: entry[1] }
  }

  private next(flag: Flag, written: string, queue: string[]): string | undefined {
    if (flag.kind === 'switch' || flag.kind === 'switch-or-text') return undefined
    const value = queue[0]
    if (value === undefined || (value.startsWith('-') && value !== '-'))
      throw this.usage(`${written} needs a value: ${written} ${flag.value ?? 'VALUE'}`)
    return queue.shift()
  }

  private set({ name, flag }: Found, written: string, value: string | undefined): void {
    const before = this.values.get(name)
    if (flag.kind === 'list') {
      this.values.set(name, [...(Array.isArray(before) ? before : []), value ?? ''])
      return
    }
    if (before !== undefined && flag.kind !== 'switch') throw this.usage(`${written} is given twice`)
    if (value === '' && flag.kind !== 'switch') throw this.usage(`${written} has an empty value`)
    this.values.set(name, value ?? true)
  }

  private checkPositionals(): void {
    const { positionals, rest } = this.verb
    const missing = positionals.slice(this.positionals.length).find((name) => !name.endsWith('?'))
    if (missing !== undefined) throw this.usage(`${missing} is missing`)
    const extra = this.positionals[positionals.length]
    const hint = rest === undefined ? undefined : `what belongs to the program goes after \`--\`: -- ${extra ?? ''}`
    if (extra !== undefined && !positionals.at(-1)?.endsWith('…')) throw this.usage(`\`${extra}\` is one argument too many`, hint)
    if (this.rest !== null && rest === undefined) throw this.usage('nothing can stand after `--` here')
  }

  private unknown(written: string, near: string | undefined): CliError {
    const after = this.verb.rest === undefined ? '' : '; a flag of the program goes after `--`'
    return this.usage(
      `there is no flag \`${written}\` of \`authority ${this.name}\``,
      near === undefined ? `see \`authority help ${this.name}\`${after}` : `did you mean --${near}?`,
    )
  }

  private usage(message: string, hint = `see \`authority help ${this.name}\``): CliError {
    return new CliError('usage', message, hint)
  }
}

function absent(flag: Flag): boolean | string[] | undefined {
  if (flag.kind === 'list') return []
  return flag.kind === 'text' ? undefined : false
}
