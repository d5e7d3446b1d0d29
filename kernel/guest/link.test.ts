import { GATE_TO_GUEST, GUEST_TO_GATE, GUEST_VERSION, MAX_LOOK_AGAIN } from '@authority/protocol'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ARMED_DEADLINE_MS, GUEST_SILENCE_MS, LOOK_AGAIN_DEADLINE_MS, PING_MS, READY_DEADLINE_MS, STARTED_DEADLINE_MS } from './limits.ts'
import { ARMED, ENDS, EXITED, linked, READY, running, SETUP, START, STARTED } from './testing/fake-guest.ts'

const pong = (n: number) => ({ type: GUEST_TO_GATE.PONG, n })

test('from READY to the end of the port', async () => {
  const { guest, clock, link } = linked()
  guest.send(READY)
  expect(await link.waitReady()).toEqual({ bootMs: 900, kernel: '6.1.0' })
  const armed = link.arm({ ...SETUP, mounts: [{ number: 1, path: '/work', readonly: true, file: false }] })
  expect(guest.of(GATE_TO_GUEST.SETUP)).toMatchObject([{ version: GUEST_VERSION, mounts: [{ number: 1, path: '/work', readonly: true }] }])
  guest.send(ARMED)
  await armed
  const started = link.start({ ...START, tty: { rows: 24, cols: 80 } })
  expect(guest.of(GATE_TO_GUEST.START)).toMatchObject([{ argv: ['/bin/agent'], tty: true, rows: 24, cols: 80 }])
  guest.send(STARTED)
  expect(await started).toBe(40)
  link.signal(15)
  link.resize(30, 90)
  expect(guest.received.slice(-2)).toEqual([
    { type: GATE_TO_GUEST.SIGNAL, signal: 15 },
    { type: GATE_TO_GUEST.WINDOW, rows: 30, cols: 90 },
  ])
  guest.send(...ENDS, EXITED)
  expect(await link.exit).toEqual({ kind: 'exit', value: 7, cpuUs: 1000, maxRssKib: 200, oomKills: 0 })
  const off = link.powerOff()
  expect(guest.of(GATE_TO_GUEST.POWER_OFF)).toHaveLength(1)
  guest.close()
  await off
  expect(clock.waiting).toBe(0)
})

test.each([
  [1, 9, 'signal'],
  [2, 13, 'exec'],
])('an end of kind %i is told as such', async (kind, value, name) => {
  const { guest, link } = await running()
  guest.send(...ENDS, { type: GUEST_TO_GATE.EXITED, kind, value, cpuUs: 0, maxRssKib: 0, oomKills: 0 })
  expect(await link.exit).toMatchObject({ kind: name, value })
})

test('an init of another version is refused', async () => {
  const { guest, link } = linked()
  guest.send({ type: GUEST_TO_GATE.READY, version: GUEST_VERSION + 1, bootMs: 0, kernel: '' })
  await expect(link.waitReady()).rejects.toMatchObject({ code: 'E_UNSUPPORTED' })
  expect(guest.closed).toBe(true)
})

test('no agent is started when a fence is missing', async () => {
  const { guest, link } = linked()
  guest.send(READY)
  const armed = link.arm(SETUP)
  guest.send({ type: GUEST_TO_GATE.ARMED, fences: ['root', 'fuse', 'loopback', 'scratch'] })
  await expect(armed).rejects.toThrow('did not arm fanotify')
  expect(() => link.start(START)).toThrow('did not arm fanotify')
  expect(guest.of(GATE_TO_GUEST.START)).toEqual([])
})

test('a fault names its stage, at any time', async () => {
  const { guest, link } = await running()
  guest.send({ type: GUEST_TO_GATE.FAULT, stage: 'fanotify', errno: 22, detail: 'it broke' })
  await expect(link.exit).rejects.toMatchObject({ name: 'GuestFault', stage: 'fanotify', guestErrno: 22 })
  expect(guest.closed).toBe(true)
})

test('every wait has a deadline', async () => {
  const booting = linked()
  booting.clock.advance(READY_DEADLINE_MS)
  await expect(booting.link.waitReady()).rejects.toMatchObject({ code: 'E_TIMEOUT' })

  const arming = linked()
  arming.guest.send(READY)
  const armed = arming.link.arm(SETUP)
  arming.clock.advance(ARMED_DEADLINE_MS)
  await expect(armed).rejects.toMatchObject({ code: 'E_TIMEOUT' })

  const starting = linked()
  starting.guest.send(READY)
  void starting.link.arm(SETUP)
  starting.guest.send(ARMED)
  const started = starting.link.start(START)
  starting.clock.advance(STARTED_DEADLINE_MS)
  await expect(started).rejects.toMatchObject({ code: 'E_TIMEOUT' })

  const { guest, clock, link } = await running()
  const off = link.powerOff()
  expect(guest.closed).toBe(false)
  clock.advance(60_000)
  await off
  expect(guest.closed).toBe(true)
})

test('a guest that answers no PING counts as hung, one that does lives on', async () => {
  const { guest, clock, link } = await running()
  for (let n = 1; n <= 100; n++) {
    clock.advance(PING_MS)
    guest.send(pong(n))
  }
  expect(guest.closed).toBe(false)
  clock.advance(GUEST_SILENCE_MS + 2 * PING_MS)
  await expect(link.exit).rejects.toMatchObject({ code: 'E_TIMEOUT' })
  expect(guest.closed).toBe(true)
})

test.each([
  ['READY twice', READY],
  ['ARMED without SETUP', ARMED],
  ['STARTED without START', STARTED],
  ['EXITED before the output ended', EXITED],
  ['a PONG nobody asked for', pong(1)],
])('%s ends the link', async (_, message) => {
  const { guest, link } = await running()
  guest.send(message)
  await expect(link.exit).rejects.toMatchObject({ code: 'E_PROTOCOL' })
  expect(guest.closed).toBe(true)
})

test('another session, an oversized frame and a malformed item end the link', async () => {
  for (const bytes of [
    [0, 0, 0, 6, 0, 0, 0, 1, 0x81, 10],
    [0, 0x10, 0, 0, 0, 0, 0, 0],
    [0, 0, 0, 5, 0, 0, 0, 0, 0xff],
  ]) {
    const { guest, link } = await running()
    guest.sendRaw(Uint8Array.from(bytes))
    await expect(link.exit).rejects.toBeDefined()
    expect(guest.closed).toBe(true)
  }
})

test('whatever bytes come, nothing is thrown at the transport, and what comes after the end is ignored', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 8 }), (chunks) => {
      const { guest } = linked()
      guest.send(READY)
      for (const chunk of chunks) guest.sendRaw(chunk)
    }),
    { seed: 2, numRuns: 300 },
  )
})

test('the port closing ends every wait, and nobody has to listen', async () => {
  const { guest, link, clock } = await running()
  guest.close()
  await expect(link.exit).rejects.toMatchObject({ code: 'E_IO' })
  await link.closed
  expect(clock.waiting).toBe(0)
  expect(() => link.start(START)).toThrow()
})

test('files to look at again go many in one message, one message at a time, and each wait ends with its answer', async () => {
  const { guest, link } = await running()
  const looked: number[] = []
  const look = (node: number) => link.lookAgain({ mount: 1, node, attributes: true }).then(() => looked.push(node))
  const first = [look(1), look(2)]
  await Promise.resolve()
  expect(guest.of(GATE_TO_GUEST.LOOK_AGAIN)).toEqual([
    { type: GATE_TO_GUEST.LOOK_AGAIN, files: [1, 2].map((node) => ({ mount: 1, node, attributes: true })) },
  ])
  const later = Array.from({ length: MAX_LOOK_AGAIN + 1 }, (_, i) => look(10 + i))
  await Promise.resolve()
  expect([guest.of(GATE_TO_GUEST.LOOK_AGAIN).length, looked]).toEqual([1, []])
  guest.send({ type: GUEST_TO_GATE.LOOKED_AGAIN })
  await Promise.all(first)
  expect(looked).toEqual([1, 2])
  guest.send({ type: GUEST_TO_GATE.LOOKED_AGAIN })
  guest.send({ type: GUEST_TO_GATE.LOOKED_AGAIN })
  await Promise.all(later)
  expect(guest.of(GATE_TO_GUEST.LOOK_AGAIN).map(({ files }) => files.length)).toEqual([2, MAX_LOOK_AGAIN, 1])
})

test('a guest that does not look again, or says so unasked, is over, and nobody waits for it any longer', async () => {
  const silent = await running()
  const waits = silent.link.lookAgain({ mount: 1, node: 2, attributes: true })
  await Promise.resolve()
  silent.clock.advance(LOOK_AGAIN_DEADLINE_MS)
  await expect(silent.link.exit).rejects.toThrow('did not look again')
  await waits
  await silent.link.lookAgain({ mount: 1, node: 3, attributes: true })
  const eager = await running()
  eager.guest.send({ type: GUEST_TO_GATE.LOOKED_AGAIN })
  await expect(eager.link.exit).rejects.toMatchObject({ code: 'E_PROTOCOL' })
})
