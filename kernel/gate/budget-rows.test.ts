/** What one answer of budget.status must be able to hold. */
import { MAX_BUDGET_ROWS } from '@authority/protocol'
import { afterEach, expect, test } from 'vitest'
import { attenuate } from '../capability/index.ts'
import { DIMENSIONS, OPERATION_CLASSES } from '../vocabulary/index.ts'
import { greeted, openClass } from './testing/serve.ts'
import { closeWorlds, makeWorld } from './testing/world.ts'

const MOST_BLOCKS = 16
const OPERATION = ['fs.open', ['/work/a', 1, 0]] as const
const FOREVER = { notBefore: 0, expires: 253402300799999 }

afterEach(closeWorlds)

test('budget.status answers where every class of operations and each of a token’s sixteen blocks has a budget of every dimension', async () => {
  const world = await makeWorld({ effects: [openClass().effect] })
  const every = Object.fromEntries(DIMENSIONS.map((dimension) => [dimension, 1_000_000])) as Record<(typeof DIMENSIONS)[number], number>
  for (const name of OPERATION_CLASSES) world.budget.limit(`class:${name}`, every)
  let token = world.capability.mint({ fs: { read: ['/work/**'] }, budget: every }, FOREVER)
  for (let block = 1; block < MOST_BLOCKS; block++) token = attenuate(token, { budget: every })
  const { peer } = await greeted(world, token)
  expect(await peer.call(...OPERATION)).toEqual([1, 0])
  const [rows] = (await peer.call('budget.status', [])) as readonly [readonly (readonly unknown[])[]]
  expect(rows.length).toBeGreaterThanOrEqual((OPERATION_CLASSES.length + MOST_BLOCKS) * DIMENSIONS.length)
  // More than the declared result holds, and a client refuses the answer.
  expect(rows.length).toBeLessThanOrEqual(MAX_BUDGET_ROWS)
})
