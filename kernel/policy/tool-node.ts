/** A constrained tool rule out of a parsed file: `{ "name": …, "args": { POINTER: CONDITION } }`. */
import { quoted } from './load-error.ts'
import { nearestKey } from './nearest-key.ts'
import { CONDITION_KEYS, type Condition, type ConstrainedTool, type Scalar } from './tool-rule.ts'
import { type Node, pointerTo } from './tree.ts'

type Report = (at: number, pointer: string, message: string, suggestion?: string | null) => void

/** Null after a report. */
export function readConstrainedTool(node: Extract<Node, { kind: 'object' }>, pointer: string, report: Report): ConstrainedTool | null {
  let name: string | null = null
  let args: Record<string, Condition> | null = null
  let sound = true
  const refuse = (at: number, below: string, message: string, suggestion: string | null = null): void => {
    sound = false
    report(at, below, message, suggestion)
  }
  for (const { key, at, value } of node.members) {
    const below = pointerTo(pointer, key)
    if (key === 'name' && value.kind === 'string') name = value.value
    else if (key === 'args' && value.kind === 'object') args = readConditions(value, below, refuse)
    else if (key === 'name' || key === 'args')
      refuse(value.at, below, `expected ${key === 'name' ? 'a string' : 'an object of conditions'}`, null)
    else refuse(at, below, `unknown key ${quoted(key)} in a tool rule`, 'known here: name, args')
  }
  if (name === null && sound) refuse(node.at, pointer, 'the key `name` is missing', 'name the tool: `{ "name": "TOOL", "args": { … } }`')
  if (args === null && sound) refuse(node.at, pointer, 'the key `args` is missing', 'write the tool as a plain string')
  return sound && name !== null && args !== null ? { name, args } : null
}

function readConditions(node: Extract<Node, { kind: 'object' }>, pointer: string, refuse: Report): Record<string, Condition> {
  const entries: [string, Condition][] = []
  for (const { key, value } of node.members) {
    const below = pointerTo(pointer, key)
    if (value.kind !== 'object') refuse(value.at, below, 'expected a condition', 'write e.g. `{ "equals": "x" }`')
    else entries.push([key, readCondition(value, below, refuse)])
  }
  return Object.fromEntries(entries)
}

function readCondition(node: Extract<Node, { kind: 'object' }>, pointer: string, refuse: Report): Condition {
  const found: Record<string, unknown> = {}
  for (const { key, at, value } of node.members) {
    const below = pointerTo(pointer, key)
    const wrong = (wanted: string): void => refuse(value.at, below, `expected ${wanted}`)
    switch (key) {
      case 'equals': {
        const scalar = scalarOf(value)
        if (scalar === undefined) wrong('a string, number, true, false or null')
        else found[key] = scalar
        break
      }
      case 'in': {
        const items = value.kind === 'list' ? value.items.map(scalarOf) : [undefined]
        if (items.includes(undefined)) wrong('a list of strings, numbers, true, false or null')
        else found[key] = items
        break
      }
      case 'prefix':
      case 'glob':
        if (value.kind === 'string') found[key] = value.value
        else wrong('a string')
        break
      case 'min':
      case 'max':
      case 'max_length': {
        const number = scalarOf(value)
        if (typeof number !== 'number' || (key === 'max_length' && (!Number.isSafeInteger(number) || number < 0)))
          wrong(key === 'max_length' ? 'a whole number' : 'a number')
        else found[key] = number
        break
      }
      case 'absent':
        if (value.kind === 'boolean' && value.value) found[key] = true
        else wrong('`true`')
        break
      default: {
        const near = nearestKey(key, CONDITION_KEYS)
        refuse(
          at,
          below,
          `unknown condition ${quoted(key)}`,
          near === null ? `conditions are ${CONDITION_KEYS.join(', ')}` : `did you mean \`${near}\`?`,
        )
      }
    }
  }
  return found as Condition
}

/** Undefined: not a scalar, or a number that cannot be kept exactly enough to compare. */
function scalarOf(node: Node): Scalar | undefined {
  switch (node.kind) {
    case 'string':
    case 'boolean':
      return node.value
    case 'null':
      return null
    case 'number': {
      const number = Number(node.text)
      const whole = /^-?[0-9]+$/.test(node.text)
      return Number.isFinite(number) && (!whole || Number.isSafeInteger(number)) ? number : undefined
    }
    default:
      return undefined
  }
}
