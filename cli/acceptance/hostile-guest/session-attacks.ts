/** What hostile programs can say on the effects port, session by session; each answer is known from SPEC.md's state table. */
import {
  type ClientMessage,
  ERROR_CODES,
  type ErrorCode,
  encodeFrame,
  type GateMessage,
  LINK_HEADER_BYTES,
  MESSAGE,
  OPEN_FLAGS,
  type WireValue,
} from '@authority/protocol'
import { HELLO, request, type Script } from './script.ts'

export interface Conversation {
  readonly what: string
  readonly session: number
  /** GOODBYE with this code ends the session, or every request is refused with one of these. */
  readonly goodbye?: ErrorCode
  readonly refused?: readonly ErrorCode[]
}

const raw = (session: number, item: Uint8Array): Uint8Array => {
  const frame = Buffer.alloc(LINK_HEADER_BYTES + item.length)
  frame.writeUInt32BE(4 + item.length, 0)
  frame.writeUInt32BE(session, 4)
  frame.set(item, LINK_HEADER_BYTES)
  return frame
}
/** A token of the right form, made up. */
const FORGED_TOKEN = `cap1_${Buffer.alloc(96, 0x5a).toString('base64url')}`

/** A session of its own for each attack. `port` is the witness server's. */
export function attackSessions(script: Script, port: number): Conversation[] {
  const conversations: Conversation[] = []
  let session = 0
  /** Ends with GOODBYE and SESSION_CLOSE from the gate; `greeted`: WELCOME before. */
  const broken = (what: string, goodbye: ErrorCode, greeted: boolean, ...frames: (WireValue | Uint8Array)[]): void => {
    session += 1
    script.openSession(session)
    if (greeted) script.session(session, HELLO)
    for (const frame of frames)
      script.send('effects', frame instanceof Uint8Array ? raw(session, frame) : encodeFrame(session, frame as WireValue))
    script.await('effects', greeted ? 3 : 2).closeSession(session)
    conversations.push({ what, session, goodbye })
  }
  const refused = (what: string, codes: readonly ErrorCode[], ...messages: ClientMessage[]): void => {
    session += 1
    script
      .openSession(session)
      .session(session, HELLO, ...messages)
      .await('effects', 1 + messages.length)
      .closeSession(session)
    conversations.push({ what, session, refused: codes })
  }

  broken('REQUEST before HELLO', 'E_PROTOCOL', false, [MESSAGE.REQUEST, 1, 1, 0, 0, [Buffer.alloc(0)]])
  broken('STREAM_DATA before HELLO', 'E_PROTOCOL', false, [MESSAGE.STREAM_DATA, 1, Buffer.from('x')])
  broken('HELLO of another version', 'E_UNSUPPORTED', false, [MESSAGE.HELLO, 2, 1, 'x', null])
  broken('HELLO with a forged token', 'E_CAP_INVALID', false, [MESSAGE.HELLO, 1, 1, 'x', FORGED_TOKEN])
  broken('HELLO with a field too many', 'E_PROTOCOL', false, [MESSAGE.HELLO, 1, 1, 'x', null, 1])
  for (const [what, bytes] of Object.entries(NOT_MESSAGES)) {
    broken(`${what} before HELLO`, 'E_PROTOCOL', false, bytes)
    broken(`${what} after HELLO`, 'E_PROTOCOL', true, bytes)
  }
  broken('a second HELLO', 'E_PROTOCOL', true, [MESSAGE.HELLO, 1, 1, 'x', null])
  broken('a message only the gate sends', 'E_PROTOCOL', true, [MESSAGE.WELCOME, 1, 1, 'r', 256, 256, 1 << 18, 0])
  broken('STREAM_DATA of a stream never opened', 'E_PROTOCOL', true, [MESSAGE.STREAM_DATA, 1, Buffer.from('x')])
  broken('STREAM_CREDIT of a stream never opened', 'E_PROTOCOL', true, [MESSAGE.STREAM_CREDIT, 77, 0xffff_ffff])
  broken('STREAM_END of a stream never opened', 'E_PROTOCOL', true, [MESSAGE.STREAM_END, 0xffff_ffff])
  broken('REQUEST with id 0', 'E_PROTOCOL', true, [MESSAGE.REQUEST, 0, 1, 0, 0, [Buffer.alloc(0)]])
  broken('REQUEST with a negative handle', 'E_PROTOCOL', true, [MESSAGE.REQUEST, 1, 1, 0, -1, [Buffer.alloc(0)]])

  const denied: readonly ErrorCode[] = ['E_POLICY_DENY', 'E_CAP_SCOPE', 'E_CONFLICT', 'E_NOT_FOUND', 'E_PROTOCOL']
  const each = (what: string, codes: readonly ErrorCode[], requests: readonly Parameters<typeof request>[]): void =>
    refused(what, codes, ...requests.map(([, operation, args, handle], index) => request(index + 1, operation, args, handle)))

  each(
    'forged handles',
    ['E_CAP_INVALID'],
    [1, 7, 99, 0xffff_ffff].map((handle) => [0, 'fs.stat', ['/data/read.txt'], handle]),
  )
  each(
    'forged tokens',
    ['E_CAP_INVALID'],
    [FORGED_TOKEN, 'cap1_', 'x'.repeat(6000), `${FORGED_TOKEN}=`].map((token) => [0, 'cap.bind', [token]]),
  )
  each(
    'operator and init operations',
    ['E_UNSUPPORTED'],
    [
      [0, 'run.stop', ['x']],
      [0, 'run.status', []],
      [0, 'cap.revoke', [Buffer.alloc(16)]],
      [0, 'image.open', ['/etc/passwd', false]],
      [0, 'agent.spawn', ['x', Buffer.alloc(0)]],
      [0, 'state.put', ['k', Buffer.alloc(0)]],
    ],
  )
  each(
    'files that are not open',
    ['E_CAP_INVALID'],
    [
      [0, 'fs.read', [1, 0, 64]],
      [0, 'fs.write', [1, 0, Buffer.from('x')]],
      [0, 'fs.close', [0xffff_ffff]],
    ],
  )
  const paths = [
    '/etc/passwd',
    '/data/../outside/secret.txt',
    '/data/../../../../../../etc/passwd',
    '/data/link-file',
    '/data/link-absolute',
    '/data/link-folder/secret.txt',
    '/data/link-hop',
    '/data/link-proc/etc/passwd',
    '/data/link-denied',
    '/data/private/secret.txt',
    '/data/./private//secret.txt',
    '/proc/self/root/etc/passwd',
    '//data/private/secret.txt',
    'data/read.txt',
    '',
    '/data/read.txt\0',
    '/data/\n',
  ]
  each(
    'paths that lead out, opened',
    denied,
    paths.map((path) => [0, 'fs.open', [path, OPEN_FLAGS.READ, 0]]),
  )
  each(
    'paths that lead out, written',
    denied,
    paths.map((path) => [0, 'fs.open', [path, OPEN_FLAGS.WRITE | OPEN_FLAGS.CREATE, 0o644]]),
  )
  each(
    'paths that lead out, linked',
    denied,
    paths.map((path) => [0, 'fs.link', [path, '/out/stolen']]),
  )
  each(
    'paths that lead out, looked at',
    denied,
    paths.filter((path) => !path.includes('link-')).map((path) => [0, 'fs.stat', [path]]),
  )
  each(
    'paths that lead out, listed',
    denied,
    paths.map((path) => [0, 'fs.readdir', [path, 0, 16]]),
  )
  each(
    'symlinks that escape',
    denied,
    paths.slice(0, 3).map((path) => [0, 'fs.symlink', ['/out/planted', path]]),
  )

  const hosts = [
    ...['127.0.0.1', 'localhost', '127.1', '2130706433', '0x7f.0.0.1', '0177.0.0.1', '0', '0.0.0.0', '127.0.0.1.'],
    ...['::1', '[::1]', '::ffff:127.0.0.1', '::', '169.254.169.254', '10.0.0.1', 'metadata.google.internal', 'granted.example', ' '],
  ]
  const net: readonly ErrorCode[] = [...denied, 'E_UPSTREAM', 'E_IO']
  each(
    'hosts that are not granted',
    net,
    hosts.map((host) => [0, 'net.connect', [host, port]]),
  )
  each(
    'URLs that are not granted',
    net,
    hosts.map((host) => [0, 'net.fetch', ['GET', `http://${host}:${port}/`, [], null, 0, 2_000, 3, 0, null]]),
  )
  return conversations
}

const NOT_MESSAGES: Readonly<Record<string, Uint8Array>> = {
  'a map': Buffer.from('a10102', 'hex'),
  'a float': Buffer.from('f93c00', 'hex'),
  'a tag': Buffer.from('c11a00000000', 'hex'),
  'an indefinite array': Buffer.from('9f01ff', 'hex'),
  'no minimal integer': Buffer.from('811801', 'hex'),
  'bytes after the item': Buffer.from('810a00', 'hex'),
  'a byte string that claims 4 GiB': Buffer.from('5affffffff', 'hex'),
  'an array that claims 2^63': Buffer.from('9b7fffffffffffffff', 'hex'),
  'five thousand arrays in each other': Buffer.concat([Buffer.alloc(5000, 0x81), Buffer.from([0])]),
  'ill-formed UTF-8': Buffer.from('8501010162c328f6', 'hex'),
  'an empty array': Buffer.from('80', 'hex'),
  'an unknown message': Buffer.from('811863', 'hex'),
  'half a megabyte of 0xff': Buffer.alloc(1 << 19, 0xff),
}

/** What the gate said in this conversation that it should not have, in words; empty when all is as SPEC.md says. */
export function judge(
  { what, session, goodbye, refused }: Conversation,
  said: readonly { session: number; message: GateMessage | null }[],
): string[] {
  const messages = said.filter((one) => one.session === session).flatMap(({ message }) => (message === null ? [] : [message]))
  const answers = messages.filter(({ type }) => type !== MESSAGE.WELCOME)
  if (goodbye !== undefined) {
    const [only, ...more] = answers
    const right = only?.type === MESSAGE.GOODBYE && only.code === ERROR_CODES[goodbye].code && more.length === 0
    return right ? [] : [`${what}: ${JSON.stringify(answers)}`]
  }
  const codes: readonly number[] = (refused ?? []).map((code) => ERROR_CODES[code].code)
  return answers
    .filter((answer) => answer.type !== MESSAGE.ERROR || !codes.includes(answer.code))
    .map((answer) => `${what}: ${JSON.stringify(answer)}`)
}
