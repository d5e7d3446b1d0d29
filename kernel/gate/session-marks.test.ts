import { MAX_MARK_ROWS, MESSAGE, operationRow, type WireValue } from '@authority/protocol'
import { afterEach, expect, test } from 'vitest'
import { lastBlockId } from '../capability/index.ts'
import { greeted, openClass } from './testing/serve.ts'
import { closeWorlds, makeWorld, type World } from './testing/world.ts'

afterEach(closeWorlds)

const FOREVER = { notBefore: 0, expires: 253402300799999 }
type Served = Awaited<ReturnType<typeof greeted>>

async function worldOf(calls: number): Promise<World> {
  return makeWorld({ effects: [openClass().effect], budgets: { calls } })
}

const spend = ({ peer }: Served) => peer.call('fs.open', ['/work/a', 1, 0])

/** Not waited for: answers the request's number. */
function ask({ peer }: Served, after: number, deadlineMs = 0): number {
  const id = peer.nextId++
  peer.send({ type: MESSAGE.REQUEST, id, operation: operationRow('budget.marks').code, deadlineMs, handle: 0, args: [after] })
  return id
}

/** Of an answer with marks: number, account, percent. */
async function marks({ peer }: Served, id: number): Promise<unknown> {
  const answer = await peer.answer(id)
  if (answer.type !== MESSAGE.RESULT) return answer
  const [rows] = answer.result as [readonly (readonly WireValue[])[]]
  return rows.map(([number, account, , percent]) => [number, account, percent])
}

test('who asks is told what was passed before, then waits for the next mark, and sees it before anything that comes after', async () => {
  const world = await worldOf(4)
  const own = await greeted(world)
  await spend(own)
  await spend(own)
  expect(await marks(own, ask(own, 0))).toEqual([[1, 'run', 50]])
  const waiting = ask(own, 1)
  await spend(own)
  await spend(own)
  expect(await marks(own, waiting)).toEqual([
    [2, 'run', 80],
    [3, 'run', 95],
  ])
})

test('marks are of the session’s accounts: nobody hears of another’s token, nor of what runs share', async () => {
  const world = await worldOf(100)
  const mint = (): string => world.capability.mint({ fs: { read: ['/work/**'] }, budget: { calls: 2 } }, FOREVER)
  const [own, narrow, other] = [await greeted(world), await greeted(world, mint()), await greeted(world, mint())]
  const asked = [own, narrow, other].map((served) => [served, ask(served, 0)] as const)
  const shared = ['installation']
  world.budget.join({
    accounts: shared,
    beside: (accounts) => [...accounts, ...shared],
    obtainable: () => 0,
    reserve: async (attempt) => attempt(),
  })
  world.budget.limit('installation', { calls: 2 })
  const taken = world.budget.reserve(['installation'], { calls: 1 })
  if (taken.ok) world.budget.settle(taken.reservation)
  await spend(narrow)
  expect(await marks(narrow, asked[1]?.[1] ?? 0)).toEqual([[2, expect.stringMatching(/^block:/), 50]])
  for (const [served, id] of asked.filter(([served]) => served !== narrow)) {
    served.peer.send({ type: MESSAGE.CANCEL, id })
    expect(await served.peer.answer(id)).toMatchObject({ type: MESSAGE.ERROR, message: expect.stringContaining('cancelled') })
  }
})

test('waiting ends with the deadline, and a revoked token hears nothing more', async () => {
  const world = await worldOf(2)
  const token = world.capability.mint({ fs: { read: ['/work/**'] } }, FOREVER)
  const [own, narrow] = [await greeted(world), await greeted(world, token)]
  expect(await own.peer.answer(ask(own, 0, 1))).toMatchObject({ type: MESSAGE.ERROR, message: expect.stringContaining('deadline') })
  const waiting = ask(narrow, 0)
  await narrow.peer.call('session.ping', [new Uint8Array(0)])
  world.capability.revoke(lastBlockId(token))
  await spend(own)
  expect(await narrow.peer.answer(waiting)).toMatchObject({ type: MESSAGE.ERROR })
  expect(await marks(own, ask(own, 0))).toEqual([[1, 'run', 50]])
})

test('very many are told a part at a time, none twice and none left out', async () => {
  const world = await worldOf(100)
  const own = await greeted(world)
  for (const name of ['fs', 'net', 'tool', 'infer', 'state', 'agent'])
    for (const dimension of ['calls', 'tokens', 'bytes', 'tool_calls', 'bytes_in'] as const) {
      world.budget.limit(`class:${name}`, { [dimension]: 2 })
      const taken = world.budget.reserve([`class:${name}`], { [dimension]: 2 })
      if (taken.ok) world.budget.settle(taken.reservation)
    }
  const numbers: number[] = []
  while (numbers.length < 90) {
    const told = (await marks(own, ask(own, numbers.at(-1) ?? 0))) as [number][]
    expect(told.length).toBeLessThanOrEqual(MAX_MARK_ROWS)
    numbers.push(...told.map(([number]) => number))
  }
  expect(numbers).toEqual(Array.from({ length: 90 }, (_, i) => i + 1))
})
