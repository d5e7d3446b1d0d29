/** TLS passed through by the real gate: what reaches the server is known from the server's own log. */
import { MESSAGE } from '@authority/protocol'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { greeted } from '../../gate/testing/serve.ts'
import { closeWorlds, makeWorld } from '../../gate/testing/world.ts'
import { dialTcp } from './dial.ts'
import { netEffects } from './index.ts'
import { HELLO_FLIGHT_DEADLINE_MS, MAX_HELLO_FLIGHT_BYTES, MAX_HELLO_PIECES } from './limits.ts'
import { bytewise, encrypted, hello, inTwoRecords, serverName } from './testing/crafted-hello.ts'
import { type Witness, witness } from './testing/world.ts'
import { TlsCheck } from './tls-check.ts'

const GRANTED = 'granted.example'

let server: Witness | null = null
afterEach(async () => {
  await server?.close()
  server = null
  closeWorlds()
})

/** Sends these pieces to the granted host's port 443, whose server greets whoever comes. */
async function send(pieces: readonly Uint8Array[]) {
  const far = await witness((socket) => void socket.write('greeting'))
  server = far
  const world = await makeWorld({
    policy: { version: '1.0', net: { connect: [`dns:${GRANTED}:443`] } },
    effects: netEffects({
      resolve: async () => [],
      hosts: new Map([[GRANTED, '127.0.0.1']]),
      dial: (address, _port, signal) => dialTcp(address, far.port, signal),
    }),
  })
  const { peer } = await greeted(world)
  const [stream] = (await peer.call('net.connect', [GRANTED, 443])) as [number]
  for (const data of pieces) peer.send({ type: MESSAGE.STREAM_DATA, stream, data })
  return { world, far, peer, stream }
}

const right = hello(serverName(GRANTED))

describe('reaches the server, whole and in order, and hears its greeting', () => {
  test.each([
    ['the granted name', [right]],
    ['the granted name in capitals', [hello(serverName(GRANTED.toUpperCase()))]],
    ['one byte at a time', bytewise(right)],
    ['in two records', [inTwoRecords(right, 9)]],
    ['in two records, one byte at a time', bytewise(inTwoRecords(right, 60))],
    [
      'the granted name outside, something encrypted inside: it is the address that is granted',
      [hello(serverName(GRANTED), encrypted(200))],
    ],
  ])('%s', async (_what, pieces) => {
    const { far, peer, stream } = await send(pieces)
    await peer.until(() => peer.streamed(stream).toString() === 'greeting')
    const all = Buffer.concat(pieces)
    await expect.poll(() => far.received.length).toBe(all.length)
    expect(far.received.equals(all)).toBe(true)
  })
})

describe('not a byte reaches the server, and its greeting reaches nobody', () => {
  test.each([
    ['another name', [hello(serverName('other.example'))]],
    ['a name below the granted one', [hello(serverName(`a.${GRANTED}`))]],
    ['no name', [hello()]],
    ['two names', [hello(serverName(GRANTED, 'other.example'))]],
    ['two name extensions', [hello(serverName(GRANTED), serverName('other.example'))]],
    ['the public name of a provider outside, something encrypted inside', [hello(serverName('provider.example'), encrypted(200))]],
    ['another name, one byte at a time', bytewise(hello(serverName('other.example')))],
    ['another name in two records', [inTwoRecords(hello(serverName('other.example')), 40)]],
    ['plain HTTP', [Buffer.from(`GET / HTTP/1.1\r\nHost: ${GRANTED}\r\n\r\n`)]],
    ['plain HTTP with the hello behind it', [Buffer.from('GET / HTTP/1.1\r\n\r\n'), right]],
    ['SSH', [Buffer.from('SSH-2.0-client\r\n')]],
    [
      'a hello in more pieces than any client sends',
      bytewise(hello(serverName(GRANTED), encrypted(4 * MAX_HELLO_PIECES))).slice(0, 2 * MAX_HELLO_PIECES),
    ],
    ['a hello that has another message in its record', [Buffer.concat([hello(serverName('other.example')), right])]],
  ])('%s', async (_what, pieces) => {
    const { world, far, peer, stream } = await send(pieces)
    const reset = (): boolean => peer.received.some((message) => message.type === MESSAGE.STREAM_RESET && message.stream === stream)
    await peer.until(reset)
    expect(peer.names.filter((name) => name.startsWith('STREAM'))).toEqual(['STREAM_RESET E_POLICY_DENY'])
    await expect.poll(() => world.appended.some((record) => record.type === 'CLOSE')).toBe(true)
    await expect.poll(() => far.connections.every((socket) => socket.readableEnded || socket.destroyed)).toBe(true)
    expect(far.received.length).toBe(0)
  })

  test('half a hello and then the end', async () => {
    const { world, far, peer, stream } = await send([right.subarray(0, 60)])
    peer.send({ type: MESSAGE.STREAM_END, stream })
    await expect.poll(() => far.connections.every((socket) => socket.readableEnded || socket.destroyed)).toBe(true)
    expect([far.received.length, peer.streamed(stream).length]).toEqual([0, 0])
    expect(JSON.stringify(world.appended)).not.toContain('"tls":"passthrough"')
  })

  test('no hello at all: given up after its deadline', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      const { far, peer, stream } = await send([right.subarray(0, 60)])
      vi.advanceTimersByTime(HELLO_FLIGHT_DEADLINE_MS)
      await peer.until(() => peer.received.some((message) => message.type === MESSAGE.STREAM_RESET && message.stream === stream))
      expect(peer.names.filter((name) => name.startsWith('STREAM'))).toEqual(['STREAM_RESET E_TIMEOUT'])
      expect(far.received.length).toBe(0)
    } finally {
      vi.useRealTimers()
    }
  })

  test('too much at once behind a right hello', () => {
    const check = new TlsCheck(GRANTED, 443)
    expect(check.take(Buffer.concat([right, Buffer.alloc(MAX_HELLO_FLIGHT_BYTES)])).state).toBe('refused')
  })
})

test('the record says which other name a client wanted', async () => {
  const { world, peer, stream } = await send([hello(serverName('other.example'))])
  await peer.until(() => peer.received.some((message) => message.type === MESSAGE.STREAM_RESET && message.stream === stream))
  expect(world.appended.filter(({ type }) => type === 'DENY')).toMatchObject([
    { object: 'other.example:443', requested: 'granted.example:443' },
  ])
})
