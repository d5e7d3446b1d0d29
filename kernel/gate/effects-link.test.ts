import { encodeLinkControl, LINK_CONTROL, MAX_SESSIONS, MESSAGE, parseLinkControl } from '@authority/protocol'
import { afterEach, describe, expect, test, vi } from 'vitest'
import type { Peer } from './testing/client.ts'
import { FarEnd, linked, openClass, things } from './testing/serve.ts'
import { closeWorlds, makeWorld, reserved, settle } from './testing/world.ts'

afterEach(() => {
  vi.useRealTimers()
  closeWorlds()
})

const ping = (peer: Peer, session: number): ReturnType<Peer['call']> =>
  peer.call('session.ping', [new Uint8Array([session & 255])], { session })
const closes = (peer: Peer): number[] => peer.control.map((item) => parseLinkControl(item).session)

async function setup() {
  const world = await makeWorld()
  return { world, ...linked(world) }
}

describe('sessions of a link', () => {
  test('are opened by init, talk beside each other, and end alone', async () => {
    const { peer, link, faults, open } = await setup()
    for (const session of [1, 2, 0xffffffff]) {
      open(session)
      peer.hello(null, session)
    }
    expect(link.openSessions).toBe(3)
    peer.send({ type: MESSAGE.STREAM_END, stream: 9 }, 2)
    expect([link.openSessions, closes(peer), faults]).toEqual([2, [2], []])
    for (const session of [1, 0xffffffff]) expect(await ping(peer, session)).toEqual([new Uint8Array([session & 255])])
  })

  test('subjects say what init claimed, and no two sessions of a run have the same name', async () => {
    const { effect } = openClass()
    const world = await makeWorld({ effects: [effect] })
    const { peer, open, close } = linked(world)
    for (let round = 0; round < 2; round++) {
      open(3)
      peer.hello(null, 3)
      expect(await peer.call('fs.open', ['/work/a', 1, 0], { session: 3 })).toEqual([1, 0])
      close(3)
    }
    const intents = world.appended.filter((record) => record.type === 'INTENT')
    expect(intents).toMatchObject([
      { session: 'effects:1', claimed: { pid: 7, exe: '/bin/agent' } },
      { session: 'effects:2', claimed: { pid: 7, exe: '/bin/agent' } },
    ])
  })

  test('a close by init is answered, and the number is free', async () => {
    const { peer, link, faults, open, close } = await setup()
    open(4)
    close(4)
    expect([closes(peer), link.openSessions]).toEqual([[4], 0])
    open(4)
    peer.hello(null, 4)
    expect(await ping(peer, 4)).toEqual([new Uint8Array([4])])
    expect(faults).toEqual([])
  })

  test('after a close by the gate, what crossed it is dropped, until init answers', async () => {
    const { peer, faults, open, close } = await setup()
    open(4)
    peer.hello(null, 4)
    peer.hello(null, 4)
    peer.hello(null, 4)
    peer.request('session.ping', [new Uint8Array(1)], { session: 4 })
    expect([peer.names, faults]).toEqual([['WELCOME', 'GOODBYE E_PROTOCOL'], []])
    close(4)
    expect(closes(peer)).toEqual([4])
    open(4)
    peer.hello(null, 4)
    expect(peer.names.at(-1)).toBe('WELCOME')
  })

  test('a silent one is over after its hello deadline; others go on', async () => {
    const world = await makeWorld()
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const { peer, link, open } = linked(world)
    open(1)
    open(2)
    peer.hello(null, 2)
    vi.advanceTimersByTime(10_000)
    expect([peer.names, link.openSessions, closes(peer)]).toEqual([['WELCOME', 'GOODBYE E_TIMEOUT'], 1, [1]])
  })
})

describe('what breaks the link ends it', () => {
  const opened = { type: LINK_CONTROL.SESSION_OPEN, session: 1, pid: 7, uid: 1000, exe: '/bin/agent' } as const
  const cases: [string, (peer: Peer) => void][] = [
    ['a frame for a number never opened', (peer) => peer.hello(null, 9)],
    ['a number opened twice', (peer) => [opened, opened].forEach((message) => void peer.bytes(encodeLinkControl(message)))],
    ['session 0 opened', (peer) => peer.hex('0000000c00000000850100071903e860')],
    ['a close of what was never opened', (peer) => peer.bytes(encodeLinkControl({ type: LINK_CONTROL.SESSION_CLOSE, session: 9 }))],
    [
      'a second close',
      (peer) => {
        peer.bytes(encodeLinkControl(opened))
        for (let i = 0; i < 2; i++) peer.bytes(encodeLinkControl({ type: LINK_CONTROL.SESSION_CLOSE, session: 1 }))
      },
    ],
    ['an impossible length', (peer) => peer.hex('ffffffff00000000')],
    ['a frame without an item', (peer) => peer.hex('0000000400000001')],
    ['session 0: ill-formed CBOR', (peer) => peer.hex('0000000500000000ff')],
    ['session 0: no array', (peer) => peer.hex('000000050000000001')],
    ['session 0: a message nobody knows', (peer) => peer.hex('0000000600000000811863')],
    ['session 0: a field too few', (peer) => peer.hex('000000080000000084010701f6')],
    ['session 0: a field too many', (peer) => peer.hex('00000008000000008302010a')],
    ['session 0: a negative number', (peer) => peer.hex('0000000700000000820220')],
    ['session 0: a number beyond u32', (peer) => peer.hex('0000000f0000000082021b0000000100000000')],
  ]

  test.each(cases)('%s', async (_name, act) => {
    const { peer, link, faults } = await setup()
    act(peer)
    await settle()
    expect(faults.length).toBe(1)
    expect(faults[0]).toMatch(/^E_(PROTOCOL|FRAME_TOO_LARGE) /)
    expect(link.openSessions === 0 || (await link.close().then(() => true))).toBe(true)
    // Nothing on it is believed any more.
    peer.bytes(encodeLinkControl({ ...opened, session: 77 }))
    peer.hello(null, 77)
    await settle()
    expect(faults.length).toBe(1)
    expect(peer.names).not.toContain('WELCOME')
  })

  test('more than MAX_SESSIONS, and those the gate closed count until init answers', async () => {
    const { peer, link, faults, open, close } = await setup()
    for (let session = 1; session <= MAX_SESSIONS; session++) open(session)
    expect([link.openSessions, faults]).toEqual([MAX_SESSIONS, []])
    // Refused ones: the gate has closed them, init says nothing.
    for (let session = 1; session <= MAX_SESSIONS; session++) peer.send({ type: MESSAGE.CANCEL, id: 1 }, session)
    expect([link.openSessions, closes(peer).length, faults]).toEqual([0, MAX_SESSIONS, []])
    close(1)
    open(MAX_SESSIONS + 1)
    expect(faults).toEqual([])
    open(MAX_SESSIONS + 2)
    expect(faults).toEqual([`E_PROTOCOL effects port: more than ${MAX_SESSIONS} sessions`])
  })
})

describe('the end of the link', () => {
  test('ends every session; resolves when what they held is closed and recorded', async () => {
    const { effect, closed } = things()
    const far = new FarEnd()
    const world = await makeWorld({ effects: [effect, far.effect], budgets: { calls: 100 } })
    const { peer, link, open } = linked(world)
    for (const session of [1, 2]) {
      open(session)
      peer.hello(null, session)
      await peer.call('fs.open', ['/work/a', 1, 0], { session })
      await peer.call('net.connect', ['h', 1], { session })
    }
    await Promise.all([link.close(), link.close()])
    expect([closed.length, far.events, reserved(world.budget)]).toEqual([2, ['reset', 'reset'], 0])
    expect((await world.sealed()).verdict.findings).toEqual([])
  })

  test('comes with the transport', async () => {
    const { peer, link, open } = await setup()
    open(1)
    peer.transport.close()
    await link.close()
    open(2)
    expect(link.openSessions).toBeLessThanOrEqual(1)
    expect(peer.received).toEqual([])
  })
})
