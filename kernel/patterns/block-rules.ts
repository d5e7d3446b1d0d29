/** The rules of one token block, which is mostly asked one question and then never again: no more of it is compiled than that question needs. */
import type { Grants } from '../capability/types.ts'
import type { Question } from '../vocabulary/index.ts'
import { isName } from './name-pattern.ts'
import { pathSegments } from './path-glob.ts'
import { compileRules, type RuleSet } from './rules.ts'

/** Lists up to this length are compared one by one; a longer one is worth an index. */
const SHORT_LIST = 8
/** A path that is canonical and, as a pattern, literal, whoever looks at it: plain letters, no name that begins with a dot, shorter than any limit of a name. */
const PLAIN_PATH = /^(?:\/[A-Za-z0-9_-][A-Za-z0-9._-]*)+$/
const PLAIN_PATH_LENGTH = 255
const TREE = '/**'

export interface BlockRules {
  allows(question: Question): boolean
}

/** Throws PatternError as `compileRules` does: what is not plainly well-formed is compiled at once. */
export function blockRules(lists: Grants): BlockRules {
  return isPlain(lists) ? new PlainRules(lists) : compiled(lists)
}

function compiled(lists: Grants): BlockRules {
  const rules = compileRules(lists)
  return { allows: (question) => rules.match(question) !== null }
}

/** Files, tools and models by comparison; everything else through the compiled rules, made when they are first needed. */
class PlainRules implements BlockRules {
  readonly #lists: Grants
  #compiled: RuleSet | null = null

  constructor(lists: Grants) {
    this.#lists = lists
  }

  allows(question: Question): boolean {
    const { action, object } = question
    if (action === 'fs.read') return allowsPath(this.#lists.fs?.read, object)
    if (action === 'fs.write') return allowsPath(this.#lists.fs?.write, object)
    if (action === 'tools') return this.#lists.tools?.includes(object) === true
    if (action === 'infer') return this.#lists.infer?.includes(object) === true
    this.#compiled ??= compileRules(this.#lists)
    return this.#compiled.match(question) !== null
  }
}

function allowsPath(patterns: readonly string[] | undefined, path: string): boolean {
  if (patterns === undefined || !(isPlainPath(path) || pathSegments(path) !== null)) return false
  return patterns.some((pattern) => {
    if (!pattern.endsWith(TREE)) return pattern === path
    const base = pattern.length - TREE.length
    return path.length >= base && (path.length === base || path[base] === '/') && path.startsWith(pattern.slice(0, base))
  })
}

function isPlain({ fs, net, tools, infer }: Grants): boolean {
  if (net?.dns !== undefined || net?.connect !== undefined || net?.listen !== undefined) return false
  return arePlainPaths(fs?.read) && arePlainPaths(fs?.write) && arePlainPaths(fs?.look) && arePlainNames(tools) && arePlainNames(infer)
}

function arePlainPaths(patterns: readonly string[] | undefined): boolean {
  if (patterns === undefined) return true
  return patterns.length <= SHORT_LIST && patterns.every((text) => isPlainPath(text.endsWith(TREE) ? text.slice(0, -TREE.length) : text))
}

function isPlainPath(text: string): boolean {
  return text.length <= PLAIN_PATH_LENGTH && PLAIN_PATH.test(text)
}

function arePlainNames(names: readonly string[] | undefined): boolean {
  return names === undefined || (names.length <= SHORT_LIST && names.every(isName))
}
