import { HELLO_DEADLINE_MS } from '@authority/protocol'
import { afterEach, expect, test, vi } from 'vitest'
import { serve } from './testing/serve.ts'
import { closeWorlds, makeWorld } from './testing/world.ts'

afterEach(() => {
  vi.useRealTimers()
  closeWorlds()
})

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
