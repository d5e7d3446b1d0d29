import { OPERATIONS, type OperationName, type OperationRow } from '@authority/protocol'
import { afterEach, expect, test } from 'vitest'
import { greeted } from './testing/serve.ts'
import { closeWorlds, makeWorld } from './testing/world.ts'

afterEach(closeWorlds)

const rows = Object.entries(OPERATIONS) as [OperationName, OperationRow][]

test.each(['session', 'operator'] as const)(
  'a %s session reaches no operation that is not meant for it, whatever its arguments',
  async (via) => {
    const world = await makeWorld()
    const { peer } = await greeted(world, null, via)
    for (const [name, row] of rows) if (!row.via.includes(via)) expect(await peer.call(name, []), name).toBe('E_UNSUPPORTED')
    expect(world.appended.filter((record) => record.type !== 'RUN_START' && record.type !== 'CHECKPOINT')).toEqual([])
  },
)

test('an operation without an implementation answers E_UNSUPPORTED and says where to look', async () => {
  const world = await makeWorld()
  const { peer } = await greeted(world)
  const without = rows.filter(([, row]) => row.class !== 'control' && row.via.includes('session') && row.args.length === 0)
  expect(without.map(([name]) => name)).toEqual(['net.body', 'tool.list', 'infer.models'])
  for (const [name] of without) expect(await peer.call(name, [])).toBe('E_UNSUPPORTED')
})

test('codes of the table and beyond: unknown numbers are answered, not obeyed', async () => {
  const world = await makeWorld()
  const { peer } = await greeted(world)
  for (const operation of [0, 2, 0x0fff, 0xffff]) {
    const id = peer.nextId++
    peer.send({ type: 3, id, operation, deadlineMs: 0, handle: 0, args: [] })
    expect(await peer.answer(id)).toMatchObject({ code: 3 })
  }
})
