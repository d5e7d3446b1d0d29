/** The sweep behind oracle.test.ts and contains.test.ts, as long as one likes: `npm run campaign -- policy-oracle [RUNS] [SEED]`. */
import fc from 'fast-check'
import { containsPolicy } from '../contains/index.ts'
import { callOf, cedarAllows, preparse, translate } from '../oracle/cedar.ts'
import { documents, questions } from '../oracle/generate.ts'
import { naive } from '../oracle/naive.ts'
import { policyFrom } from '../testing.ts'
import { standingOf } from '../why.ts'

export interface Sweep {
  readonly decisions: number
  readonly compared: number
  /** The first disagreement, shrunk; null when there was none. */
  readonly disagreement: string | null
}

const WORDS = { allowed: 'allow', asked: 'ask', denied: 'deny' } as const

/** Every decision by the policy, by Cedar and by the naive model; every pair of policies by `contains`, whose yes must hold for every question. */
export function sweep(runs: number, seed: number): Sweep {
  let decisions = 0
  let compared = 0
  const result = fc.check(
    fc.property(documents, documents, fc.array(questions, { minLength: 20, maxLength: 20 }), (one, two, asked) => {
      const parent = policyFrom({ ...one })
      const child = policyFrom({ ...two })
      const cedar = translate(one)
      preparse('sweep-allow', cedar.allow)
      preparse('sweep-ask', cedar.ask)
      const contained = containsPolicy(parent, child).contains
      compared++
      return asked.every((question) => {
        decisions++
        const ours = WORDS[standingOf(parent.decide(question))]
        const theirs = cedarAllows(callOf('sweep-allow', question)) ? 'allow' : cedarAllows(callOf('sweep-ask', question)) ? 'ask' : 'deny'
        const inside = contained !== 'yes' || !child.decide(question).allow || ours === 'allow'
        return ours === theirs && ours === naive(one, question) && inside
      })
    }),
    { numRuns: runs, seed },
  )
  return { decisions, compared, disagreement: result.failed ? JSON.stringify(result.counterexample) : null }
}
