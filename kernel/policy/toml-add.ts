/**
 * Rules into the text of a TOML policy, its comments and order kept. What was written is read again and must hold exactly what was meant; where the text is laid out so
 * that no careful change does that, the whole policy is written anew, without its comments.
 */
import { parse, stringify, type TomlTable } from 'smol-toml'
import { MAX_POLICY_DEPTH } from './limits.ts'
import { locateToml } from './toml-places.ts'

/** A change to one list, `/fs/read`. */
export interface ListChange {
  readonly pointer: string
  readonly rule: string
}

/** Rules taken out one by one, each with a look at the whole text. */
const MAX_CAREFUL_REMOVALS = 200

/** `text` must be valid TOML. `removed` rules are there already; a list that becomes empty goes. */
export function changeToml(text: string, added: readonly ListChange[], removed: readonly ListChange[]): string {
  const meant = read(text)
  for (const { pointer, rule } of added) listAt(meant, pointer).push(rule)
  for (const { pointer, rule } of removed) take(meant, pointer, rule)
  if (removed.length > MAX_CAREFUL_REMOVALS) return stringify(meant)
  let changed = text
  for (const change of removed) changed = without(changed, change)
  // A list at a time: a run may teach thousands of rules.
  for (const [pointer, rules] of Map.groupBy(added, ({ pointer }) => pointer))
    changed = withRules(
      changed,
      pointer,
      rules.map(({ rule }) => quote(rule)),
    )
  return sameTree(changed, meant) ? changed : stringify(meant)
}

/** The tree of a TOML policy as JSON has it. */
export function treeOfToml(text: string): unknown {
  return JSON.parse(canonical(read(text)))
}

function read(text: string): TomlTable {
  return parse(text, { integersAsBigInt: true, maxDepth: MAX_POLICY_DEPTH, unsafeKeyBehaviour: 'throw' })
}

function sameTree(text: string, meant: TomlTable): boolean {
  try {
    return canonical(read(text)) === canonical(meant)
  } catch {
    return false
  }
}

/** Independent of the order of keys, which a change may alter. */
function canonical(tree: TomlTable): string {
  return JSON.stringify(tree, (_, value: unknown) => {
    if (typeof value === 'bigint') return Number(value)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
    return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
  })
}

function listAt(tree: TomlTable, pointer: string): unknown[] {
  const keys = pointer.slice(1).split('/')
  const last = keys.pop() ?? ''
  let table = tree
  for (const key of keys) {
    table[key] ??= {}
    table = table[key] as TomlTable
  }
  table[last] ??= []
  return table[last] as unknown[]
}

function take(tree: TomlTable, pointer: string, rule: string): void {
  const list = listAt(tree, pointer)
  const at = list.indexOf(rule)
  if (at !== -1) list.splice(at, 1)
  if (list.length > 0) return
  const keys = pointer.slice(1).split('/')
  const last = keys.pop() ?? ''
  const table = keys.reduce<TomlTable>((inner, key) => inner[key] as TomlTable, tree)
  delete table[last]
}

function withRules(text: string, pointer: string, rules: readonly string[]): string {
  const places = locateToml(text)
  const [start, end] = [places.get(pointer), places.get(`end:${pointer}`)]
  if (start !== undefined && end !== undefined && text[start] === '[') {
    let last: number | undefined
    for (let index = 0; places.has(`end:${pointer}/${index}`); index++) last = places.get(`end:${pointer}/${index}`)
    if (last === undefined) return insert(text, start + 1, rules.join(', '))
    // As the list is laid out: each rule on a line of its own, or one after the other.
    const before = /^\[(\s*\n[ \t]*)/.exec(text.slice(start))?.[1]
    return insert(text, last, rules.map((rule) => `,${before ?? ' '}${rule}`).join(''))
  }
  const [table, key] = pointer.slice(1).split('/')
  if (key === undefined) return afterLine(text, places.get('key:/version') ?? 0, `${table} = [${rules.join(', ')}]`)
  return withList(text, table ?? '', `${key} = [${rules.join(', ')}]`)
}

/** A list that is not there yet, into the table as it is written: `[fs]`, `fs = { … }`, `fs.read = …`, or not at all. */
function withList(text: string, table: string, line: string): string {
  const places = locateToml(text)
  const at = places.get(`/${table}`)
  if (at === undefined) return `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}\n[${table}]\n${line}\n`
  if (text[at] === '{') {
    const close = (places.get(`end:/${table}`) ?? at + 1) - 1
    return insert(text, close, /^\{\s*$/.test(text.slice(at, close)) ? ` ${line} ` : `, ${line}`)
  }
  const lead = text.slice(text.lastIndexOf('\n', at - 1) + 1, at)
  // `[fs]`, or `[fs.deny]` where there is no `[fs]`: that one then stands in front.
  if (/^\s*\[\s*$/.test(lead)) {
    if (new RegExp(`^${table}\\s*\\]`).test(text.slice(at))) return afterLine(text, at, line)
    return insert(text, at - lead.length, `[${table}]\n${line}\n\n`)
  }
  return insert(text, at - lead.length, `${table}.${line}\n`)
}

function without(text: string, { pointer, rule }: ListChange): string {
  const places = locateToml(text)
  const list = listAt(read(text), pointer)
  const index = list.indexOf(rule)
  const [from, to] = [places.get(`${pointer}/${index}`), places.get(`end:${pointer}/${index}`)]
  if (index === -1 || from === undefined || to === undefined) return text
  if (list.length === 1) return withoutLine(text, places.get(`key:${pointer}`) ?? 0, places.get(`end:${pointer}`) ?? 0)
  const next = places.get(`${pointer}/${index + 1}`)
  if (next !== undefined) return text.slice(0, from) + text.slice(next)
  const before = places.get(`end:${pointer}/${index - 1}`) ?? from
  return text.slice(0, before) + text.slice(to)
}

/** A key and its value, with the lines they stand on when nothing else does. */
function withoutLine(text: string, from: number, to: number): string {
  const start = text.lastIndexOf('\n', from - 1) + 1
  const end = text.indexOf('\n', to)
  const alone = text.slice(start, from).trim() === '' && (end === -1 ? text.slice(to) : text.slice(to, end)).trim() === ''
  return alone ? text.slice(0, start) + (end === -1 ? '' : text.slice(end + 1)) : text
}

function afterLine(text: string, at: number, line: string): string {
  const end = text.indexOf('\n', at)
  return end === -1 ? `${text}\n${line}\n` : insert(text, end + 1, `${line}\n`)
}

function insert(text: string, at: number, what: string): string {
  return text.slice(0, at) + what + text.slice(at)
}

/** JSON's strings are basic strings of TOML: a rule holds no control character. */
function quote(rule: string): string {
  return JSON.stringify(rule)
}
