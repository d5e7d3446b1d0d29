import {
  AuthorityError,
  HELLO_DEADLINE_MS,
  MAX_FILES,
  MAX_HISTORY_POINTS,
  MAX_IN_FLIGHT,
  MAX_STREAMS,
  MESSAGE,
  type OperationName,
  type WireValue,
} from '@authority/protocol'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { DIMENSIONS } from '../vocabulary/index.ts'
import { TestEffect } from './testing/effect.ts'
import { FarEnd, greeted, openClass, serve, things } from './testing/serve.ts'
import { closeWorlds, makeWorld, reserved, settle } from './testing/world.ts'

afterEach(() => {
  vi.useRealTimers()
  closeWorlds()
})

describe('hello', () => {
  test('has a deadline; after it the session is over, and before it is not', async () => {
    const world = await makeWorld()
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const { peer } = serve(world)
    vi.advanceTimersByTime(HELLO_DEADLINE_MS - 1)
    expect(peer.transport.closed).toBe(false)
    vi.advanceTimersByTime(1)
    expect(peer.names).toEqual(['GOODBYE E_TIMEOUT'])
    expect(peer.transport.closed).toBe(true)
  })

  test('half a frame is no hello', async () => {
    const world = await makeWorld()
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const { peer } = serve(world)
    peer.hex('000000110000')
    vi.advanceTimersByTime(HELLO_DEADLINE_MS)
    expect(peer.names).toEqual(['GOODBYE E_TIMEOUT'])
  })

  test('a greeted session may be silent for ever', async () => {
    const world = await makeWorld()
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const { peer } = serve(world)
    peer.hello()
    vi.advanceTimersByTime(1000 * HELLO_DEADLINE_MS)
    expect(peer.names).toEqual(['WELCOME'])
  })
})

describe('requests', () => {
  test('more than MAX_IN_FLIGHT end the session, and what was under way is aborted and recorded', async () => {
    const { effect } = openClass(() => ({
      execute: ({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    }))
    const world = await makeWorld({ effects: [effect], budgets: { calls: 1000 } })
    const { peer, session } = await greeted(world)
    for (let i = 0; i < MAX_IN_FLIGHT; i++) peer.request('fs.open', [`/work/${i}`, 1, 0])
    await settle(6)
    expect(peer.names).toEqual(['WELCOME'])
    peer.request('fs.open', ['/work/one-more', 1, 0])
    expect(peer.names).toEqual(['WELCOME', 'GOODBYE E_PROTOCOL'])
    await session.end()
    expect(reserved(world.budget)).toBe(0)
    const outcomes = world.appended.filter((record) => record.type === 'OUTCOME')
    expect(outcomes.length).toBe(MAX_IN_FLIGHT)
    const { verdict } = await world.sealed()
    expect([verdict.status, verdict.findings]).toEqual(['intact', []])
  })

  test('a deadline aborts the effect and is answered E_TIMEOUT, a CANCEL E_CANCELLED', async () => {
    const { effect } = openClass(() => ({
      execute: ({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    }))
    const world = await makeWorld({ effects: [effect] })
    const { peer } = await greeted(world)
    expect(await peer.call('fs.open', ['/work/a', 1, 0], { deadlineMs: 1 })).toBe('E_TIMEOUT')
    const id = peer.request('fs.open', ['/work/b', 1, 0])
    await settle(6)
    peer.send({ type: MESSAGE.CANCEL, id })
    expect(await peer.answer(id)).toMatchObject({ type: MESSAGE.ERROR, code: 55 })
    expect(await peer.call('session.ping', [new Uint8Array(1)])).toEqual([new Uint8Array(1)])
  })

  test('answers come in any order, one for each', async () => {
    let letGo: () => void = () => undefined
    const held = new Promise<void>((resolve) => {
      letGo = resolve
    })
    const { effect } = openClass((path) => ({
      execute: async () => (path === '/work/slow' ? held.then(() => ({ result: [1, 0] })) : { result: [2, 0] }),
    }))
    const world = await makeWorld({ effects: [effect] })
    const { peer } = await greeted(world)
    const slow = peer.request('fs.open', ['/work/slow', 1, 0])
    const quick = peer.request('fs.open', ['/work/quick', 1, 0])
    await peer.answer(quick)
    letGo()
    await peer.answer(slow)
    const ids = peer.received.flatMap((message) => (message.type === MESSAGE.RESULT ? [message.id] : []))
    expect(ids).toEqual([quick, slow])
  })

  test('a result that does not fit the wire is an error of that request, and the gate lives', async () => {
    const { effect } = openClass((path) => ({
      execute: () => ({ result: path === '/work/huge' ? [new Uint8Array(2 << 20)] : ['\ud800'] }),
    }))
    const world = await makeWorld({ effects: [effect] })
    const { peer } = await greeted(world)
    expect(await peer.call('fs.open', ['/work/huge', 1, 0])).toBe('E_FRAME_TOO_LARGE')
    expect(await peer.call('fs.open', ['/work/lone-surrogate', 1, 0])).toBe('E_FRAME_TOO_LARGE')
    expect(await peer.call('session.ping', [new Uint8Array(1)])).toEqual([new Uint8Array(1)])
  })

  test('a fault of ours says nothing of its inside', async () => {
    const { effect } = openClass(() => ({
      execute: () => {
        throw new Error('secret inside')
      },
    }))
    const world = await makeWorld({ effects: [effect] })
    const { peer } = await greeted(world)
    const answer = await peer.answer(peer.request('fs.open', ['/work/a', 1, 0]))
    expect(JSON.stringify(answer)).not.toContain('secret')
  })
})

describe('what the registry performs', () => {
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
})

describe('things a session holds', () => {
  test('MAX_FILES of them, each closed once when the session ends', async () => {
    const { effect, bytes, closed } = things()
    const world = await makeWorld({ effects: [effect], bytes: [bytes] })
    const { peer, session } = await greeted(world)
    for (let i = 0; i < MAX_FILES; i += 64) await Promise.all(Array.from({ length: 64 }, () => peer.call('fs.open', ['/work/a', 1, 0])))
    const full = await peer.answer(peer.request('fs.open', ['/work/a', 1, 0]))
    expect(full).toMatchObject({ type: MESSAGE.ERROR, code: 31, errno: 'EMFILE' })
    await Promise.all([session.end(), session.end()])
    expect(closed.length).toBe(MAX_FILES)
    expect(new Set(closed).size).toBe(MAX_FILES)
    expect(reserved(world.budget)).toBe(0)
  }, 20_000)

  test('another session’s file is nobody’s here', async () => {
    const { effect, bytes } = things()
    const world = await makeWorld({ effects: [effect], bytes: [bytes] })
    const [mine, other] = [await greeted(world), await greeted(world)]
    const [file] = (await mine.peer.call('fs.open', ['/work/a', 1, 0])) as [number]
    expect(await mine.peer.call('fs.read', [file, 0, 1])).toEqual([new Uint8Array(1)])
    for (const forged of [file, 0, file + 1, 0xffffffff]) expect(await other.peer.call('fs.read', [forged, 0, 1])).toBe('E_CAP_INVALID')
  })

  test('an effect that ends after its session leaves nothing open', async () => {
    let letGo: () => void = () => undefined
    const held = new Promise<void>((resolve) => {
      letGo = resolve
    })
    let kept = ''
    const world = await makeWorld({
      effects: [
        {
          operation: 'fs.open',
          prepare: (_args, session) =>
            new TestEffect([], {
              execute: async (permit) => {
                permit.lease()
                await held
                try {
                  session.hold({ kind: 'fs.file', close: async () => undefined })
                  kept = 'held'
                } catch (error) {
                  kept = error instanceof AuthorityError ? error.code : 'fault'
                  throw error
                }
                return { result: [1, 0] }
              },
            }),
        },
      ],
    })
    const { peer, session } = await greeted(world)
    peer.request('fs.open', ['/work/a', 1, 0])
    await settle(6)
    const ended = session.end()
    letGo()
    await ended
    expect(kept).toBe('E_CANCELLED')
    expect([reserved(world.budget), world.pipeline.statistics.openLeases]).toEqual([0, 0])
  })

  test('MAX_STREAMS streams', async () => {
    const far = new FarEnd()
    const world = await makeWorld({ effects: [far.effect] })
    const { peer } = await greeted(world)
    for (let i = 0; i < MAX_STREAMS; i += 64) await Promise.all(Array.from({ length: 64 }, () => peer.call('net.connect', ['h', 1])))
    expect(await peer.call('net.connect', ['h', 1])).toBe('E_RATE_LIMIT')
    peer.send({ type: MESSAGE.STREAM_RESET, stream: 1, code: 55, message: '' })
    expect(await peer.call('net.connect', ['h', 1])).toEqual([MAX_STREAMS + 1, '192.0.2.1'])
  })
})
