import { MAX_HISTORY_POINTS, type OperationName, type WireValue } from '@authority/protocol'
import { afterEach, expect, test } from 'vitest'
import { DIMENSIONS } from '../vocabulary/index.ts'
import { greeted, openClass, things } from './testing/serve.ts'
import { closeWorlds, makeWorld } from './testing/world.ts'

afterEach(closeWorlds)

test('operations of a later version, of init and of the operator answer E_UNSUPPORTED, each with its arguments right', async () => {
  const world = await makeWorld({ operator: new Map([['run.stop', async () => []]]) })
  const { peer } = await greeted(world)
  const wanted: [OperationName, readonly WireValue[]][] = [
    ['tool.call', ['t', new Uint8Array(0)]],
    ['tool.list', []],
    ['infer.chat', ['m', new Uint8Array(0)]],
    ['infer.models', []],
    ['state.get', ['k']],
    ['state.put', ['k', new Uint8Array(0)]],
    ['agent.spawn', ['i', new Uint8Array(0)]],
    ['net.listen', [80]],
    ['image.open', ['/bin/sh', true]],
    ['scratch.mount', ['/tmp']],
    ['run.status', []],
    ['run.stop', ['please']],
    ['cap.revoke', [new Uint8Array(16)]],
  ]
  for (const [operation, args] of wanted) expect(await peer.call(operation, args), operation).toBe('E_UNSUPPORTED')
  expect(peer.transport.closed).toBe(false)
})

test('the operator’s own are the operator’s, and no effect is', async () => {
  const stopped: WireValue[] = []
  const { effect, seen } = openClass()
  const world = await makeWorld({
    effects: [effect],
    operator: new Map([
      [
        'run.stop',
        async ([reason]) => {
          stopped.push(reason ?? null)
          return []
        },
      ],
    ]),
  })
  const { peer } = await greeted(world, null, 'operator')
  expect(await peer.call('run.stop', ['enough'])).toEqual([])
  expect(stopped).toEqual(['enough'])
  expect(await peer.call('fs.open', ['/work/a', 1, 0])).toBe('E_UNSUPPORTED')
  expect(await peer.call('cap.self', [])).toBe('E_UNSUPPORTED')
  expect(seen).toEqual([])
})

test('arguments that do not match answer their request only, and reach no effect', async () => {
  const { effect, seen } = openClass()
  const world = await makeWorld({ effects: [effect] })
  const { peer } = await greeted(world)
  const bad: readonly (readonly WireValue[])[] = [
    [],
    ['/work/a'],
    ['/work/a', 1],
    ['/work/a', 1, 0, 0],
    [1, 1, 0],
    ['/work/a', 64, 0],
    ['/work/a', 1, 0o10000],
    ['/work/a', -1, 0],
    ['x'.repeat(4097), 1, 0],
  ]
  for (const args of bad) expect(await peer.call('fs.open', args)).toBe('E_PROTOCOL')
  expect(seen).toEqual([])
  expect(await peer.call('fs.open', ['/work/a', 1, 0])).toEqual([1, 0])
})

test('budget.status tells the accounts of the session and no others', async () => {
  const { effect } = openClass()
  const world = await makeWorld({ effects: [effect], budgets: { calls: 5 } })
  const token = world.capability.mint({ fs: { read: ['/work/**'] }, budget: { calls: 2 } }, { notBefore: 0, expires: 253402300799999 })
  const [own, narrow] = [await greeted(world), await greeted(world, token)]
  await narrow.peer.call('fs.open', ['/work/a', 1, 0])
  const accounts = async (peer: typeof own.peer): Promise<unknown> => {
    const answer = await peer.call('budget.status', [])
    return typeof answer === 'string' ? answer : (answer[0] as readonly (readonly WireValue[])[]).filter((row) => row[1] === 'calls')
  }
  expect(await accounts(own.peer)).toEqual([
    ['run', 'calls', 5, 1, 0],
    ['class:fs', 'calls', null, 1, 0],
  ])
  expect(await accounts(narrow.peer)).toEqual([
    ['run', 'calls', 5, 1, 0],
    ['class:fs', 'calls', null, 1, 0],
    [expect.stringMatching(/^block:[0-9a-f]{32}$/), 'calls', 2, 1, 0],
  ])
})

test('budget.history tells of the accounts of the session, and of no others, whether they exist or not', async () => {
  const { effect } = openClass()
  const clock = { wall: 1_764_000_000_000, wallMs: () => clock.wall, monotonicMs: () => performance.now() }
  const world = await makeWorld({ effects: [effect], budgets: { calls: 5 }, clock })
  const forever = { notBefore: 0, expires: 253402300799999 }
  const mint = (): string => world.capability.mint({ fs: { read: ['/work/**'] }, budget: { calls: 2 } }, forever)
  const [own, narrow, other] = [await greeted(world), await greeted(world, mint()), await greeted(world, mint())]
  const calls = async (peer: typeof own.peer, account: string): Promise<unknown> => {
    const answer = await peer.call('budget.history', [account])
    return typeof answer === 'string' ? answer : (answer[0] as readonly (readonly WireValue[])[]).find((row) => row[0] === 'calls')?.[1]
  }
  await narrow.peer.call('fs.open', ['/work/a', 1, 0])
  clock.wall += 5000
  await narrow.peer.call('fs.open', ['/work/a', 1, 0])
  await other.peer.call('fs.open', ['/work/a', 1, 0])
  const blocks = async (peer: typeof own.peer): Promise<readonly string[]> => {
    const [rows] = (await peer.call('budget.status', [])) as [readonly (readonly WireValue[])[]]
    return [...new Set(rows.map(([account]) => String(account)).filter((account) => account.startsWith('block:')))]
  }
  const [mine = ''] = await blocks(narrow.peer)
  const [theirs = ''] = await blocks(other.peer)
  const [begin, later] = [1_764_000_000_000, 1_764_000_005_000]
  expect(await calls(narrow.peer, mine)).toEqual([
    [begin, 1],
    [later, 2],
  ])
  expect(await calls(other.peer, theirs)).toEqual([[later, 1]])
  for (const { peer } of [own, narrow, other]) {
    expect(await calls(peer, 'run')).toEqual([
      [begin, 1],
      [later, 3],
    ])
    expect(await calls(peer, 'class:fs')).toEqual([
      [begin, 1],
      [later, 3],
    ])
    expect(await calls(peer, 'class:net')).toBeUndefined()
    expect(await calls(peer, `block:${'0'.repeat(32)}`)).toBe('E_NOT_FOUND')
    expect(await calls(peer, 'installation')).toBe('E_NOT_FOUND')
  }
  for (const [peer, account] of [
    [own.peer, mine],
    [own.peer, theirs],
    [narrow.peer, theirs],
    [other.peer, mine],
  ] as const)
    expect(await calls(peer, account)).toBe('E_NOT_FOUND')
})

test('a full history of every dimension fits one answer', async () => {
  const clock = { wall: 1_764_000_000_000, wallMs: () => clock.wall, monotonicMs: () => performance.now() }
  const world = await makeWorld({ clock })
  const all = Object.fromEntries(DIMENSIONS.map((dimension) => [dimension, 1e12]))
  for (let i = 0; i < MAX_HISTORY_POINTS; i++) {
    const taken = world.budget.reserve(['run'], all)
    if (taken.ok) world.budget.settle(taken.reservation, all)
    if (i < MAX_HISTORY_POINTS - 1) clock.wall += 1000
  }
  const { peer } = await greeted(world)
  const [rows] = (await peer.call('budget.history', ['run'])) as [readonly (readonly [string, readonly WireValue[]])[]]
  expect(rows.map(([dimension]) => dimension)).toEqual(DIMENSIONS.filter((dimension) => dimension !== 'concurrency'))
  for (const [, points] of rows) expect(points.length).toBeGreaterThan(MAX_HISTORY_POINTS / 2 - 1)
})

test('once the log cannot be written, no operation that touches the world is performed', async () => {
  const { effect, bytes } = things()
  const world = await makeWorld({ effects: [effect], bytes: [bytes] })
  const { peer } = await greeted(world)
  const [file] = (await peer.call('fs.open', ['/work/a', 1, 0])) as [number]
  world.disk.broken = 'EIO'
  expect(await peer.call('fs.open', ['/work/b', 1, 0])).toBe('E_AUDIT')
  expect(await peer.call('fs.read', [file, 0, 1])).toBe('E_AUDIT')
  expect(await peer.call('session.ping', [new Uint8Array(1)])).toEqual([new Uint8Array(1)])
})
