import type { Question } from '../vocabulary/index.ts'
import { decodeBlock } from './blocks.ts'
import { type CompileRules, type Rules, rulesOf } from './rules.ts'
import { parseToken } from './token.ts'
import { outOfTime, validities } from './verify.ts'

/** What one block says to one question. */
export interface BlockAnswer {
  readonly index: number
  readonly allows: boolean
  readonly reason: string
}

export interface TokenExplanation {
  /** What the token's text says; only the gate knows whether it is genuine, unrevoked, and has uses left, and policy and budget decide too. */
  readonly allows: boolean
  readonly blocks: readonly BlockAnswer[]
}

/** Which block allows or refuses a question at a moment. `runRules`: what the run's policy grants; left out when it is not known. Throws E_CAP_INVALID. */
export function explainToken(token: string, question: Question, nowMs: number, compile: CompileRules, runRules?: Rules): TokenExplanation {
  const parsed = parseToken(token)
  const bodies = parsed.blocks.map(decodeBlock)
  const times = validities(parsed, bodies)
  const blocks = bodies.map((body, index): BlockAnswer => {
    const late = outOfTime(times[index] ?? parsed, nowMs)
    if (late !== null) return { index, allows: false, reason: late }
    const below = bodies.length - 1 - index
    if (body.delegate !== undefined && below > body.delegate)
      return { index, allows: false, reason: `it lets ${body.delegate} blocks follow, and ${below} do` }
    if (body.kind === 'run-grant' && runRules === undefined)
      return { index, allows: true, reason: 'it grants what the policy of the run grants, which is not looked at here' }
    const allows = rulesOf(body, compile, runRules ?? NOTHING).allows(question)
    if (body.kind !== 'restrict')
      return { index, allows, reason: allows ? 'it grants this' : `it does not grant ${question.action} on this` }
    const listed = body.closed || body.sections.has(question.action)
    return { index, allows, reason: reasonOf(allows, listed, body.closed, question) }
  })
  return { allows: blocks.every((block) => block.allows), blocks }
}

const NOTHING: Rules = { allows: () => false }

function reasonOf(allows: boolean, listed: boolean, closed: boolean, { action }: Question): string {
  if (allows) return listed ? 'one of its patterns allows this' : `it does not restrict ${action}`
  return closed ? 'it is closed, and none of its patterns allows this' : `none of its patterns for ${action} allows this`
}
