/** Checks a parsed file against the schema and hands out its leaves with their places. Meaning of the strings is document.ts's. */
import { MAX_HOSTS, MAX_LIST_RULES } from './limits.ts'
import { type Problem, quoted, quotedKey } from './load-error.ts'
import { nearestKey } from './nearest-key.ts'
import { MONEY, POLICY_SHAPE, type RuleKind, type Shape } from './schema.ts'
import type { SourceText } from './source-text.ts'
import { readConstrainedTool } from './tool-node.ts'
import type { ConstrainedTool } from './tool-rule.ts'
import { type Node, pointerTo } from './tree.ts'

/** A string of the file with its place. */
export interface Located {
  readonly text: string
  readonly pointer: string
  readonly at: number
  /** A tool rule with conditions; `text` is its name. */
  readonly tool?: ConstrainedTool
}

export interface Structure {
  /** Pointer of a list (`/fs/read`) → its rules. */
  readonly lists: ReadonlyMap<string, { readonly of: RuleKind; readonly rules: readonly Located[] }>
  /** Pointer → value, e.g. `/budgets/calls`. */
  readonly integers: ReadonlyMap<string, { readonly value: number; readonly at: number }>
  readonly hosts: readonly { readonly name: string; readonly address: Located; readonly at: number; readonly pointer: string }[]
  readonly problems: Problem[]
}

export function readStructure(root: Node, source: SourceText): Structure {
  const lists = new Map<string, { of: RuleKind; rules: Located[] }>()
  const integers = new Map<string, { value: number; at: number }>()
  const hosts: { name: string; address: Located; at: number; pointer: string }[] = []
  const problems: Problem[] = []
  const report = (at: number, pointer: string, message: string, suggestion: string | null = null): void => {
    problems.push(source.problem(at, pointer, message, suggestion))
  }
  read(root, POLICY_SHAPE, '')
  return { lists, integers, hosts, problems }

  function read(node: Node, shape: Shape, pointer: string): void {
    switch (shape.kind) {
      case 'object':
        return readObject(node, shape, pointer)
      case 'rules':
        return readRules(node, shape.of, pointer)
      case 'integer':
        return readInteger(node, pointer)
      case 'money':
        return readMoney(node, pointer)
      case 'text':
        return readText(node, shape, pointer)
      case 'hosts':
        return readHosts(node, pointer)
      case 'refused':
        return report(node.at, pointer, `${quoted(nameOf(pointer))} is known but not supported here`, shape.instead)
    }
  }

  function readObject(node: Node, shape: Extract<Shape, { kind: 'object' }>, pointer: string): void {
    if (node.kind !== 'object') return wrongKind(node, pointer, pointer === '' ? 'an object' : 'an object of lists')
    const known = Object.keys(shape.members).filter((key) => shape.members[key]?.kind !== 'refused' && key !== '$schema')
    for (const { key, at, value } of node.members) {
      const below = pointerTo(pointer, key)
      const member = Object.hasOwn(shape.members, key) ? shape.members[key] : undefined
      if (member !== undefined && member.kind === 'refused')
        report(at, below, `${quoted(key)} is known but not supported here`, member.instead)
      else if (member !== undefined) read(value, member, below)
      else {
        const near = nearestKey(key, known)
        report(
          at,
          below,
          `unknown key ${quotedKey(key)}${pointer === '' ? '' : ` in \`${nameOf(pointer)}\``}`,
          near === null ? `known here: ${known.join(', ')}` : `did you mean \`${near}\`?`,
        )
      }
    }
    for (const key of shape.required ?? []) {
      if (!node.members.some((member) => member.key === key))
        report(node.at, pointer, `the key \`${key}\` is missing`, key === 'version' ? 'add `"version": "1.0"`' : null)
    }
  }

  function readRules(node: Node, of: RuleKind, pointer: string): void {
    if (node.kind !== 'list') return wrongKind(node, pointer, 'a list of strings', node.kind === 'string' ? 'put it into `[` `]`' : null)
    if (node.items.length > MAX_LIST_RULES)
      return report(
        node.at,
        pointer,
        `the list has ${node.items.length} rules, more than ${MAX_LIST_RULES}`,
        'replace literal rules by globs',
      )
    const found: Located[] = []
    for (const [index, item] of node.items.entries()) {
      const below = pointerTo(pointer, index)
      if (item.kind === 'string') found.push({ text: item.value, pointer: below, at: item.at })
      else if (of === 'tool' && item.kind === 'object') {
        const tool = readConstrainedTool(item, below, report)
        if (tool !== null) found.push({ text: tool.name, pointer: below, at: item.at, tool })
      } else wrongKind(item, below, 'a string')
    }
    lists.set(pointer, { of, rules: found })
  }

  function readInteger(node: Node, pointer: string): void {
    if (node.kind !== 'number') return wrongKind(node, pointer, 'a whole number', node.kind === 'string' ? 'write it without quotes' : null)
    const value = Number(node.text)
    if (!/^(0|[1-9][0-9]*)$/.test(node.text) || !Number.isSafeInteger(value)) {
      return report(node.at, pointer, `${quoted(node.text)} is not a whole number from 0 to 2^53-1`, 'write plain digits')
    }
    integers.set(pointer, { value, at: node.at })
  }

  function readMoney(node: Node, pointer: string): void {
    const value = node.kind === 'string' ? parseMoney(node.value) : null
    if (value === null)
      return node.kind === 'string'
        ? report(node.at, pointer, `${quoted(node.value)} is not an amount`, 'write US dollars as `"$5"` or `"$0.25"`')
        : wrongKind(node, pointer, 'an amount as text', 'write US dollars as `"$5"` or `"$0.25"`')
    integers.set(pointer, { value, at: node.at })
  }

  function readText(node: Node, shape: Extract<Shape, { kind: 'text' }>, pointer: string): void {
    if (node.kind !== 'string')
      return wrongKind(node, pointer, 'a string', shape.only === undefined ? null : `write \`"${shape.only.join('" or "')}"\``)
    if (shape.only !== undefined && !shape.only.includes(node.value)) {
      report(
        node.at,
        pointer,
        `${quoted(node.value)} is not a ${nameOf(pointer)} this build knows`,
        `write \`"${shape.only.join('" or "')}"\``,
      )
    }
  }

  function readHosts(node: Node, pointer: string): void {
    if (node.kind !== 'object') return wrongKind(node, pointer, 'an object of name and address')
    if (node.members.length > MAX_HOSTS) return report(node.at, pointer, `more than ${MAX_HOSTS} names`)
    for (const { key, at, value } of node.members) {
      const below = pointerTo(pointer, key)
      if (value.kind === 'string')
        hosts.push({ name: key, at, pointer: below, address: { text: value.value, pointer: below, at: value.at } })
      else wrongKind(value, below, 'an address as text')
    }
  }

  function wrongKind(node: Node, pointer: string, wanted: string, suggestion: string | null = null): void {
    report(node.at, pointer, `expected ${wanted} but found ${KINDS[node.kind]}`, suggestion)
  }
}

const KINDS: Readonly<Record<Node['kind'], string>> = {
  object: 'an object',
  list: 'a list',
  string: 'a string',
  number: 'a number',
  boolean: 'true or false',
  null: 'null',
  date: 'a date',
}

/** `/fs/read` → `fs.read`. */
function nameOf(pointer: string): string {
  return pointer.slice(1).replace(/\//g, '.')
}

/** `$5`, `$0.25` → 10⁻⁹ US dollar, or null. Exact: no floating point. */
export function parseMoney(text: string): number | null {
  const parts = MONEY.exec(text)
  if (parts === null) return null
  const value = BigInt(parts[1] ?? '0') * 1_000_000_000n + BigInt((parts[2] ?? '').padEnd(9, '0'))
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : null
}
