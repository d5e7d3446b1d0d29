/** The long sweep behind `npm run campaign -- gate-fuzz`; the unit test runs a sample of it. Performs nothing outside this process but a log in a temporary folder. */
import { encodeFrame, encodeMessage, LINK_CONTROL, MAX_CHUNK_BYTES, MESSAGE, OPERATIONS, type WireValue } from '@authority/protocol'
import { MAX_UNREAD_BYTES } from './limits.ts'
import type { Peer } from './testing/client.ts'
import { FarEnd, linked, openClass, serve, things } from './testing/serve.ts'
import { makeWorld, reserved, settle, type World } from './testing/world.ts'

export interface FuzzReport {
  readonly steps: number
  readonly broken: readonly string[]
}

/** Small seeded generator (mulberry32): the same seed, the same conversation. */
export function seeded(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

/** One conversation of `steps` pieces, on a link or a socket, by a peer that keeps some rules and breaks others. Sentences about promises broken. */
export async function fuzzConversation(seed: number, steps: number): Promise<FuzzReport> {
  const below = seeded(seed)
  const far = new FarEnd()
  const { effect, bytes } = things(1024, 'fs.mkdir')
  const named = openClass()
  const world = await makeWorld({
    effects: [effect, named.effect, far.effect],
    bytes: [bytes],
    budgets: { calls: 200 },
  })
  try {
    return below(2) === 0 ? await fuzzLink(world, below, seed, steps) : await fuzzSocket(world, below, seed, steps)
  } finally {
    world.close()
  }
}

async function fuzzSocket(world: World, below: (n: number) => number, seed: number, steps: number): Promise<FuzzReport> {
  const { peer, session } = serve(world)
  if (below(10) > 0) peer.hello()
  let step = 0
  for (; step < steps && !peer.transport.closed; step++) {
    peer.bytes(piece(below, peer, 0))
    await turn(below, peer)
  }
  peer.transport.drain()
  await session.end()
  return { steps: step, broken: await brokenPromises(world, peer, [], `socket, seed ${seed}`) }
}

async function fuzzLink(world: World, below: (n: number) => number, seed: number, steps: number): Promise<FuzzReport> {
  const { peer, link, faults, open } = linked(world)
  const sessions = new Set([1, 2])
  for (const session of sessions) {
    open(session)
    peer.hello(null, session)
  }
  let step = 0
  for (; step < steps && faults.length === 0; step++) {
    peer.bytes(below(12) === 0 ? control(below, sessions) : piece(below, peer, [...sessions][below(sessions.size)] ?? 1))
    await turn(below, peer)
  }
  peer.transport.drain()
  await link.close()
  return { steps: step, broken: await brokenPromises(world, peer, faults, `link, seed ${seed}`) }
}

/** Lets the gate work, and sometimes stops or starts reading. */
async function turn(below: (n: number) => number, peer: Peer): Promise<void> {
  if (below(20) === 0) peer.transport.reads = false
  else if (below(10) === 0) peer.transport.drain()
  if (below(3) === 0) await settle(1)
}

async function brokenPromises(world: World, peer: Peer, faults: readonly string[], where: string): Promise<string[]> {
  const broken: string[] = []
  const say = (sentence: string): void => void broken.push(`${where}: ${sentence}`)
  if (faults.length > 1) say(`${faults.length} faults of one link`)
  if (reserved(world.budget) !== 0) say(`${reserved(world.budget)} stay reserved`)
  if (world.pipeline.statistics.openLeases !== 0) say('a lease stays open')
  if (peer.transport.highest > MAX_UNREAD_BYTES + 1024 * (MAX_CHUNK_BYTES + 64)) say(`${peer.transport.highest} bytes were queued`)
  const counts = new Map<string, number>()
  for (const message of peer.received)
    if (message.type === MESSAGE.RESULT || message.type === MESSAGE.ERROR) {
      const key = `${message.session}/${message.id}`
      counts.set(key, (counts.get(key) ?? 0) + 1)
      if (message.type === MESSAGE.ERROR && message.code === 57) say(`a fault of ours: ${message.message}`)
    }
  const intents = world.appended.filter((record) => record.type === 'INTENT').length
  const outcomes = world.appended.filter((record) => record.type === 'OUTCOME').length
  if (intents !== outcomes) say(`${intents} INTENT and ${outcomes} OUTCOME records`)
  const { verdict } = await world.sealed()
  if (verdict.status !== 'intact') say(`the log is ${verdict.status}: ${verdict.findings[0]?.message}`)
  return broken
}

/** One piece of what a peer may send: mostly well-formed messages in any order and state, some of them spoiled. */
function piece(below: (n: number) => number, peer: Peer, session: number): Uint8Array {
  const whole = frame(below, peer, session)
  if (below(60) > 0) return whole
  const spoiled = whole.slice()
  // The length is left alone most of the time: else every conversation ends with it.
  const at = below(8) === 0 ? below(spoiled.length) : 8 + below(Math.max(1, spoiled.length - 8))
  spoiled[Math.min(at, spoiled.length - 1)] = below(256)
  return spoiled
}

function frame(below: (n: number) => number, peer: Peer, session: number): Uint8Array {
  const opened = peer.received.filter(
    (message) => message.session === session && message.type === MESSAGE.RESULT && message.result[1] === '192.0.2.1',
  ).length
  // A number never given out ends the session: now and then.
  const stream = below(100) === 0 ? opened + 1 : 1 + below(Math.max(1, opened))
  switch (opened === 0 && below(100) > 0 ? 9 : below(14)) {
    case 0:
      return encodeMessage(session, { type: MESSAGE.CANCEL, id: 1 + below(peer.nextId + 2) })
    case 1:
      return encodeMessage(session, { type: MESSAGE.STREAM_DATA, stream, data: new Uint8Array(1 + below(3000)) })
    case 2:
      return encodeMessage(session, { type: MESSAGE.STREAM_CREDIT, stream, bytes: 1 + below(0xffffffff) })
    case 3:
      if (below(4) === 0) return encodeMessage(session, { type: MESSAGE.STREAM_END, stream })
      return encodeMessage(session, { type: MESSAGE.STREAM_RESET, stream, code: below(80), message: 'x' })
    case 4:
      return below(40) > 0 ? ping(below, peer, session) : encodeFrame(session, anything(below, 3))
    case 5:
      return below(40) > 0
        ? ping(below, peer, session)
        : encodeMessage(session, { type: MESSAGE.HELLO, version: 1, generation: 1, client: 'x', token: null })
    default:
      return request(below, peer, session)
  }
}

function request(below: (n: number) => number, peer: Peer, session: number): Uint8Array {
  const all = Object.values(OPERATIONS)
  const chosen = below(5)
  const { code } =
    chosen === 0
      ? (all[below(all.length)] ?? OPERATIONS['session.ping'])
      : OPERATIONS[(['fs.open', 'fs.mkdir', 'net.connect', 'fs.read'] as const)[chosen - 1] ?? 'fs.open']
  const args: WireValue[] =
    chosen === 1
      ? [`/work/${below(5)}${below(9) === 0 ? '/../../etc' : ''}`, below(70), 0]
      : chosen === 2
        ? ['/work/d', 0]
        : chosen === 3
          ? ['h', 1 + below(3)]
          : chosen === 4
            ? [below(6), 0, 10]
            : Array.from({ length: below(4) }, () => anything(below, 2))
  const handle = below(10) === 0 ? below(5) : 0
  return encodeMessage(session, {
    type: MESSAGE.REQUEST,
    id: peer.nextId++,
    operation: code,
    deadlineMs: below(8) === 0 ? 1 : 0,
    handle,
    args,
  })
}

function ping(below: (n: number) => number, peer: Peer, session: number): Uint8Array {
  const args = [new Uint8Array(below(8))]
  return encodeMessage(session, { type: MESSAGE.REQUEST, id: peer.nextId++, operation: 1, deadlineMs: 0, handle: 0, args })
}

/** Init that keeps its numbers straight most of the time. */
function control(below: (n: number) => number, sessions: Set<number>): Uint8Array {
  const session = below(40) === 0 ? 1 + below(9) : Math.max(...sessions, 0) + 1
  if (below(60) === 0) return encodeFrame(0, anything(below, 3))
  const leaving = [...sessions][below(sessions.size + 1)]
  if (leaving !== undefined && sessions.size > 2) {
    sessions.delete(leaving)
    return encodeFrame(0, [LINK_CONTROL.SESSION_CLOSE, leaving])
  }
  sessions.add(session)
  const opened = encodeFrame(0, [LINK_CONTROL.SESSION_OPEN, session, below(1000), below(1000), 'x'.repeat(below(100))])
  return Buffer.concat([opened, encodeMessage(session, { type: MESSAGE.HELLO, version: 1, generation: 1, client: 'x', token: null })])
}

function anything(below: (n: number) => number, depth: number): WireValue {
  switch (below(depth > 0 ? 7 : 6)) {
    case 0:
      return below(2 ** 31)
    case 1:
      return -1 - below(1000)
    case 2:
      return 'é'.repeat(below(20))
    case 3:
      return new Uint8Array(below(50))
    case 4:
      return below(2) === 0
    case 5:
      return null
    default:
      return Array.from({ length: below(6) }, () => anything(below, depth - 1))
  }
}

/** `conversations` of them from `firstSeed` on. */
export async function fuzzCampaign(conversations: number, firstSeed = 1, steps = 400): Promise<FuzzReport> {
  const broken: string[] = []
  let total = 0
  for (let seed = firstSeed; seed < firstSeed + conversations; seed++) {
    const report = await fuzzConversation(seed, steps)
    total += report.steps
    broken.push(...report.broken)
  }
  return { steps: total, broken }
}
