import { describe, expect, it } from 'vitest'
import { compareVerifiers, hasPython } from '../testing/both-verifiers.ts'

describe('two verifiers that share nothing but FORMAT.md', () => {
  it.skipIf(!hasPython())(
    'say the same of every changed log of a seeded sample (`npm run campaign -- audit-verifiers`)',
    { timeout: 120_000 },
    async () => {
      const { tried, disagreements, statuses } = await compareVerifiers(400, 20261125)
      expect(disagreements).toEqual([])
      expect(tried).toBe(400)
      // The sample is worth something only while it asks for more than one answer.
      expect(Object.keys(statuses).sort()).toEqual(expect.arrayContaining(['tampered', 'unsealed']))
    },
  )
})
