import type { Action, Question } from '../vocabulary/index.ts'
import type { BlockBody } from './blocks.ts'
import { grantsOf, type Sections } from './sections.ts'
import { StoredSections } from './stored-sections.ts'
import type { Grants } from './types.ts'

/** What the stage needs of the pattern matcher; passed in, so that no pattern grammar lives here. */
export interface Rules {
  allows(question: Question): boolean
}
/** Patterns that can be told, and asked, by a glance at their bytes. */
export interface PlainPatterns {
  /** Whether the bytes surely are a pattern of the section, in ASCII; false says nothing. */
  isPattern(action: Action, bytes: Uint8Array, from: number, to: number): boolean
  /** Whether an action is one of those whose own list decides, pattern by pattern. */
  decides(action: Action): boolean
  /** Whether a pattern of which `isPattern` said yes allows the object. */
  allows(question: Question, bytes: Uint8Array, from: number, to: number): boolean
}
export interface CompileRules {
  /** Throws when a pattern is not one. */
  (grants: Grants): Rules
  /** Lists of such patterns are not compiled when a token is bound. Left out: there are none. */
  readonly plain?: PlainPatterns | undefined
}

/** Decides for one block, on its own: blocks are never merged and no intersection of patterns is computed. */
export function rulesOf(body: BlockBody, compile: CompileRules, runRules: Rules): Rules {
  if (body.kind === 'run-grant') return runRules
  if (body.sections.size === 0) return body.kind === 'restrict' && !body.closed ? ANYTHING : NOTHING
  const listed = compile(grantsOf(body.sections))
  if (body.kind === 'grant' || body.closed) return listed
  return new Restricting(body.sections, listed)
}

/** Whether a block can be asked as it stands: what it lists are plain patterns, or it lists nothing. */
export function isPlain(body: BlockBody): boolean {
  return body.kind !== 'run-grant' && body.sections instanceof StoredSections && body.sections.plain
}

/** As rulesOf, of such a block: nothing is compiled that its own list decides. */
export function plainAllows(body: BlockBody, question: Question, compile: CompileRules): boolean {
  if (body.kind === 'run-grant') return false
  const { sections } = body
  if (body.kind === 'restrict' && !body.closed && leavesAlone(sections, question)) return true
  if (!(sections instanceof StoredSections) || sections.size === 0) return false
  if (compile.plain?.decides(question.action) === true) return sections.some(question, compile.plain)
  sections.compiled ??= compile(grantsOf(sections))
  return sections.compiled.allows(question)
}

/** Of a block that names no section. */
const ANYTHING: Rules = { allows: () => true }
const NOTHING: Rules = { allows: () => false }

/** An absent section is not restricted; looking is also restricted where both reading and writing are. */
function leavesAlone(sections: { has(action: Question['action']): boolean }, question: Question): boolean {
  if (question.action === 'fs.look') return !sections.has('fs.look') && !(sections.has('fs.read') && sections.has('fs.write'))
  return !sections.has(question.action)
}

class Restricting implements Rules {
  readonly #sections: Sections
  readonly #listed: Rules

  constructor(sections: Sections, listed: Rules) {
    this.#sections = sections
    this.#listed = listed
  }

  allows(question: Question): boolean {
    return leavesAlone(this.#sections, question) || this.#listed.allows(question)
  }
}
