/**
 * Tools and models: decided on every name a rule mentions and, below every prefix, on a name none mentions; where arguments matter, on a call for each way in which
 * the conditions can hold and fail together.
 */
import { MAX_NAME_PATTERN_BYTES, parseNamePattern } from '../../patterns/index.ts'
import type { Json, Question } from '../../vocabulary/index.ts'
import type { LoadedPolicy } from '../stage.ts'
import { type Condition, type ConstrainedTool, nameOf, type ToolRule } from '../tool-rule.ts'
import { callsFor } from './arguments.ts'
import { confirm } from './confirm.ts'
import { type Containment, YES } from './types.ts'

export function modelsContained(parent: LoadedPolicy, child: LoadedPolicy): Containment {
  const texts = [parent, child].flatMap(({ document: { infer } }) => [...infer.models, ...infer.deny, ...infer.ask])
  for (const object of candidates(texts)) {
    const found = confirm(parent, child, { action: 'infer', object })
    if (found !== null) return found
  }
  const [outer, inner] = [parent.maxTokens ?? Number.POSITIVE_INFINITY, child.maxTokens ?? Number.POSITIVE_INFINITY]
  if (child.document.infer.models.length + child.document.infer.ask.length > 0 && inner > outer)
    return { contains: 'no', example: null, why: `an answer may have ${inner} tokens under the child, ${outer} under the parent` }
  return YES
}

export function toolsContained(parent: LoadedPolicy, child: LoadedPolicy): Containment {
  const lists = (policy: LoadedPolicy): ToolRule[] => [
    ...policy.document.tools.allow,
    ...policy.document.tools.deny,
    ...policy.document.tools.ask,
  ]
  const names = candidates([parent, child].flatMap(lists).map(nameOf))
  let doubt: Containment = YES
  for (const name of names) {
    const found = toolContained(parent, child, name)
    if (found.contains === 'no') return found
    if (found.contains === 'unknown') doubt = found
  }
  return doubt
}

function toolContained(parent: LoadedPolicy, child: LoadedPolicy, name: string): Containment {
  const [outer, inner] = [parent.document.tools, child.document.tools]
  // What is not known of a call's arguments is asked too.
  const found = confirm(parent, child, { action: 'tools', object: name })
  if (found !== null) return found
  if ([...inner.allow, ...inner.ask].filter((rule) => matches(rule, name)).every((rule) => isCovered(parent, child, name, rule))) return YES
  const constrained = [outer, inner]
    .flatMap(({ allow, ask, deny }) => [...allow, ...ask, ...deny])
    .filter((rule) => typeof rule !== 'string' && matches(rule, name)) as ConstrainedTool[]
  const calls = callsFor(constrained)
  for (const args of calls ?? constrained.flatMap((rule) => [...examples(rule)])) {
    const beyond = confirm(parent, child, { action: 'tools', object: name, args } satisfies Question)
    if (beyond !== null) return beyond
  }
  return calls === null
    ? { contains: 'unknown', why: `the conditions on the arguments of ${name} are too many or too tangled to compare` }
    : YES
}

/** Seen at once: one rule of the parent allows all that this one does, and nothing of the parent's stands in the way. */
function isCovered(parent: LoadedPolicy, child: LoadedPolicy, name: string, rule: ToolRule): boolean {
  const { allow, ask, deny } = parent.document.tools
  const inner = child.document.tools
  // What the child denies or asks about in the same words cannot tell the two apart.
  const denies = deny.filter((each) => matches(each, name) && !has(inner.deny, each))
  const asks = ask.filter((each) => matches(each, name) && !has(inner.ask, each))
  const asked = has(inner.ask, rule)
  const covers = (each: ToolRule): boolean => matches(each, name) && implies(rule, each)
  return denies.length === 0 && (asked || asks.length === 0) && [...allow, ...(asked ? ask : [])].some(covers)
}

function has(list: readonly ToolRule[], rule: ToolRule): boolean {
  const text = JSON.stringify(rule)
  return list.some((each) => JSON.stringify(each) === text)
}

function matches(rule: ToolRule, name: string): boolean {
  const { prefix, open } = parseNamePattern(nameOf(rule))
  return open ? name.startsWith(prefix) : name === prefix
}

function candidates(texts: readonly string[]): string[] {
  const prefixes = new Set(texts.map((text) => parseNamePattern(text).prefix))
  let fresh = 'zq'
  while ([...prefixes].some((prefix) => prefix.includes(fresh))) fresh += 'q'
  return [...prefixes].flatMap((prefix) => {
    if (prefix === '') return [fresh]
    const longer = prefix.length + fresh.length <= MAX_NAME_PATTERN_BYTES ? [fresh] : Array.from('zqjxkv0123456789')
    return [prefix, ...longer.map((rest) => prefix + rest)]
  })
}

/** Whether every call that satisfies the inner rule satisfies the outer one. Sound, not complete. */
function implies(inner: ToolRule, outer: ToolRule): boolean {
  if (typeof outer === 'string') return true
  if (typeof inner === 'string') return false
  return Object.entries(outer.args).every(([pointer, condition]) => {
    const own = inner.args[pointer]
    return own !== undefined && conditionImplies(own, condition)
  })
}

function conditionImplies(inner: Condition, outer: Condition): boolean {
  if (JSON.stringify(inner) === JSON.stringify(outer)) return true
  if (inner.absent === true || outer.absent === true) return inner.absent === outer.absent
  const values = 'equals' in inner ? [inner.equals] : inner.in
  if (values !== undefined && outer.glob === undefined) {
    return values.every((value) => {
      if ('equals' in outer && value !== outer.equals) return false
      if (outer.in !== undefined && !outer.in.some((allowed) => allowed === value)) return false
      if (outer.prefix !== undefined && !(typeof value === 'string' && value.startsWith(outer.prefix))) return false
      if (outer.min !== undefined && !(typeof value === 'number' && value >= outer.min)) return false
      if (outer.max !== undefined && !(typeof value === 'number' && value <= outer.max)) return false
      return outer.max_length === undefined || (typeof value === 'string' && Array.from(value).length <= outer.max_length)
    })
  }
  if ('equals' in outer || outer.in !== undefined) return false
  if (outer.glob !== undefined && inner.glob !== outer.glob) return false
  if (outer.prefix !== undefined && inner.prefix?.startsWith(outer.prefix) !== true) return false
  if (outer.min !== undefined && !(inner.min !== undefined && inner.min >= outer.min)) return false
  if (outer.max !== undefined && !(inner.max !== undefined && inner.max <= outer.max)) return false
  return outer.max_length === undefined || (inner.max_length !== undefined && inner.max_length <= outer.max_length)
}

/** Arguments that may satisfy the rule: only what a decision confirms counts. */
function* examples(rule: ToolRule): Generator<Json> {
  if (typeof rule === 'string') {
    yield {}
    yield { zq: 'zq' }
    return
  }
  for (const salt of ['', 'zq']) {
    const args: Json | null = argumentsFor(rule, salt)
    if (args !== null) yield args
  }
}

/** Only pointers of one member each; deeper ones are left to `unknown`. */
function argumentsFor(rule: ConstrainedTool, salt: string): Json | null {
  const members: Record<string, Json> = {}
  for (const [pointer, condition] of Object.entries(rule.args)) {
    if (condition.absent === true) continue
    if (!/^\/[^/]*$/.test(pointer)) return null
    const name = pointer.slice(1).replace(/~1/g, '/').replace(/~0/g, '~')
    if (name === '__proto__') return null
    members[name] = valueFor(condition, salt)
  }
  return members
}

function valueFor(condition: Condition, salt: string): Json {
  if (condition.equals !== undefined) return condition.equals
  if (condition.in !== undefined) return condition.in[salt === '' ? 0 : condition.in.length - 1] ?? null
  if (condition.min !== undefined || condition.max !== undefined)
    return (salt === '' ? condition.min : condition.max) ?? condition.min ?? condition.max ?? 0
  if (condition.glob !== undefined) return condition.glob.replace(/\*\*?/g, salt === '' ? 'a' : salt)
  return `${condition.prefix ?? ''}${salt}`
}
