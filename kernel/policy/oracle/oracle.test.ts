import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { policyFrom } from '../testing.ts'
import { standingOf } from '../why.ts'
import { callOf, cedarAllows, preparse, translate } from './cedar.ts'
import { documents, questions } from './generate.ts'
import { naive } from './naive.ts'

const WORDS = { allowed: 'allow', asked: 'ask', denied: 'deny' } as const

describe('independent judges', () => {
  it('Cedar’s engine and a naive model decide every generated question as the policy does', () => {
    const seen = { allow: 0, ask: 0, deny: 0 }
    fc.assert(
      fc.property(documents, fc.array(questions, { minLength: 12, maxLength: 12 }), (document, asked) => {
        const policy = policyFrom({ ...document })
        const cedar = translate(document)
        preparse('allow', cedar.allow)
        preparse('ask', cedar.ask)
        for (const question of asked) {
          const ours = WORDS[standingOf(policy.decide(question))]
          const theirs = cedarAllows(callOf('allow', question)) ? 'allow' : cedarAllows(callOf('ask', question)) ? 'ask' : 'deny'
          seen[ours]++
          expect([question, theirs, naive(document, question)]).toEqual([question, ours, ours])
        }
      }),
      { numRuns: 300 },
    )
    for (const count of Object.values(seen)) expect(count).toBeGreaterThan(100)
  })
})
