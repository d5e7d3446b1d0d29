import { MAX_IN_FLIGHT, MESSAGE } from '@authority/protocol'
import { afterEach, expect, test } from 'vitest'
import type { BytesOperation, EffectClass } from '../effects/contract.ts'
import { TestEffect } from './testing/effect.ts'
import { greeted, openClass } from './testing/serve.ts'
import { closeWorlds, makeWorld, reserved, settle } from './testing/world.ts'

afterEach(closeWorlds)

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

test('bytes and looks that take too long are answered, once, and left to end; too many of those under way refuse what comes next', async () => {
  const ending: (() => void)[] = []
  const hanging: BytesOperation = {
    operation: 'fs.read',
    perform: () => new Promise((resolve) => ending.push(() => resolve([new Uint8Array(1)]))),
  }
  const world = await makeWorld({ bytes: [hanging] })
  const { peer, session } = await greeted(world)
  expect(await peer.call('fs.read', [1, 0, 1], { deadlineMs: 1 })).toBe('E_TIMEOUT')
  const id = peer.request('fs.read', [1, 0, 1])
  await settle()
  peer.send({ type: MESSAGE.CANCEL, id })
  expect(await peer.answer(id)).toMatchObject({ type: MESSAGE.ERROR, code: 55 })
  for (let i = 2; i < MAX_IN_FLIGHT; i++) expect(await peer.call('fs.read', [1, 0, 1], { deadlineMs: 1 })).toBe('E_TIMEOUT')
  expect(await peer.call('fs.read', [1, 0, 1])).toBe('E_RATE_LIMIT')
  const answers = peer.received.length
  for (const end of ending) end()
  await settle()
  expect(peer.received.length).toBe(answers)
  expect(await peer.call('session.ping', [new Uint8Array(1)])).toEqual([new Uint8Array(1)])
  await session.end()
})

test('a result that does not fit the wire is an error of that request, and the gate lives', async () => {
  const entries = Array.from({ length: 4096 }, () => ['x'.repeat(255), 'file'])
  const huge: EffectClass = {
    operation: 'fs.readdir',
    prepare: () => new TestEffect([], { execute: () => ({ result: [entries, 0] }) }),
  }
  const lone: EffectClass = {
    operation: 'net.connect',
    prepare: () => new TestEffect([], { execute: () => ({ result: [1, '\ud800'] }) }),
  }
  const world = await makeWorld({ effects: [huge, lone] })
  const { peer } = await greeted(world)
  expect(await peer.call('fs.readdir', ['/work/a', 0, 4096])).toBe('E_FRAME_TOO_LARGE')
  expect(await peer.call('net.connect', ['example.com', 443])).toBe('E_FRAME_TOO_LARGE')
  expect(await peer.call('session.ping', [new Uint8Array(1)])).toEqual([new Uint8Array(1)])
})

test.each([
  ['too few', [1]],
  ['too many', [1, 0, 0]],
  ['another kind', [1, '0']],
  ['beyond its bound', [1, -1]],
  ['more bytes than declared', [1, new Uint8Array(2 << 20)]],
] as const)(
  'a result that is not as declared, %s, is E_INTERNAL and never sent, and its OUTCOME tells what happened',
  async (_, result) => {
    const { effect } = openClass(() => ({ execute: () => ({ result }) }))
    const world = await makeWorld({ effects: [effect] })
    const { peer } = await greeted(world)
    expect(await peer.call('fs.open', ['/work/a', 1, 0])).toBe('E_INTERNAL')
    expect(world.appended.at(-1)).toMatchObject({ type: 'OUTCOME', status: 'ok', captured: { calls: 1 } })
    expect(await peer.call('session.ping', [new Uint8Array(1)])).toEqual([new Uint8Array(1)])
  },
)

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
