/** Compiled allow lists: which rule allows a question. Shared by the policy and by every block of a capability. Pure and total once compiled. */
import type { Grants } from '../capability/types.ts'
import type { Question } from '../vocabulary/index.ts'
import { parseEndpoint } from './connect-pattern.ts'
import { isCanonicalName } from './host-pattern.ts'
import { MAX_RULES, MAX_RULES_BYTES } from './limits.ts'
import { isName, type NamePattern, parseNamePattern } from './name-pattern.ts'
import { compileConnectRules, compileListenRules, compileNameRules } from './net-rules.ts'
import { compilePathRules, type PathRules } from './path-rules.ts'
import { PatternError } from './pattern-error.ts'

/** Sections whose rules let a path be looked at. */
export type LookedThrough = 'fs.look' | 'fs.read' | 'fs.write'
export const LOOKED_THROUGH: readonly LookedThrough[] = ['fs.read', 'fs.write', 'fs.look']

export interface RuleSet {
  /** JSON pointer into the lists of the lowest rule that allows the question (`/fs/read/0`), or null. A question whose object is not canonical is allowed by none. */
  match(question: Question): string | null
  /** As `match` for looking, through the rules of these sections only. */
  matchLook(path: string, through: readonly LookedThrough[]): string | null
  /** The lowest rule of this section that matches the path itself. */
  matchAt(section: LookedThrough, path: string): string | null
  /** Whether some rule lets this name be resolved: `net.dns`, or a `net.connect` rule that names it. */
  mayResolve(name: string): boolean
  /** Pointer of a rule that comes close to allowing the question, for explanations. */
  nearest(question: Question): string | null
}

/** Throws PatternError for the first pattern that is malformed, and for lists beyond their limits. */
export function compileRules(lists: Grants): RuleSet {
  checkSizes(lists)
  const read = compilePathRules(lists.fs?.read ?? [])
  const write = compilePathRules(lists.fs?.write ?? [])
  const look = compilePathRules(lists.fs?.look ?? [])
  const dns = compileNameRules(lists.net?.dns ?? [])
  const connect = compileConnectRules(lists.net?.connect ?? [])
  const listen = compileListenRules(lists.net?.listen ?? [])
  const tools = compileNames(lists.tools ?? [])
  const infer = compileNames(lists.infer ?? [])
  const paths: Readonly<Record<LookedThrough, PathRules>> = { 'fs.look': look, 'fs.read': read, 'fs.write': write }

  function match(question: Question): string | null {
    const { action, object } = question
    switch (action) {
      case 'fs.look':
        return matchLook(object, LOOKED_THROUGH)
      case 'fs.read':
        return pointer('/fs/read', read.match(object))
      case 'fs.write':
        return pointer('/fs/write', write.match(object))
      case 'net.dns':
        return matchName(object)
      case 'net.connect':
        return pointer('/net/connect', matchConnect(object))
      case 'net.listen': {
        const endpoint = parseEndpoint(object)
        return endpoint?.kind === 'ip' ? pointer('/net/listen', listen.match(endpoint.address, endpoint.port)) : null
      }
      case 'tools':
        return pointer('/tools', tools(object))
      case 'infer':
        return pointer('/infer', infer(object))
      default:
        return null
    }
  }

  /** The object itself before a folder on the way to something. */
  function matchLook(path: string, through: readonly LookedThrough[]): string | null {
    for (const section of through) {
      const rule = paths[section].match(path)
      if (rule !== null) return pointer(LOOK_LISTS[section], rule)
    }
    for (const section of through) {
      const rule = paths[section].reaches(path)
      if (rule !== null) return pointer(LOOK_LISTS[section], rule)
    }
    return null
  }

  function matchName(name: string): string | null {
    if (!isCanonicalName(name)) return null
    return pointer('/net/dns', dns.match(name)) ?? pointer('/net/connect', connect.names.match(name))
  }

  function matchConnect(object: string): number | null {
    const endpoint = parseEndpoint(object)
    if (endpoint === null) return null
    return endpoint.kind === 'dns' ? connect.names.match(endpoint.name, endpoint.port) : connect.address(endpoint.address, endpoint.port)
  }

  function nearest(question: Question): string | null {
    const { action, object } = question
    if (action === 'fs.look') return pointer('/fs/look', look.nearest(object)) ?? pointer('/fs/read', read.nearest(object))
    if (action === 'fs.read') return pointer('/fs/read', read.nearest(object))
    if (action === 'fs.write') return pointer('/fs/write', write.nearest(object))
    if (action === 'net.dns') return pointer('/net/dns', dns.nearest(object)) ?? pointer('/net/connect', connect.names.nearest(object))
    if (action !== 'net.connect') return null
    const endpoint = parseEndpoint(object)
    return endpoint?.kind === 'dns'
      ? (pointer('/net/connect', connect.names.nearest(endpoint.name)) ?? pointer('/net/dns', dns.nearest(endpoint.name)))
      : null
  }

  return {
    match,
    matchLook,
    matchAt: (section, path) => pointer(LOOK_LISTS[section], paths[section].match(path)),
    nearest,
    mayResolve: (name) => matchName(name) !== null,
  }
}

const LOOK_LISTS: Readonly<Record<LookedThrough, string>> = { 'fs.look': '/fs/look', 'fs.read': '/fs/read', 'fs.write': '/fs/write' }

function checkSizes(lists: Grants): void {
  const all = [
    lists.fs?.look,
    lists.fs?.read,
    lists.fs?.write,
    lists.net?.dns,
    lists.net?.connect,
    lists.net?.listen,
    lists.tools,
    lists.infer,
  ]
  let units = 0
  for (const list of all) {
    if (list === undefined) continue
    if (list.length > MAX_RULES) throw new PatternError(`a list has ${list.length} rules, more than ${MAX_RULES}`)
    for (const text of list) units += text.length
  }
  if (units > MAX_RULES_BYTES) throw new PatternError(`the rules are longer than ${MAX_RULES_BYTES} bytes together`)
}

/** Exact names by table; prefixes one by one, shortest lists in practice. */
function compileNames(patterns: readonly string[]): (name: string) => number | null {
  const exact = new Map<string, number>()
  const open: { rule: number; pattern: NamePattern }[] = []
  for (const [rule, text] of patterns.entries()) {
    const pattern = parseNamePattern(text)
    if (pattern.open) open.push({ rule, pattern })
    else if (!exact.has(pattern.prefix)) exact.set(pattern.prefix, rule)
  }
  return (name) => {
    if (!isName(name)) return null
    const literal = exact.get(name)
    const prefix = open.find(({ pattern }) => name.startsWith(pattern.prefix))?.rule
    return literal === undefined ? (prefix ?? null) : Math.min(literal, prefix ?? literal)
  }
}

/** By list, as far as they were asked for: no more than MAX_RULES each. A table finds a text it has seen before without reading it again. */
const POINTERS = new Map<string, Map<number, string>>()

function pointer(list: string, rule: number | null): string | null {
  return rule === null ? null : (POINTERS.get(list)?.get(rule) ?? newPointer(list, rule))
}

function newPointer(list: string, rule: number): string {
  const made = `${list}/${rule}`
  const known = POINTERS.get(list) ?? new Map<number, string>()
  POINTERS.set(list, known.set(rule, made))
  return made
}
