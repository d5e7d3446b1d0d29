import { expect, test } from 'vitest'
import { fuzzCampaign } from './fuzz.ts'

test('any conversation leaves the gate standing, every lease closed, every INTENT answered, the log intact', async () => {
  const { steps, broken } = await fuzzCampaign(20)
  expect(broken).toEqual([])
  // Most conversations must live long enough to reach something.
  expect(steps).toBeGreaterThan(20 * 20)
}, 30_000)
