/** Rebinding in every pattern, by a hostile resolver of each kind before the compiled gate, with the forbidden servers listening at their true addresses: their own logs are the witness. */
import { GOOD } from '@authority/kernel/effects/net/rebinding'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Found, RESOLVERS, rebound, wronglyReached } from './network-guest/rebinding.ts'
import { buildBinary } from './programs-guest/differential-run.ts'
import { freshFolder, removeFolder } from './vm-support.ts'

/** Of `npm run campaign -- network`, which takes many. */
const SAMPLE = { seed: 1, names: 40 }
const folder = freshFolder('rebinding-')
beforeAll(buildBinary)
afterAll(() => removeFolder(folder))

describe.each(RESOLVERS)('a hostile resolver: %s', (kind) => {
  let found: Found
  beforeAll(() => {
    found = rebound(kind, folder)
  }, 60_000)
  const to = (name: string): readonly string[] => found.outcomes[`${name}.attack.example`] ?? []

  test('leads nowhere but to the public address', () => {
    expect(wronglyReached(found)).toEqual([])
    expect(found.denied).toBeGreaterThan(0)
  })

  test('nor does it with answers nobody thought of', () => {
    const random = rebound(kind, folder, SAMPLE)
    expect(wronglyReached(random)).toEqual([])
    // Both happened, so the sample says something.
    expect([random.good > 0, random.denied > 0]).toEqual([true, true])
  })

  test('a true answer is followed, also among others', () => {
    for (const name of ['good', 'mixed']) expect(to(name)).toEqual([GOOD, 'answered', GOOD, 'answered'])
  })

  test('an answer that changes is vetted each time it is given', () => {
    expect(to('later')[0]).toBe(GOOD)
    expect(to('later').slice(1)).toEqual(['E_POLICY_DENY', 'E_POLICY_DENY', 'E_POLICY_DENY'])
    expect(to('before')).toEqual(['E_POLICY_DENY', 'answered', GOOD, 'answered'])
  })

  test.each(['private', 'metadata', 'loopback', 'zero', 'mapped', 'own', 'alias', 'inside', 'cut'])('%s: refused', (name) => {
    const refused = to(name)
    expect(refused.length).toBe(4)
    for (const outcome of refused) expect(outcome).toMatch(/^E_(POLICY_DENY|UPSTREAM)$/)
  })
})
