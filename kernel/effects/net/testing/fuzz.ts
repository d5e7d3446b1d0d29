/** The long sweep behind `npm run campaign -- network`; the unit test runs a sample of it. Everything stays on loopback and in temporary folders. */
import { connect } from 'node:net'
import {
  AuthorityError,
  encodeFrame,
  encodeLinkControl,
  encodeMessage,
  LINK_CONTROL,
  MESSAGE,
  OPERATIONS,
  type WireValue,
} from '@authority/protocol'
import { EffectsLink } from '../../../gate/effects-link.ts'
import { seeded } from '../../../gate/fuzz.ts'
import { Peer } from '../../../gate/testing/client.ts'
import { makeWorld, reserved, settle } from '../../../gate/testing/world.ts'
import { readClientHello } from '../client-hello.ts'
import { parseDnsQuery } from '../dns-packet.ts'
import { netBytes, netEffects, PublishedPorts } from '../index.ts'
import { ADDRESS_TYPES, encodeAddressQuestion, readAddressAnswer } from '../resolve/answer.ts'
import { freePort } from './free-port.ts'
import { type Witness, witness } from './world.ts'

type Below = (n: number) => number

const HONEST = 1
/** Of the honest session's request: above all others. */
const ID = 1_000_000
const MOST_SESSIONS = 4
const INTERNAL = 57

/**
 * The net port's sessions with real connections behind them, spoken to by a network process that keeps some rules and breaks others, and visitors at a published
 * port. Sentences about promises broken: something stays open, reserved or unrecorded, or an honest session is not served to the end.
 */
export async function networkConversation(seed: number, steps: number): Promise<string[]> {
  const below = seeded(seed)
  const open: { close(): unknown }[] = []
  const echo = await witness((socket) => void socket.pipe(socket))
  open.push(echo)
  const port = await freePort()
  const published = new PublishedPorts([{ address: '127.0.0.1', port, guestPort: 80 }])
  await published.listen()
  const world = await makeWorld({
    policy: { version: '1.0', net: { connect: [`dns:echo.example:${echo.port}`], listen: [`ip:127.0.0.1:${port}`] } },
    effects: netEffects({ resolve: async () => [], hosts: new Map([['echo.example', '127.0.0.1']]), published }),
    bytes: netBytes,
  })
  const broken: string[] = []
  const must = (holds: boolean, sentence: string): void => void (holds || broken.push(`seed ${seed}: ${sentence}`))
  try {
    const peer = new Peer({ link: true })
    const onFault = (error: Error): void => must(false, error.message)
    const link = new EffectsLink({ transport: peer.transport, run: 'a run', registry: world.registry, peer: 'network', onFault })
    const begin = (session: number): void => {
      peer.bytes(encodeLinkControl({ type: LINK_CONTROL.SESSION_OPEN, session, pid: 1, uid: 0, exe: '/init' }))
      peer.hello(null, session)
    }
    begin(HONEST)
    const sessions: number[] = []
    for (let step = 0; step < steps; step++) {
      if (sessions.length < 2 || below(25) === 0) {
        const session = 2 + step
        begin(session)
        sessions.push(session)
        if (sessions.length > MOST_SESSIONS)
          peer.bytes(encodeLinkControl({ type: LINK_CONTROL.SESSION_CLOSE, session: Number(sessions.shift()) }))
      }
      if (below(12) === 0) open.push({ close: visitor(port) })
      peer.bytes(piece(below, step + 1, sessions[below(sessions.length)] ?? 2, echo))
      if (below(4) === 0) await settle(1)
    }
    const { code } = OPERATIONS['net.connect']
    peer.send({ type: MESSAGE.REQUEST, id: ID, operation: code, deadlineMs: 0, handle: 0, args: ['echo.example', echo.port] }, HONEST)
    must((await peer.answer(ID, HONEST)).type === MESSAGE.RESULT, 'the honest session is not served')
    await link.close()
    published.close()
    must(reserved(world.budget) === 0, 'something stays reserved')
    must(world.pipeline.statistics.openLeases === 0, 'a lease stays open')
    const count = (type: string): number => world.appended.filter((record) => record.type === type).length
    must(count('INTENT') === count('OUTCOME'), `${count('INTENT')} INTENT and ${count('OUTCOME')} OUTCOME records`)
    must(!peer.received.some((message) => message.type === MESSAGE.ERROR && message.code === INTERNAL), 'a fault of ours')
    await Promise.all(echo.connections.map((socket) => socket.destroyed || new Promise((resolve) => socket.once('close', resolve))))
    const { status } = (await world.sealed()).verdict
    must(status === 'intact', `the log is ${status}`)
  } finally {
    for (const one of open) await one.close()
    world.close()
  }
  return broken
}

function visitor(port: number): () => void {
  const socket = connect(port, '127.0.0.1').on('error', () => undefined)
  socket.write('knock')
  return () => socket.destroy()
}

/** Mostly well-formed, of any stream and in any state; some of it not. */
function piece(below: Below, id: number, session: number, { port }: Witness): Uint8Array {
  const stream = 1 + below(4)
  const ask = (
    operation: 'net.connect' | 'net.accept' | 'net.close' | 'net.listen' | 'net.query',
    args: readonly WireValue[],
  ): Uint8Array =>
    encodeMessage(session, {
      type: MESSAGE.REQUEST,
      id,
      operation: OPERATIONS[operation].code,
      deadlineMs: below(3) === 0 ? 5 : 0,
      handle: 0,
      args,
    })
  switch (below(13)) {
    case 0:
      return encodeMessage(session, { type: MESSAGE.STREAM_DATA, stream, data: new Uint8Array(1 + below(5000)) })
    case 1:
      return encodeMessage(session, { type: MESSAGE.STREAM_CREDIT, stream, bytes: 1 + below(0xffff_ffff) })
    case 2:
      return encodeMessage(session, { type: MESSAGE.STREAM_END, stream })
    case 3:
      return encodeMessage(session, { type: MESSAGE.STREAM_RESET, stream, code: below(90), message: 'x' })
    case 4:
      return encodeFrame(session, [below(14), below(5), below(3) === 0 ? null : new Uint8Array(below(9))])
    case 5:
    case 6:
      return ask('net.accept', [below(5) === 0 ? below(9) : 0])
    case 7:
      return ask(below(2) === 0 ? 'net.close' : 'net.listen', [below(100)])
    case 8:
      return encodeMessage(session, { type: MESSAGE.CANCEL, id: 1 + below(id) })
    case 9:
      return ask('net.query', [damaged(below, QUERY), below(2) === 0])
    default:
      return ask('net.connect', [below(8) === 0 ? 'other.example' : 'echo.example', port])
  }
}

const ASKED = { id: 0xabcd, name: 'echo.example', type: ADDRESS_TYPES.A }
const QUERY = encodeAddressQuestion(ASKED)
/** An answer with an alias and an address, each a pointer into what came before. */
const ANSWER = Buffer.concat([
  Buffer.from('abcd81800001000200000000', 'hex'),
  QUERY.subarray(12),
  Buffer.from('c00c00050001000000000004016ec011', 'hex'),
  Buffer.from('c02a0001000100000000000401020304', 'hex'),
])
/** TLS 1.2, no session, one cipher suite, `a.example` as the server name. */
const HELLO = Buffer.concat([
  Buffer.from('16030100410100003d0303', 'hex'),
  Buffer.alloc(32, 7),
  Buffer.from('000002130101000012', 'hex'),
  Buffer.from('0000000e000c000009', 'hex'),
  Buffer.from('a.example'),
])

/** Reads damaged packets of each kind a guest or a server sends; sentences about what was neither read nor refused in words of ours. */
export function fuzzPackets(seed: number, iterations: number): string[] {
  const below = seeded(seed)
  const readers: readonly [string, Uint8Array, (packet: Uint8Array) => unknown][] = [
    ['DNS query', QUERY, parseDnsQuery],
    ['DNS answer', ANSWER, (packet) => readAddressAnswer(packet, ASKED)],
    ['ClientHello', HELLO, readClientHello],
  ]
  const broken: string[] = []
  for (let i = 0; i < iterations; i++) {
    const [what, good, read] = readers[i % readers.length] ?? readers[0] ?? ['', QUERY, parseDnsQuery]
    const packet = damaged(below, good)
    try {
      read(packet)
    } catch (error) {
      if (!(error instanceof AuthorityError)) broken.push(`${what} ${Buffer.from(packet).toString('hex')}: ${error}`)
    }
  }
  return broken
}

/** Up to five bytes changed, sometimes cut, sometimes with a part of it once more or noise behind it. */
function damaged(below: Below, good: Uint8Array): Uint8Array {
  const part = below(4) === 0 ? good.subarray(0, below(good.length + 1)) : good
  const rest = below(6) === 0 ? (below(2) === 0 ? good.subarray(below(good.length)) : new Uint8Array(below(70)).fill(below(256))) : []
  const packet = Uint8Array.from([...part, ...rest])
  for (let i = below(6); i > 0 && packet.length > 0; i--) packet[below(packet.length)] = below(3) === 0 ? 0xc0 : below(256)
  return packet
}
