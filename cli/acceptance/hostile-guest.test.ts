/**
 * INV-1 against a guest that is hostile to the last byte: a PID 1 of its own with every port open, in a real VM, before the real gate process. Whatever it says,
 * nothing outside the grants is read, written or connected to; the gate answers or ends the run as SPEC.md says, within a bound of memory; the log verifies;
 * nothing is left.
 */
import { readdirSync } from 'node:fs'
import {
  encodeFuseFrame,
  encodeGuestMessage,
  GATE_TO_GUEST,
  GUEST_TO_GATE,
  type GuestMessage,
  MAX_STDIO_BYTES,
  MESSAGE,
  OPEN_FLAGS,
} from '@authority/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BREACHES, words } from './hostile-guest/breaches.ts'
import { deepTree, handlesNeverClosed, longNames } from './hostile-guest/floods.ts'
import { attackFiles, NODE, prepareNodes, read } from './hostile-guest/fuse-attacks.ts'
import { type Hostile, type HostileRun, type Outcome, prepareHostile, runHostile, withQueueInit } from './hostile-guest/gate.ts'
import { networkAttack, openServers, type Sizes } from './hostile-guest/network-attacks.ts'
import { makeRivalFolders, mover, opener, RIVAL_WITHIN, textsRead } from './hostile-guest/rivals.ts'
import { ARMED, fields, HELLO, message, OPCODE, READY, request, Script } from './hostile-guest/script.ts'
import { attackSessions, judge } from './hostile-guest/session-attacks.ts'
import { SWAPPED, startSwapping, WITHIN } from './hostile-guest/swapper.ts'
import { FORBIDDEN, GRANTED, makeWorld, type World } from './hostile-guest/world.ts'
import { freePort } from './network-guest/world.ts'
import { inTurn } from './vm-support.ts'

/** MiB of memory the gate process may ever take, whatever the guest does: the runtime takes 75 to 120, answers under way at most 64, unread ones 4. */
const MAX_GATE_MIB = 224

let hostile: Hostile
let world: World
beforeAll(async () => {
  hostile = await prepareHostile()
  world = await makeWorld()
})
afterAll(async () => {
  await world.close()
  hostile.clean()
})

/** One hostile run in the world, and what holds after each of them. */
async function attack(script: Script, run: Partial<HostileRun> = {}, by: Hostile = hostile): Promise<Outcome> {
  const out = await inTurn(() => runHostile(by, { script, mounts: world.mounts, policy: world.policy, ...run }))
  const everything = Buffer.concat([...out.sent, out.stdout, Buffer.from(out.stderr)])
  for (const canary of FORBIDDEN) expect(everything.includes(canary), `${canary} reached the guest`).toBe(false)
  expect(world.untouched()).toBe(true)
  expect(readdirSync(world.outside)).toEqual(['secret.txt'])
  expect(world.connections).toEqual([])
  expect(out.left).toEqual([])
  expect(out.exitCode).toBe(0)
  expect(out.stderr).toBe('')
  expect(out.verdict).toMatchObject({ status: 'intact', findings: [] })
  expect(out.peakMib).toBeLessThan(MAX_GATE_MIB)
  return out
}

describe.concurrent('the FUSE link, by a cell that was taken over', () => {
  test('every forged, escaping, malformed or oversized request is refused; the honest ones in between are answered', async () => {
    const script = new Script().handshake()
    const { nodes, granted } = prepareNodes(script)
    const attacks = attackFiles(script)
    const again = script.ask(OPCODE.READ, NODE.read, read(1, 0n, 4096))
    const out = await attack(script.exit(0))

    expect(out.end).toMatchObject({ exitCode: 0, endedBy: 'agent' })
    for (const unique of nodes) expect(out.fuse.get(unique)).toMatchObject({ errno: 0 })
    for (const [index, number] of Object.values(NODE).entries())
      expect(Number(out.fuse.get(nodes[index] ?? 0n)?.body.readBigUInt64LE())).toBe(number)
    const wrong = attacks.flatMap(({ what, unique, expected }) => {
      const answer = out.fuse.get(unique)
      const said =
        answer === undefined
          ? 'no answer'
          : answer.errno !== 0
            ? `errno ${answer.errno}`
            : `ok ${answer.body.subarray(0, 8).toString('hex')}`
      const fine =
        answer !== undefined &&
        (expected === 'refused'
          ? answer.errno !== 0
          : expected === 'unsupported'
            ? answer.errno === 38 || answer.errno === 95
            : answer.errno !== 0 || answer.body.readBigUInt64LE() === 0n)
      return fine ? [] : [`${what}: ${said}`]
    })
    expect(wrong).toEqual([])
    for (const unique of [granted, again]) expect(out.fuse.get(unique)?.body.toString()).toBe(GRANTED)
    expect(readdirSync(world.out)).toEqual(['mine'])
  })

  test('50,000 lookups in one go are all answered, and the gate still works', async () => {
    const script = new Script().handshake()
    prepareNodes(script)
    const uniques = Array.from({ length: 50_000 }, (_, i) => script.fuse(OPCODE.LOOKUP, 1, fields(`name-${i}`)))
    script.await('fuse', uniques.length)
    const last = script.ask(OPCODE.READ, NODE.read, read(1, 0n, 4096))
    const out = await attack(script.exit(0))
    expect(out.end.exitCode).toBe(0)
    expect(uniques.filter((unique) => out.fuse.get(unique)?.errno !== 0)).toEqual([])
    expect(out.fuse.get(last)?.body.toString()).toBe(GRANTED)
  })

  test.each([handlesNeverClosed(10_000, 4_096), longNames(2_000, 4_096), deepTree(300, 1_900)])(
    '$what: bounded',
    async ({ script, judge }) => {
      expect(judge(await attack(script))).toEqual([])
    },
  )

  test('two runs on one mount, one moves and links what the other opens: only what is within is read', async () => {
    const shared = await makeWorld()
    makeRivalFolders(shared.out)
    const opens = 120
    const [, read] = await Promise.all([mover(60), opener(opens)].map((script) => attack(script, { mounts: shared.mounts })))
    expect(shared.untouched()).toBe(true)
    expect(readdirSync(shared.outside)).toEqual(['secret.txt'])
    expect(readdirSync(shared.out).filter((name) => name.endsWith('-out'))).toEqual([])
    await shared.close()
    expect(read === undefined ? null : textsRead(read, opens)).toEqual(new Set([RIVAL_WITHIN]))
  })

  test('4,000 reads of 512 KiB by a guest that takes no answer: the gate stops reading from it', async () => {
    const script = new Script().handshake()
    prepareNodes(script)
    script.ask(OPCODE.OPEN, NODE.big, fields(0, 0))
    script.deaf('fuse')
    const reads = Array.from({ length: 4_000 }, (_, i) =>
      encodeFuseFrame(1, message(OPCODE.READ, 10_000 + i, NODE.big, read(2, 0n, 1 << 19))),
    )
    script.push('fuse', Buffer.concat(reads))
    const out = await attack(script.exit(0))
    expect(out.end.exitCode).toBe(0)
  })
})

describe.concurrent('the queues of a virtio-fs device, by a guest that drives it itself', () => {
  test.each([
    [1, 'a chain that ends in itself', /broke a queue/],
    [2, 'a request outside the memory', /outside the memory/],
    [3, 'a request of 4 GiB', /a request of 4294967295 bytes/],
    [4, 'a head beyond the table', /broke a queue/],
    [5, 'an index that jumps', /broke a queue/],
    [6, 'a table in a table', /broke a queue/],
    [7, 'a table of 4 GiB', /broke a queue/],
    [8, 'an answer before its request', /broke a queue/],
    [9, 'an answer without room', /no room for an answer/],
    [10, 'a request shorter than its header', /a request of 8 bytes/],
  ])('%i: %s ends the machine, not the gate', async (number, _, reason) => {
    const out = await attack(new Script(), {}, await withQueueInit(hostile, number))
    // The honest request before it was answered: it is this queue that the attack is in.
    expect(out.fuse.get(1n)).toMatchObject({ errno: 0 })
    expect(out.end).toMatchObject({ exitCode: 125, endedBy: 'machine', reason: expect.stringMatching(reason) })
  })
})

describe.concurrent('the effects port', () => {
  test('forged sessions, tokens, handles, paths and hosts: each is answered as SPEC.md says, and the port goes on', async () => {
    const script = new Script().handshake()
    prepareNodes(script)
    const conversations = attackSessions(script, world.port)
    const out = await attack(script.exit(0))
    expect(out.end.exitCode).toBe(0)
    expect(conversations.flatMap((one) => judge(one, out.effects))).toEqual([])
  })

  test('10,000 sessions opened and closed: the last one is served like the first', async () => {
    const script = new Script().handshake()
    for (let i = 1; i <= 10_000; i++) script.openSession(i).session(i, HELLO).closeSession(i)
    const last = 70_000
    script.openSession(last).session(last, HELLO, request(1, 'session.ping', [Buffer.from('still here')]))
    // One WELCOME and one SESSION_CLOSE each, unless the session was over first.
    const out = await attack(script.await('effects', 1).exit(0))
    expect(out.end.exitCode).toBe(0)
  })

  test('a name the host swaps for a link out while the gate opens it a thousand times: only what is within is read', async () => {
    const racing = await makeWorld()
    const stop = startSwapping(racing.data, racing.outside)
    const script = new Script().handshake().openSession(1).session(1, HELLO).await('effects', 1)
    const opens = 1_000
    for (let id = 1; id <= opens; id++) {
      script.session(1, request(id, 'fs.open', [`/data/swap-${id % SWAPPED}/secret.txt`, OPEN_FLAGS.READ, 0]))
      if (id % 50 === 0) script.await('effects', 50)
    }
    // Files are numbered in order: a number beyond those that opened is nobody's.
    for (let file = 1; file <= opens; file++) {
      script.session(1, request(opens + file, 'fs.read', [file, 0, 4096]))
      if (file % 50 === 0) script.await('effects', 50)
    }
    const out = await attack(script.exit(0), { mounts: racing.mounts }).finally(stop)
    await racing.close()
    const answers = out.effects.flatMap(({ message: said }) => (said === null ? [] : [said]))
    const read = answers.flatMap((said) =>
      said.type === MESSAGE.RESULT && said.id > opens ? [Buffer.from(said.result[0] as Uint8Array).toString()] : [],
    )
    expect(new Set(read)).toEqual(new Set([WITHIN]))
    const refused = answers.filter((said) => said.type === MESSAGE.ERROR && said.id <= opens).length
    expect(read.length + refused).toBe(opens)
    expect(refused).toBeGreaterThan(0)
  })

  test('half a frame, then silence: the rest of the guest goes on', async () => {
    const script = new Script().handshake()
    prepareNodes(script)
    script.send('effects', words(1 << 20, 1, 0x84)).send('fuse', words(1 << 20, 1, 0x5a))
    const out = await attack(script.exit(3))
    expect(out.end).toMatchObject({ exitCode: 3, endedBy: 'agent' })
  })
})

/** The campaign has all of it. */
const SAMPLE: Sizes = { dials: 10_000, queries: 4_000, opens: 2_000 }

describe.concurrent('the net port', () => {
  test('forged streams, credits, listeners, operations and DNS packets, floods, a server that never reads: the connection of another session goes on', async () => {
    const servers = await openServers()
    const { run, judge } = networkAttack(servers, await freePort(), SAMPLE)
    const out = await attack(run.script, { ...run, timeoutMs: 100_000 })
    expect(out.end).toMatchObject({ exitCode: 0, endedBy: 'agent' })
    expect(judge(out)).toEqual([])
    await servers.close()
  })
})

const output = (bytes: number): GuestMessage => ({ type: GUEST_TO_GATE.OUTPUT, fd: 1, data: Buffer.alloc(bytes, 0x61) })
const question = (id: number): GuestMessage => ({
  type: GUEST_TO_GATE.OPEN_QUESTION,
  id,
  pid: 1,
  exec: false,
  nlink: 1,
  path: Buffer.from(`/etc/secret-${id}`),
})

describe('what breaks a link ends the run, and nothing else', () => {
  test.concurrent.each(BREACHES)('$what', async ({ play, reason, endedBy = 'guest' }) => {
    const out = await attack(play(new Script()).hang())
    expect(out.end).toMatchObject({ exitCode: 125, endedBy, reason: expect.stringMatching(reason) })
  })
})

describe('the control port', () => {
  test.concurrent('output beyond its credit ends the run: nobody takes it, so no credit comes back', async () => {
    const script = new Script().handshake().send('control', encodeGuestMessage(output(MAX_STDIO_BYTES)), 64)
    const out = await attack(script.hang(), { takeOutput: false })
    expect(out.end).toMatchObject({ exitCode: 125, reason: expect.stringMatching(/more of output 1 than its credit/) })
  })

  test.concurrent('50,000 open questions are each answered, none allowed', async () => {
    const script = new Script().handshake()
    for (let id = 0; id < 50_000; id++) script.control(question(id))
    const out = await attack(script.await('control', 50_000).exit(0))
    const answers = out.control.flatMap((message) => (message.type === GATE_TO_GUEST.OPEN_ANSWER ? [message] : []))
    expect(answers.length).toBe(50_000)
    expect(answers.filter(({ allow, cacheable }) => allow || cacheable)).toEqual([])
    expect(out.end).toMatchObject({ exitCode: 0, endedBy: 'agent' })
  })

  test.concurrent('a guest that asks and takes no answer is ended', async () => {
    const script = new Script().handshake().deaf('control').mute()
    const questions = (from: number, count: number): Buffer =>
      Buffer.concat(Array.from({ length: count }, (_, i) => encodeGuestMessage(question(from + i))))
    // Some denials wait for the name of their program, so their numbers are not used again.
    script.push('control', questions(0, 100)).push('control', questions(100, 1_000), 400)
    const out = await attack(script.hang())
    // QEMU 10 takes nothing more from a port whose guest takes nothing: there the silence ends it, not the bytes it leaves.
    expect(out.end.exitCode).toBe(125)
    expect(out.end.reason).toMatch(/^(the guest does not read its control port|the guest hangs: no answer to PING)$/)
  })

  test.concurrent('a guest that says nothing is ended by the time limit', async () => {
    const out = await attack(new Script().mute().hang(), { timeoutMs: 5_000 })
    expect(out.end).toMatchObject({ exitCode: 124, endedBy: 'timeout' })
  })

  test.concurrent('half a message on the control port, then silence', async () => {
    const out = await attack(
      new Script()
        .handshake()
        .mute()
        .send('control', words(64, 0, 0x85))
        .hang(),
      { timeoutMs: 6_000 },
    )
    expect(out.end).toMatchObject({ exitCode: 124, endedBy: 'timeout' })
  })

  test.concurrent('armed, told to start, and then nothing: the deadline of the start', async () => {
    const out = await attack(new Script().control(READY).await('control', 1).control(ARMED).hang())
    expect(out.end).toMatchObject({ exitCode: 125, reason: expect.stringMatching(/did not start the agent within 10 s/) })
  })

  test.concurrent('a guest that does not power off is taken away', async () => {
    const out = await attack(new Script().stay().handshake().exit(4))
    expect(out.end).toMatchObject({ exitCode: 4, endedBy: 'agent' })
  })
})
