import { AuthorityError, MAX_FILES, MAX_STREAMS, MESSAGE } from '@authority/protocol'
import { afterEach, expect, test } from 'vitest'
import { TestEffect } from './testing/effect.ts'
import { FarEnd, greeted, things } from './testing/serve.ts'
import { closeWorlds, makeWorld, reserved, settle } from './testing/world.ts'

afterEach(closeWorlds)

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
