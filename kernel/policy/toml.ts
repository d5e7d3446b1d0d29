/** TOML with the same tree as JSON. The values are smol-toml's; the places come from a second, forgiving walk over text already known to be valid. */
import { parse, TomlError } from 'smol-toml'
import { MAX_POLICY_DEPTH, MAX_POLICY_VALUES } from './limits.ts'
import { PolicyLoadError } from './load-error.ts'
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
        ? { line: error.line, column: error.column, pointer: '', message: firstLine(error.message), suggestion: null }
        : { line: 1, column: 1, pointer: '', message: 'the file is not valid TOML', suggestion: null },
    ])
  }
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

function firstLine(message: string): string {
  return (message.split('\n', 1)[0] ?? message).replace(/^Invalid TOML document: /, '')
}
