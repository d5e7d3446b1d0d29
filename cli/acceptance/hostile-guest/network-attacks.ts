/** What a hostile network process can say on the net port: forged streams and credits, listeners and operations that are not its own, floods. */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import {
  type ClientMessage,
  ERROR_CODES,
  type ErrorCode,
  encodeFrame,
  encodeLinkControl,
  encodeMessage,
  LINK_CONTROL,
  MESSAGE,
  type WireValue,
} from '@authority/protocol'
import type { HostileRun, Outcome } from './gate.ts'
import { HELLO, request, Script } from './script.ts'
import type { Conversation } from './session-attacks.ts'

/** Numbers of the other port's sessions are all lower: answers are told apart by them. */
const FIRST = 1_000
const VICTIM = FIRST
/** How much of everything: small ones in the acceptance test, all of it in the campaign. */
export interface Sizes {
  /** Refused connections asked for in a row. */
  readonly dials: number
  /** Names no rule allows, each another. */
  readonly queries: number
  /** Connections opened and reset. */
  readonly opens: number
}
const AT_ONCE = 200
const CHUNK = Buffer.alloc(64 * 1024, 0x61)

export interface Servers {
  readonly echo: number
  /** Takes connections and never reads. */
  readonly deaf: number
  /** Reads everything and says nothing. */
  readonly sink: number
  /** Connections the echo saw. */
  readonly greeted: () => number
  close(): Promise<void>
}

export async function openServers(): Promise<Servers> {
  const sockets = new Set<Socket>()
  let greeted = 0
  const echo = createServer((socket) => {
    greeted += 1
    sockets.add(socket.on('error', () => undefined))
    socket.pipe(socket)
  })
  const deaf = createServer({ pauseOnConnect: true }, (socket) => void sockets.add(socket.on('error', () => undefined)))
  const sink = createServer(
    (socket) =>
      void sockets.add(
        socket
          .on('error', () => undefined)
          .on('close', () => sockets.delete(socket))
          .resume(),
      ),
  )
  const listen = (server: Server): Promise<number> =>
    new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)))
  return {
    echo: await listen(echo),
    deaf: await listen(deaf),
    sink: await listen(sink),
    greeted: () => greeted,
    close: async () => {
      for (const socket of sockets) socket.destroy()
      await Promise.all([echo, deaf, sink].map((server) => new Promise((resolve) => server.close(resolve))))
    },
  }
}

const data = (stream: number, bytes: Uint8Array): ClientMessage => ({ type: MESSAGE.STREAM_DATA, stream, data: bytes })
const end = (stream: number): ClientMessage => ({ type: MESSAGE.STREAM_END, stream })
const credit = (stream: number, bytes: number): ClientMessage => ({ type: MESSAGE.STREAM_CREDIT, stream, bytes })
const reset = (stream: number): ClientMessage => ({ type: MESSAGE.STREAM_RESET, stream, code: 52, message: 'gone' })

interface NetworkConversation extends Conversation {
  /** How many there must be. */
  readonly answers?: number
}

export interface NetworkAttack {
  readonly run: Pick<HostileRun, 'script' | 'policy' | 'hosts' | 'published'>
  /** What the gate said that it should not have, in words. */
  judge(out: Outcome): string[]
}

/** `listen`: a free port of this machine, published. */
export function networkAttack(servers: Servers, listen: number, sizes: Sizes): NetworkAttack {
  const script = new Script().handshake()
  const conversations = attackNetwork(script, servers, sizes)
  const connect = [servers.echo, servers.deaf, servers.sink].map((port) => `dns:echo.example:${port}`)
  return {
    run: {
      script: script.exit(0),
      policy: { net: { connect, listen: [`ip:127.0.0.1:${listen}`] } },
      hosts: [['echo.example', '127.0.0.1']],
      published: [{ address: '127.0.0.1', port: listen, guestPort: 80 }],
    },
    judge: ({ effects }) => {
      const heard = effects.flatMap(({ session, message }) =>
        session === VICTIM && message?.type === MESSAGE.STREAM_DATA ? [Buffer.from(message.data).toString()] : [],
      )
      return [
        ...conversations.flatMap((one) => judgeConversation(one, effects)),
        ...(heard.join('') === 'before between after' ? [] : [`the honest session heard «${heard.join('')}»`]),
        ...(servers.greeted() === 1 ? [] : [`${servers.greeted()} connections reached the echo`]),
      ]
    },
  }
}

/** A session of its own for each attack; before and after them an honest one, VICTIM, whose connection stays open. */
function attackNetwork(script: Script, { echo, deaf, sink }: Servers, sizes: Sizes): NetworkConversation[] {
  const conversations: NetworkConversation[] = []
  let session = VICTIM
  const say = (...messages: readonly (ClientMessage | WireValue)[]): void => {
    for (const one of messages)
      script.send('net', Array.isArray(one) ? encodeFrame(session, one as WireValue) : encodeMessage(session, one as ClientMessage))
  }
  const open = (): void => {
    script.send('net', encodeLinkControl({ type: LINK_CONTROL.SESSION_OPEN, session, pid: 1, uid: 0, exe: '/hostile' }))
    say(HELLO)
    script.await('net', 1)
  }
  const close = (): void => void script.send('net', encodeLinkControl({ type: LINK_CONTROL.SESSION_CLOSE, session }))
  /** To the server that says nothing: how many frames come is known then. */
  const connected = (): void => {
    say(request(1, 'net.connect', ['echo.example', deaf]))
    script.await('net', 1)
  }
  /** Ends with GOODBYE and SESSION_CLOSE; `streams`: connected first. */
  const broken = (what: string, streams: boolean, ...messages: readonly (ClientMessage | WireValue)[]): void => {
    session += 1
    open()
    if (streams) connected()
    say(...messages)
    script.await('net', 2)
    close()
    conversations.push({ what, session, goodbye: 'E_PROTOCOL' })
  }
  const refused = (what: string, codes: readonly ErrorCode[], ...messages: readonly ClientMessage[]): void => {
    session += 1
    open()
    say(...messages)
    script.await('net', messages.length)
    close()
    conversations.push({ what, session, refused: codes })
  }

  open()
  say(request(1, 'net.connect', ['echo.example', echo]))
  script.await('net', 1)
  const victimSays = (text: string): void => {
    const now = session
    session = VICTIM
    say(data(1, Buffer.from(text)))
    script.await('net', 1)
    session = now
  }
  victimSays('before ')

  broken('data for a stream of another session', false, data(1, Buffer.from('into the neighbour')))
  broken('credit for a stream of another session', false, credit(1, 1))
  broken('the end of a stream of another session', false, end(1))
  broken('a reset of a stream of another session', false, reset(1))
  broken('data for a stream beside its own', true, data(2, Buffer.from('x')))
  broken('data after its end', true, end(1), data(1, Buffer.from('x')))
  broken('a second end', true, end(1), end(1))
  broken('empty data', true, [MESSAGE.STREAM_DATA, 1, Buffer.alloc(0)])
  broken('data larger than a chunk', true, [MESSAGE.STREAM_DATA, 1, Buffer.alloc(64 * 1024 + 1)])
  broken('no credit at all', true, [MESSAGE.STREAM_CREDIT, 1, 0])
  broken('more credit than a message grants', true, [MESSAGE.STREAM_CREDIT, 1, 2 ** 32])
  broken('an answer where only the gate answers', true, [MESSAGE.RESULT, 1, [80, 9, '192.0.2.1:1']])

  refused('an accept with the answer in it', ['E_PROTOCOL'], { ...request(1, 'net.accept', [0, 80, 9]) })
  refused('listeners it was never given', ['E_CAP_INVALID'], request(1, 'net.accept', [1]), request(2, 'net.accept', [0xffff_ffff]))
  refused(
    'what the network process has no business with',
    ['E_UNSUPPORTED'],
    request(1, 'net.listen', [80]),
    request(2, 'net.close', [1]),
    request(3, 'net.fetch', ['GET', `http://echo.example:${echo}/`, [], null, 0, 1000, 0, 0, null]),
    request(4, 'fs.open', ['/data/read.txt', 1, 0]),
    request(5, 'run.stop', ['now']),
    request(6, 'cap.self', []),
  )
  refused(
    'DNS packets that are none',
    ['E_CONFLICT', 'E_UNSUPPORTED', 'E_POLICY_DENY', 'E_PROTOCOL'],
    ...Object.values(PACKETS).map((packet, i) => request(i + 1, 'net.query', [packet, i % 2 === 1])),
  )
  victimSays('between ')

  // Closing twice is no fault: a message for a stream that is over may have been under way.
  session += 1
  open()
  connected()
  say(reset(1), reset(1), end(1), data(1, Buffer.from('late')), credit(1, 0xffff_ffff), request(2, 'net.connect', ['echo.example', deaf]))
  script.await('net', 1)
  close()

  // Accepts without end: as many as a session may have unanswered, and one more.
  broken(
    'more accepts than may wait',
    false,
    ...Array.from({ length: 257 }, (_, i) => ({ ...request(i + 1, 'net.accept', [0]), deadlineMs: 60_000 })),
  )

  const flood = (what: string, count: number, one: (id: number) => ClientMessage): void => {
    if (count === 0) return
    session += 1
    open()
    for (let id = 1; id <= count; id += AT_ONCE) {
      const last = Math.min(count, id + AT_ONCE - 1)
      for (let now = id; now <= last; now++) say(one(now))
      script.await('net', last - id + 1)
    }
    close()
    conversations.push({ what, session, refused: ['E_POLICY_DENY'], answers: count })
  }
  // Not the address the granted name is mapped to: there some of these ports are granted.
  flood(`${sizes.dials} dials`, sizes.dials, (id) => request(id, 'net.connect', ['127.0.0.2', 1 + (id % 60_000)]))
  flood(`${sizes.queries} queries`, sizes.queries, (id) => request(id, 'net.query', [dnsQuestion(`name-${id}.tunnel.example`), false]))

  session += 1
  open()
  // Reset at once: what one batch opened is gone before the next asks.
  for (let id = 1; id <= sizes.opens; id += AT_ONCE) {
    for (let now = id; now < id + AT_ONCE; now++) say(request(now, 'net.connect', ['echo.example', sink]))
    script.await('net', AT_ONCE)
    for (let now = id; now < id + AT_ONCE; now++) say(reset(now))
  }
  close()
  victimSays('after')

  // Last: how much credit comes back before the far end is full depends on its kernel, and with it the number of frames.
  session += 1
  open()
  connected()
  script.push('net', encodeMessage(session, data(1, CHUNK)), 300)
  conversations.push({ what: 'more data than credit, to a server that never reads', session, goodbye: 'E_PROTOCOL' })
  return conversations
}

function dnsQuestion(name: string): Buffer {
  const labels = name.split('.').map((label) => Buffer.concat([Uint8Array.of(label.length), Buffer.from(label)]))
  return Buffer.concat([Buffer.from('abcd01000001000000000000', 'hex'), ...labels, Buffer.from('0000010001', 'hex')])
}

const HEAD = 'abcd01000001000000000000'
/** Loops, pointers, lengths and counts that are not there; the largest DNS message, which is more than a query may have. */
const PACKETS: Readonly<Record<string, Uint8Array>> = {
  'a name that points at itself': Buffer.from(`${HEAD}c00c00010001`, 'hex'),
  'two pointers in a circle': Buffer.from(`${HEAD}c00ec00c00010001`, 'hex'),
  'a pointer after a label': Buffer.from(`${HEAD}0161c00c00010001`, 'hex'),
  'a pointer at the header': Buffer.from(`${HEAD}c00000010001`, 'hex'),
  'labels without end': Buffer.concat([Buffer.from(HEAD, 'hex'), Buffer.alloc(1220, 1)]),
  'a label beyond the packet': Buffer.from(`${HEAD}3f61`, 'hex'),
  '65,535 questions': Buffer.from('abcd0100ffff000000000000', 'hex'),
  '65,535 additional records': Buffer.concat([Buffer.from('abcd010000010000', 'hex'), Buffer.from('0000ffff0161000001000100', 'hex')]),
  'an answer': Buffer.concat([Buffer.from('abcd8180', 'hex'), dnsQuestion('a.example').subarray(4)]),
  nothing: Buffer.alloc(1),
  'the largest': Buffer.concat([dnsQuestion('a.example'), Buffer.alloc(65_000)]),
  'half a byte too many': Buffer.concat([dnsQuestion('a.example'), Uint8Array.of(0)]),
}

function judgeConversation({ what, session, goodbye, refused, answers }: NetworkConversation, said: Outcome['effects']): string[] {
  const messages = said.flatMap((one) => (one.session === session && one.message !== null ? [one.message] : []))
  if (goodbye !== undefined) {
    const last = messages.at(-1)
    const before: readonly number[] = [MESSAGE.WELCOME, MESSAGE.RESULT, MESSAGE.STREAM_CREDIT]
    const right =
      last?.type === MESSAGE.GOODBYE &&
      last.code === ERROR_CODES[goodbye].code &&
      messages.slice(0, -1).every(({ type }) => before.includes(type))
    return right ? [] : [`${what}: ${JSON.stringify(messages)}`]
  }
  const codes: readonly number[] = (refused ?? []).map((code) => ERROR_CODES[code].code)
  const [, ...all] = messages
  const wrong = all.filter((one) => one.type !== MESSAGE.ERROR || !codes.includes(one.code))
  const counted = answers === undefined ? all.length > 0 : all.length === answers
  return [...wrong.slice(0, 3).map((one) => `${what}: ${JSON.stringify(one)}`), ...(counted ? [] : [`${what}: ${all.length} answers`])]
}
