/**
 * Arguments of a tool, one call for each way in which the conditions of some rules can hold and fail together: what decides all of these alike decides every call
 * alike. Null where there are too many, or where a list has both a length and members that rules speak of.
 */
import type { Json } from '../../vocabulary/index.ts'
import { type Condition, type ConstrainedTool, parsePointer, testFor } from '../tool-rule.ts'
import { stringsFor } from './argument-strings.ts'
import { MAX_CALLS, MAX_LIST_LENGTH } from './limits.ts'

/** A place in the arguments: what rules ask of the value there, and of what is below it. */
interface Branch {
  readonly conditions: Condition[]
  readonly children: Map<string, Branch>
}

export function callsFor(rules: readonly ConstrainedTool[]): readonly Json[] | null {
  const root: Branch = { conditions: [], children: new Map() }
  for (const { args } of rules) {
    for (const [pointer, condition] of Object.entries(args)) {
      const keys = parsePointer(pointer) ?? []
      keys.reduce(childOf, root).conditions.push(condition)
    }
  }
  return valuesFor(root)?.filter((value) => value !== undefined) ?? null
}

function childOf(branch: Branch, key: string): Branch {
  const known = branch.children.get(key)
  if (known !== undefined) return known
  const made: Branch = { conditions: [], children: new Map() }
  branch.children.set(key, made)
  return made
}

/** `undefined`: nothing is there. */
function valuesFor({ conditions, children }: Branch): readonly (Json | undefined)[] | null {
  const own = ownValues(conditions)
  if (own === null || children.size === 0) return own
  if (conditions.some(({ max_length }) => max_length !== undefined)) return null
  let objects: (readonly (readonly [string, Json])[])[] = [[]]
  for (const [key, child] of children) {
    const values = valuesFor(child)
    if (values === null || objects.length * values.length > MAX_CALLS) return null
    objects = objects.flatMap((members) => values.map((value) => (value === undefined ? members : [...members, [key, value] as const])))
  }
  // Nothing is below what is no object, and a list without a length condition is told from an object by nothing.
  return [...own.filter((value) => typeof value !== 'object' || value === null), ...objects.map(objectOf)]
}

/** One value for each way in which these conditions can hold and fail together. */
function ownValues(conditions: readonly Condition[]): readonly (Json | undefined)[] | null {
  const strings = stringsFor(conditions)
  const lists = listsFor(conditions)
  if (strings === null || lists === null) return null
  const tests = conditions.map(testFor)
  const found = new Map<string, Json | undefined>()
  for (const value of [undefined, {}, ...lists, ...strings, ...numbersFor(conditions), true, false, null]) {
    const answers = tests.map((test) => (test(value) ? '1' : '0')).join('')
    if (!found.has(answers)) found.set(answers, value)
  }
  return [...found.values()]
}

function listsFor(conditions: readonly Condition[]): Json[] | null {
  const lengths = new Set(conditions.flatMap(({ max_length }) => (max_length === undefined ? [] : [max_length, max_length + 1])))
  if ([...lengths].some((length) => length > MAX_LIST_LENGTH)) return null
  return [...lengths].map((length) => Array<Json>(length).fill(0))
}

/** Every number that is named, one between each two, one below and one above all. */
function numbersFor(conditions: readonly Condition[]): number[] {
  const named = conditions.flatMap(({ equals, in: values, min, max }) => [equals, ...(values ?? []), min, max])
  const sorted = [...new Set(named.filter((value) => typeof value === 'number'))].sort((a, b) => a - b)
  const between = sorted.slice(1).map((value, index) => value / 2 + (sorted[index] ?? 0) / 2)
  return [0, -Number.MAX_VALUE, ...sorted, ...between, Number.MAX_VALUE]
}

/** Own members only, `__proto__` too. */
function objectOf(members: readonly (readonly [string, Json])[]): Json {
  const made = {}
  for (const [key, value] of members) Object.defineProperty(made, key, { value, enumerable: true })
  return made
}
