import type { Question } from '../../vocabulary/index.ts'
import type { LoadedPolicy } from '../stage.ts'
import type { PolicyVerdict } from '../types.ts'
import type { Containment } from './types.ts'

/** Whether the policies' own decisions say that the child goes beyond the parent here; what nobody's decision confirms is no counter-example. */
export function confirm(parent: LoadedPolicy, child: LoadedPolicy, question: Question): Containment | null {
  const outer = standing(parent.decide(question))
  const inner = standing(child.decide(question))
  if (inner === 'deny' || inner === outer || (inner === 'ask' && outer === 'allow')) return null
  const calling = question.args === undefined ? '' : ` with ${JSON.stringify(question.args)}`
  const verb = { allow: 'allows', ask: 'asks about', deny: 'denies' }
  return {
    contains: 'no',
    example: question,
    why: `the child ${verb[inner]} ${question.action} ${question.object}${calling}, the parent ${verb[outer]} it`,
  }
}

function standing(verdict: PolicyVerdict): 'allow' | 'ask' | 'deny' {
  return verdict.allow ? 'allow' : verdict.ask === true ? 'ask' : 'deny'
}
