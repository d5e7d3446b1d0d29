import type { Question } from '../vocabulary/index.ts'
import type { BlockBody } from './blocks.ts'
import { grantsOf, type Sections } from './sections.ts'
import type { Grants } from './types.ts'

/** What the stage needs of the pattern matcher; passed in, so that no pattern grammar lives here. */
export interface Rules {
  allows(question: Question): boolean
}
/** Throws when a pattern is not one. */
export type CompileRules = (grants: Grants) => Rules

/** Decides for one block, on its own: blocks are never merged and no intersection of patterns is computed. */
export function rulesOf(body: BlockBody, compile: CompileRules, runRules: Rules): Rules {
  if (body.kind === 'run-grant') return runRules
  if (body.sections.size === 0) return body.kind === 'restrict' && !body.closed ? ANYTHING : NOTHING
  const listed = compile(grantsOf(body.sections))
  if (body.kind === 'grant' || body.closed) return listed
  return new Restricting(body.sections, listed)
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
