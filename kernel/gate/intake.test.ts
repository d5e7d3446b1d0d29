import { encodeMessage, MAX_CHUNK_BYTES, MAX_IN_FLIGHT, MESSAGE, OPERATIONS } from '@authority/protocol'
import { afterEach, describe, expect, test } from 'vitest'
import { Intake } from './intake.ts'
import { INTAKE_SLICE_BYTES, MAX_UNREAD_BYTES } from './limits.ts'
import { MemoryTransport } from './testing/client.ts'
import { greeted, linked, things } from './testing/serve.ts'
import { closeWorlds, makeWorld, settle } from './testing/world.ts'

afterEach(closeWorlds)

describe('a chunk', () => {
  test('is worked off in slices, in order, nothing lost or twice, however it arrives', async () => {
    const transport = new MemoryTransport(() => undefined)
    const taken: Uint8Array[] = []
    const intake = new Intake(transport, (slice) => void taken.push(slice.slice()))
    intake.start()
    const all = Buffer.from(Array.from({ length: 10 * INTAKE_SLICE_BYTES + 17 }, (_, i) => (i * 7) % 253))
    let from = 0
    for (const end of [5, INTAKE_SLICE_BYTES, 3 * INTAKE_SLICE_BYTES, 3 * INTAKE_SLICE_BYTES + 1, all.length]) {
      transport.arrive(all.subarray(from, end))
      from = end
    }
    await settle(20)
    expect(Buffer.concat(taken).equals(all)).toBe(true)
    expect(taken.every((slice) => slice.length <= INTAKE_SLICE_BYTES)).toBe(true)
    expect(transport.paused).toBe(false)
  })

  test('waits while the peer does not read, and goes on when it has', async () => {
    const transport = new MemoryTransport(() => undefined)
    transport.reads = false
    let taken = 0
    const intake = new Intake(transport, (slice) => {
      taken += slice.length
      transport.write(new Uint8Array(MAX_UNREAD_BYTES))
    })
    intake.start()
    transport.arrive(new Uint8Array(5 * INTAKE_SLICE_BYTES))
    transport.arrive(new Uint8Array(9))
    await settle(20)
    expect([taken, transport.paused]).toEqual([2 * INTAKE_SLICE_BYTES, true])
    transport.drain()
    await settle(20)
    expect([taken, transport.paused, transport.held]).toEqual([5 * INTAKE_SLICE_BYTES + 9, false, 0])
  })

  test('after stop nothing is taken', async () => {
    const transport = new MemoryTransport(() => undefined)
    let taken = 0
    const intake: Intake = new Intake(transport, () => {
      taken += 1
      intake.stop()
    })
    intake.start()
    transport.arrive(new Uint8Array(5 * INTAKE_SLICE_BYTES))
    transport.arrive(new Uint8Array(5))
    await settle(10)
    expect(taken).toBe(1)
  })
})

describe('a client that asks and never reads', () => {
  test('one session: MAX_UNREAD_BYTES and the answers to what it may have in flight', async () => {
    const { effect, bytes } = things(MAX_CHUNK_BYTES)
    const world = await makeWorld({ effects: [effect], bytes: [bytes] })
    const { peer } = await greeted(world)
    const [file] = (await peer.call('fs.open', ['/work/a', 1, 0])) as [number]
    peer.transport.reads = false
    for (let i = 0; i < 2000; i++) {
      peer.request('fs.read', [file, 0, MAX_CHUNK_BYTES])
      if (i % 100 === 0) await settle(1)
    }
    await settle(10)
    expect(peer.transport.highest).toBeLessThan(MAX_UNREAD_BYTES + (MAX_IN_FLIGHT + 1) * (MAX_CHUNK_BYTES + 64))
    expect(peer.transport.paused).toBe(true)
    expect(peer.names).not.toContain('GOODBYE E_PROTOCOL')
    // What it sent meanwhile, more than it may have in flight, is read only now.
    peer.transport.drain()
    await peer.until(() => peer.transport.closed)
    expect(peer.names.at(-1)).toBe('GOODBYE E_PROTOCOL')
  })

  test('one that keeps to what it may have in flight gets all its answers once it reads', async () => {
    const { effect, bytes } = things(MAX_CHUNK_BYTES)
    const world = await makeWorld({ effects: [effect], bytes: [bytes] })
    const { peer } = await greeted(world)
    const [file] = (await peer.call('fs.open', ['/work/a', 1, 0])) as [number]
    peer.transport.reads = false
    const ids = Array.from({ length: MAX_IN_FLIGHT }, () => peer.request('fs.read', [file, 0, MAX_CHUNK_BYTES]))
    await settle(20)
    peer.transport.drain()
    for (const id of ids) expect((await peer.answer(id)).type).toBe(MESSAGE.RESULT)
  })

  test('256 sessions on a link, all their requests in one chunk: one slice of them and MAX_UNREAD_BYTES', async () => {
    const { effect, bytes } = things(MAX_CHUNK_BYTES)
    const world = await makeWorld({ effects: [effect], bytes: [bytes] })
    const { peer, open, faults } = linked(world)
    const frames: Uint8Array[] = []
    for (let session = 1; session <= 200; session++) {
      open(session)
      peer.hello(null, session)
      await peer.call('fs.open', ['/work/a', 1, 0], { session })
      for (let i = 0; i < 100; i++)
        frames.push(
          encodeMessage(session, {
            type: MESSAGE.REQUEST,
            id: 1_000_000 + i,
            operation: OPERATIONS['fs.read'].code,
            deadlineMs: 0,
            handle: 0,
            args: [1, 0, MAX_CHUNK_BYTES],
          }),
        )
    }
    peer.transport.reads = false
    const flood = Buffer.concat(frames)
    peer.bytes(flood)
    await settle(200)
    // Answered whole it would be 1.3 GB.
    const perSlice = Math.ceil(INTAKE_SLICE_BYTES / (frames[0]?.length ?? 1)) * (MAX_CHUNK_BYTES + 64)
    expect(peer.transport.highest).toBeLessThan(MAX_UNREAD_BYTES + perSlice)
    expect(faults).toEqual([])
  }, 20_000)

  test('other clients go on meanwhile', async () => {
    const { effect, bytes } = things(MAX_CHUNK_BYTES)
    const world = await makeWorld({ effects: [effect], bytes: [bytes] })
    const [stalled, other] = [await greeted(world), await greeted(world)]
    await stalled.peer.call('fs.open', ['/work/a', 1, 0])
    stalled.peer.transport.reads = false
    for (let i = 0; i < 250; i++) stalled.peer.request('fs.read', [1, 0, MAX_CHUNK_BYTES])
    await settle(5)
    for (let i = 0; i < 20; i++) expect(await other.peer.call('session.ping', [new Uint8Array([i])])).toEqual([new Uint8Array([i])])
    await stalled.session.end()
    expect(stalled.peer.transport.closed).toBe(true)
  })
})
