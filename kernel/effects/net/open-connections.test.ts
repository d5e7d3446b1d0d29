import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { AuthorityError } from '@authority/protocol'
import { expect, test } from 'vitest'
import { MAX_CONNECTIONS } from './limits.ts'
import { OpenConnections } from './open-connections.ts'

const never = new AbortController().signal
const refusal = expect.objectContaining({ code: 'E_RATE_LIMIT', errno: 'EMFILE' })

test('a run has no more connections than the bound, in both directions together; one that closes makes room for one', async () => {
  const connections = new OpenConnections()
  const sockets: EventEmitter[] = []
  const dial = connections.counted(async () => {
    const socket = new EventEmitter()
    sockets.push(socket)
    return socket as Socket
  })
  for (let i = 0; i < MAX_CONNECTIONS - 1; i++) await dial('192.0.2.1', 80, never)
  const arrived = new EventEmitter() as Socket
  connections.take(arrived)
  await expect(dial('192.0.2.1', 80, never)).rejects.toEqual(refusal)
  expect(() => connections.take(new EventEmitter() as Socket)).toThrow(refusal)
  expect(sockets.length).toBe(MAX_CONNECTIONS - 1)
  sockets[0]?.emit('close')
  await dial('192.0.2.1', 80, never)
  arrived.emit('close')
  connections.take(new EventEmitter() as Socket)
})

test('what is being dialled counts, and what failed does not', async () => {
  const connections = new OpenConnections()
  const fails: ((error: Error) => void)[] = []
  const hanging = connections.counted(() => new Promise((_, reject) => fails.push(reject)))
  const dials = Array.from({ length: MAX_CONNECTIONS }, () => hanging('192.0.2.1', 80, never).catch(() => 'failed'))
  await expect(hanging('192.0.2.1', 80, never)).rejects.toEqual(refusal)
  for (const fail of fails.splice(0)) fail(new AuthorityError('E_TIMEOUT', 'late'))
  await Promise.all(dials)
  void hanging('192.0.2.1', 80, never).catch(() => undefined)
  expect(fails.length).toBe(1)
})
