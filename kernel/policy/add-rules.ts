/** Rules into the text of a policy, in its own format, its keys and their order kept. */
import { changeToml, type ListChange, treeOfToml } from './toml-add.ts'

export interface NewRule {
  /** `fs.read`, `net.connect`, … or `profiles`. */
  readonly permission: string
  readonly rule: string
}

export interface Added {
  readonly text: string
  /** The same as JSON has it. */
  readonly tree: unknown
  /** Rules for looking that gave way. */
  readonly replaced: readonly string[]
}

/** A rule for looking gives way to the same rule for reading or changing, which implies it. `text` must load. */
export function addRules(text: string, format: 'json' | 'toml', rules: readonly NewRule[]): Added {
  const tree = format === 'toml' ? treeOfToml(text) : (JSON.parse(text) as unknown)
  const added = rules
    .map(({ permission, rule }): ListChange => ({ pointer: `/${permission.replaceAll('.', '/')}`, rule }))
    .filter(({ pointer, rule }) => !listAt(tree, pointer).includes(rule))
  const implying = new Set(rules.flatMap(({ permission, rule }) => (permission === 'fs.read' || permission === 'fs.write' ? [rule] : [])))
  const removed = listAt(tree, LOOK).flatMap((rule) => (typeof rule === 'string' && implying.has(rule) ? [{ pointer: LOOK, rule }] : []))
  const replaced = removed.map(({ rule }) => rule)
  if (format === 'toml') {
    const changed = changeToml(text, added, removed)
    return { text: changed, tree: treeOfToml(changed), replaced }
  }
  for (const { pointer, rule } of added) setList(tree, pointer, [...listAt(tree, pointer), rule])
  if (removed.length > 0)
    setList(
      tree,
      LOOK,
      listAt(tree, LOOK).filter((rule) => !removed.some((change) => change.rule === rule)),
    )
  return { text: `${JSON.stringify(tree, null, 2)}\n`, tree, replaced }
}

const LOOK = '/fs/look'

function listAt(tree: unknown, pointer: string): readonly unknown[] {
  const value = pointer
    .slice(1)
    .split('/')
    .reduce<unknown>((table, key) => (typeof table === 'object' && table !== null ? Reflect.get(table, key) : undefined), tree)
  return Array.isArray(value) ? (value as unknown[]) : []
}

/** An empty list goes. */
function setList(tree: unknown, pointer: string, list: readonly unknown[]): void {
  const keys = pointer.slice(1).split('/')
  const last = keys.pop() ?? ''
  let table = tree as Record<string, unknown>
  for (const key of keys) {
    table[key] ??= {}
    table = table[key] as Record<string, unknown>
  }
  if (list.length > 0) table[last] = list
  else delete table[last]
}
