/** Tool rules: a name or prefix, and conditions on the call's arguments by JSON pointer (RFC 6901). */
import { matchNamePattern, matchPathGlob, PatternError, parseNamePattern, parsePathGlob } from '../patterns/index.ts'
import type { Json } from '../vocabulary/index.ts'
import { MAX_CONDITION_VALUES, MAX_CONDITIONS } from './limits.ts'

export type Scalar = string | number | boolean | null

/** All that are given must hold of the value the pointer leads to. A pointer that leads nowhere satisfies only `absent`. */
export interface Condition {
  readonly equals?: Scalar
  readonly in?: readonly Scalar[]
  readonly prefix?: string
  /** A path glob over a canonical absolute path. */
  readonly glob?: string
  readonly min?: number
  readonly max?: number
  /** Code points of a string, items of a list. */
  readonly max_length?: number
  readonly absent?: true
}

export interface ConstrainedTool {
  readonly name: string
  readonly args: Readonly<Record<string, Condition>>
}

export type ToolRule = string | ConstrainedTool

/** `holds`: a rule that allows. A rule that denies or asks also applies where it cannot be told whether it holds. */
export type Doubt = 'holds' | 'applies'

export interface CompiledTools {
  /** Lowest index of a rule that matches the call, or null. `args`: undefined when the call's arguments are not known. */
  match(name: string, args: Json | undefined): number | null
  /** A rule for the tool that matches but for a condition: its index and the pointer at fault. */
  nearMiss(name: string, args: Json | undefined): { readonly rule: number; readonly pointer: string } | null
}

/** Throws PatternError for a malformed name, pointer or condition. */
export function checkToolRule(rule: ToolRule): void {
  parseNamePattern(nameOf(rule))
  if (typeof rule === 'string') return
  const conditions = Object.entries(rule.args)
  if (conditions.length === 0) throw new PatternError('`args` names no argument', 'write the tool as a plain string')
  if (conditions.length > MAX_CONDITIONS) throw new PatternError(`\`args\` has more than ${MAX_CONDITIONS} conditions`)
  for (const [pointer, condition] of conditions) checkCondition(pointer, condition)
}

function checkCondition(pointer: string, condition: Condition): void {
  if (parsePointer(pointer) === null)
    throw new PatternError(`\`${pointer}\` is not a JSON pointer`, `write \`/${pointer.replace(/^[$./]+/, '').replace(/\./g, '/')}\``)
  const given = Object.keys(condition)
  if (given.length === 0) throw new PatternError(`the condition for \`${pointer}\` is empty`, 'write e.g. `{ "equals": "x" }`')
  if (condition.absent === true && given.length > 1)
    throw new PatternError(`the condition for \`${pointer}\` can never hold`, '`absent` stands alone')
  if ((condition.in?.length ?? 1) === 0) throw new PatternError(`\`in\` for \`${pointer}\` is an empty list`, 'name at least one value')
  if ((condition.in?.length ?? 0) > MAX_CONDITION_VALUES) throw new PatternError(`\`in\` has more than ${MAX_CONDITION_VALUES} values`)
  if (condition.glob !== undefined) parsePathGlob(condition.glob)
  if (condition.min !== undefined && condition.max !== undefined && condition.min > condition.max)
    throw new PatternError(`\`min\` for \`${pointer}\` is above \`max\``, 'swap the two')
  // `https://api.example.com` is also the beginning of `https://api.example.com.evil.test`.
  if (condition.prefix !== undefined && /^[a-z][a-z0-9+.-]*:\/\/[^/]*$/i.test(condition.prefix))
    throw new PatternError(`the prefix \`${condition.prefix}\` does not end the host`, `write \`${condition.prefix}/\``)
}

export function nameOf(rule: ToolRule): string {
  return typeof rule === 'string' ? rule : rule.name
}

/** One line of plain text, for messages and listings. */
export function toolRuleText(rule: ToolRule): string {
  return typeof rule === 'string' ? rule : `${rule.name} with ${JSON.stringify(rule.args)}`
}

/** The rules must have been checked. Exact names by table, prefixes one by one. */
export function compileTools(rules: readonly ToolRule[], doubt: Doubt): CompiledTools {
  const exact = new Map<string, number[]>()
  const open: number[] = []
  const tests = rules.map((rule) => testOf(rule, doubt))
  for (const [index, rule] of rules.entries()) {
    const pattern = parseNamePattern(nameOf(rule))
    if (pattern.open) open.push(index)
    else exact.set(pattern.prefix, [...(exact.get(pattern.prefix) ?? []), index])
  }
  const named = (name: string): number[] => [
    ...(exact.get(name) ?? []),
    ...open.filter((index) => matchNamePattern(parseNamePattern(nameOf(rules[index] ?? '')), name)),
  ]
  return {
    match: (name, args) =>
      named(name).reduce<number | null>(
        (best, index) => ((best !== null && best < index) || tests[index]?.(args) !== null ? best : index),
        null,
      ),
    nearMiss: (name, args) => {
      for (const rule of named(name)) {
        const pointer = tests[rule]?.(args) ?? null
        if (pointer !== null) return { rule, pointer }
      }
      return null
    },
  }
}

/** Pointer of the first condition that does not hold, or null when the rule matches. */
function testOf(rule: ToolRule, doubt: Doubt): (args: Json | undefined) => string | null {
  if (typeof rule === 'string') return () => null
  const conditions = Object.entries(rule.args).map(([pointer, condition]) => ({
    pointer,
    keys: parsePointer(pointer) ?? [],
    condition,
    glob: condition.glob === undefined ? null : parsePathGlob(condition.glob),
  }))
  return (args) => {
    if (args === undefined) return doubt === 'applies' ? null : (conditions[0]?.pointer ?? '')
    return conditions.find(({ keys, condition, glob }) => !holds(valueAt(args, keys), condition, glob))?.pointer ?? null
  }
}

/** Whether one condition holds of a value; undefined: the pointer leads nowhere. */
export function testFor(condition: Condition): (value: Json | undefined) => boolean {
  const glob = condition.glob === undefined ? null : parsePathGlob(condition.glob)
  return (value) => holds(value, condition, glob)
}

function holds(value: Json | undefined, condition: Condition, glob: ReturnType<typeof parsePathGlob> | null): boolean {
  if (condition.absent === true) return value === undefined
  if (value === undefined) return false
  if ('equals' in condition && value !== condition.equals) return false
  if (condition.in !== undefined && !condition.in.some((allowed) => allowed === value)) return false
  if (condition.prefix !== undefined && !(typeof value === 'string' && value.startsWith(condition.prefix))) return false
  if (glob !== null && !(typeof value === 'string' && matchPathGlob(glob, value))) return false
  if (condition.min !== undefined && !(typeof value === 'number' && value >= condition.min)) return false
  if (condition.max !== undefined && !(typeof value === 'number' && value <= condition.max)) return false
  return condition.max_length === undefined || lengthOf(value) <= condition.max_length
}

function lengthOf(value: Json): number {
  if (typeof value === 'string') return Array.from(value).length
  return Array.isArray(value) ? value.length : Number.POSITIVE_INFINITY
}

/** Only own members: `__proto__` and `length` lead nowhere. */
function valueAt(root: Json, keys: readonly string[]): Json | undefined {
  let value: Json | undefined = root
  for (const key of keys) {
    if (typeof value !== 'object' || value === null) return undefined
    if (Array.isArray(value)) value = /^(0|[1-9][0-9]*)$/.test(key) ? (value as readonly Json[])[Number(key)] : undefined
    else value = Object.hasOwn(value, key) ? (value as { readonly [key: string]: Json })[key] : undefined
  }
  return value
}

/** Unescaped reference tokens, or null when it is not a pointer. */
export function parsePointer(text: string): string[] | null {
  if (text === '') return []
  if (!text.startsWith('/') || /~(?![01])/.test(text)) return null
  return text
    .slice(1)
    .split('/')
    .map((token) => token.replace(/~1/g, '/').replace(/~0/g, '~'))
}

const SCALAR_SCHEMA = { type: ['string', 'number', 'boolean', 'null'] }

export const CONDITION_KEYS = ['equals', 'in', 'prefix', 'glob', 'min', 'max', 'max_length', 'absent'] as const

/** For editors. */
export const CONSTRAINED_TOOL_SCHEMA: Record<string, unknown> = {
  type: 'object',
  description: 'A tool, only with arguments that satisfy every condition.',
  additionalProperties: false,
  required: ['name', 'args'],
  properties: {
    name: { type: 'string', minLength: 1 },
    args: {
      type: 'object',
      description: 'JSON pointer into the arguments → what must hold of the value there.',
      minProperties: 1,
      propertyNames: { pattern: '^(/|$)' },
      additionalProperties: {
        type: 'object',
        additionalProperties: false,
        minProperties: 1,
        properties: {
          equals: SCALAR_SCHEMA,
          in: { type: 'array', items: SCALAR_SCHEMA, minItems: 1 },
          prefix: { type: 'string' },
          glob: { type: 'string', pattern: '^/' },
          min: { type: 'number' },
          max: { type: 'number' },
          max_length: { type: 'integer', minimum: 0 },
          absent: { const: true },
        },
      },
    },
  },
}
