import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { encodeLinkControl, LINK_CONTROL, parseLinkControl } from '@authority/protocol'
import { afterEach, describe, expect, test } from 'vitest'
import type { Peer } from './testing/client.ts'
import { linked, serve } from './testing/serve.ts'
import { closeWorlds, makeWorld, settle } from './testing/world.ts'

afterEach(closeWorlds)

interface Conversation {
  readonly state: string
  readonly input: string
  readonly send: readonly string[]
  readonly receive: readonly { readonly message: string; readonly code?: string }[]
  readonly after: 'open' | 'closed'
}

const file = join(import.meta.dirname, '../../fixtures/vectors/protocol/conversations.json')
const { vectors } = JSON.parse(readFileSync(file, 'utf8')) as { readonly vectors: readonly Conversation[] }
const named = vectors.map((vector): [string, Conversation] => [`${vector.state}: ${vector.input}`, vector])
const expected = ({ receive }: Conversation): string[] =>
  receive.map(({ message, code }) => (code === undefined ? message : `${message} ${code}`))

/** Requests run beside each other: what follows one is sent when it was answered, as the conversations are written. */
async function say(peer: Peer, chunks: readonly string[]): Promise<void> {
  for (const chunk of chunks) {
    peer.hex(chunk)
    if (chunk.length > 2) await settle(1)
  }
  await settle()
}

describe('on a socket', () => {
  test.each(named)('%s', async (_name, vector) => {
    const { peer } = serve(await makeWorld())
    await say(peer, vector.send)
    expect(peer.names).toEqual(expected(vector))
    expect(peer.transport.closed).toBe(vector.after === 'closed')
    if (vector.after === 'open') {
      peer.nextId = 1_000_000
      expect(await peer.call('session.ping', [new Uint8Array([7])])).toEqual([new Uint8Array([7])])
    }
  })
})

describe('on the effects port', () => {
  // What concerns the frame itself is init's doing there, and ends the port.
  const inside = named.filter(([, { send }]) => send.every((chunk) => chunk.length > 16 && chunk.slice(8, 16) === '00000000'))

  test('most rows are about what is inside a frame', () => expect(inside.length).toBeGreaterThan(30))

  test.each(inside)('%s', async (_name, vector) => {
    const world = await makeWorld()
    const { peer, faults, open } = linked(world)
    peer.session = 5
    open(5)
    open(6)
    peer.hello(null, 6)
    peer.received.length = 0
    await say(
      peer,
      vector.send.map((chunk) => readdress(chunk, 5)),
    )
    const mine = peer.received.filter(({ session }) => session === 5)
    const names = peer.names.filter((_, i) => peer.received[i]?.session === 5)
    expect(names).toEqual(expected(vector))
    expect(mine.length).toBe(names.length)
    expect(peer.control.map((item) => parseLinkControl(item))).toEqual(
      vector.after === 'closed' ? [{ type: LINK_CONTROL.SESSION_CLOSE, session: 5 }] : [],
    )
    expect(faults).toEqual([])
    // Others go on.
    expect(await peer.call('session.ping', [new Uint8Array([7])], { session: 6 })).toEqual([new Uint8Array([7])])
  })
})

/** The same frames for another session: a chunk may hold several. */
function readdress(hex: string, session: number): string {
  const bytes = Buffer.from(hex, 'hex')
  for (let at = 0; at + 8 <= bytes.length; at += 4 + bytes.readUInt32BE(at)) bytes.writeUInt32BE(session, at + 4)
  return bytes.toString('hex')
}

test('a link control message is a frame of session 0', () => {
  expect(Buffer.from(encodeLinkControl({ type: LINK_CONTROL.SESSION_CLOSE, session: 5 })).readUInt32BE(4)).toBe(0)
})
