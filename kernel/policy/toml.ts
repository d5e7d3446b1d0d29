/** TOML with the same tree as JSON. The values are smol-toml's; the places come from a second, forgiving walk over text already known to be valid. */
import { parse, TomlError } from 'smol-toml'
import { MAX_POINTERS, MAX_POLICY_DEPTH, MAX_POLICY_VALUES } from './limits.ts'
import { PolicyLoadError, printable } from './load-error.ts'
import type { SourceText } from './source-text.ts'
import { locateToml } from './toml-places.ts'
import { type Node, pointerTo } from './tree.ts'

/** Throws PolicyLoadError. */
export function parseToml(source: SourceText): Node {
  let table: unknown
  try {
    // Integers as bigint: `1` and `1.0` differ, and none is rounded.
    table = parse(source.text, { integersAsBigInt: true, maxDepth: MAX_POLICY_DEPTH, unsafeKeyBehaviour: 'throw' })
  } catch (error) {
    throw new PolicyLoadError(source.name, [
      error instanceof TomlError
        ? { line: error.line, column: error.column, pointer: '', ...saidPlainly(error.message) }
        : { line: 1, column: 1, pointer: '', message: 'the file is not valid TOML', suggestion: null },
    ])
  }
  if (pointersOf(table) > MAX_POINTERS)
    throw new PolicyLoadError(source.name, [
      { line: 1, column: 1, pointer: '', message: 'the keys of the file are too long or too many', suggestion: 'a policy has short keys' },
    ])
  const places = locateToml(source.text)
  let values = 0

  function convert(value: unknown, pointer: string, depth: number): Node {
    const at = places.get(pointer) ?? 0
    const refuse = (message: string): never => {
      throw new PolicyLoadError(source.name, [source.problem(at, pointer, message)])
    }
    if (++values > MAX_POLICY_VALUES) refuse(`more than ${MAX_POLICY_VALUES} values`)
    if (depth > MAX_POLICY_DEPTH) refuse(`nested deeper than ${MAX_POLICY_DEPTH}`)
    if (typeof value === 'string') return { kind: 'string', at, value }
    if (typeof value === 'boolean') return { kind: 'boolean', at, value }
    if (typeof value === 'bigint') return { kind: 'number', at, text: String(value) }
    if (typeof value === 'number') return { kind: 'number', at, text: Number.isInteger(value) ? `${value}.0` : String(value) }
    if (Array.isArray(value))
      return { kind: 'list', at, items: value.map((item, index) => convert(item, pointerTo(pointer, index), depth + 1)) }
    if (value instanceof Date || typeof value !== 'object' || value === null) return { kind: 'date', at }
    const members = Object.entries(value).map(([key, item]) => {
      const below = pointerTo(pointer, key)
      return { key, at: places.get(`key:${below}`) ?? places.get(below) ?? at, value: convert(item, below, depth + 1) }
    })
    return { kind: 'object', at, members }
  }

  return convert(table, '', 1)
}

/** Characters of all places of the file as pointers: under one long key each of many values has a long one. */
function pointersOf(table: unknown): number {
  let total = 0
  const open: { readonly value: unknown; readonly length: number; readonly depth: number }[] = [{ value: table, length: 0, depth: 1 }]
  for (let next = open.pop(); next !== undefined && total <= MAX_POINTERS; next = open.pop()) {
    const { value, length, depth } = next
    // What is deeper is refused before it is looked at.
    if (typeof value !== 'object' || value === null || depth > MAX_POLICY_DEPTH) continue
    for (const key of Object.keys(value)) {
      const below = length + key.length + 1
      total += below
      open.push({ value: (value as Readonly<Record<string, unknown>>)[key], length: below, depth: depth + 1 })
    }
  }
  return total
}

/** smol-toml's words, and for faults a policy is likely to have our own. */
function saidPlainly(text: string): { readonly message: string; readonly suggestion: string | null } {
  const message = (text.split('\n', 1)[0] ?? text).replace(/^Invalid TOML document: /, '')
  if (/\bredefine\b/.test(message)) return { message: 'a key or table that stands twice', suggestion: 'merge the two' }
  if (/excessively nested/.test(message)) return { message: `nested deeper than ${MAX_POLICY_DEPTH}`, suggestion: null }
  if (/unsafe property/.test(message)) return { message: 'unknown key: no key of a policy has such a name', suggestion: 'remove it' }
  return { message: printable(message), suggestion: null }
}
