import { GATE_TO_GUEST, GUEST_TO_GATE, type GuestMessage, INITIAL_STDOUT_CREDIT, MAX_STDIO_BYTES } from '@authority/protocol'
import { expect, test } from 'vitest'
import { MAX_OPEN_QUESTIONS, MAX_STDIN_CREDIT, TICK_BURST } from './limits.ts'
import { ENDS, EXITED, running } from './testing/fake-guest.ts'

const output = (data: Uint8Array, fd = 1): GuestMessage => ({ type: GUEST_TO_GATE.OUTPUT, fd, data })
const block = (byte = 0) => new Uint8Array(MAX_STDIO_BYTES).fill(byte)
const question = (id: number, nlink = 1): GuestMessage => ({
  type: GUEST_TO_GATE.OPEN_QUESTION,
  id,
  pid: 40,
  exec: false,
  nlink,
  path: new TextEncoder().encode('/etc/hosts'),
})

test('output arrives in order, and the end is told after all of it was taken', async () => {
  const taken: number[] = []
  let release = (): void => undefined
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  const { guest, link } = await running({
    onOutput: async (_, data) => {
      await held
      taken.push(data[0] ?? -1)
    },
  })
  guest.send(output(block(1)), output(block(2)), ...ENDS, EXITED)
  expect(taken).toEqual([])
  release()
  await link.exit
  expect(taken).toEqual([1, 2])
})

test('credit returns as output is taken, and not before', async () => {
  const waiting: (() => void)[] = []
  const { guest } = await running({ onOutput: () => new Promise<void>((resolve) => waiting.push(resolve)) })
  for (let i = 0; i < 4; i++) guest.send(output(block()))
  await new Promise(setImmediate)
  expect(guest.of(GATE_TO_GUEST.STDOUT_CREDIT)).toEqual([])
  for (let i = 0; i < 2; i++) {
    waiting[i]?.()
    await new Promise(setImmediate)
  }
  expect(guest.of(GATE_TO_GUEST.STDOUT_CREDIT)).toEqual([{ type: GATE_TO_GUEST.STDOUT_CREDIT, fd: 1, bytes: 2 * MAX_STDIO_BYTES }])
})

test('output beyond the credit, or after its end, ends the link; the other stream has its own', async () => {
  const held = () => new Promise<void>(() => undefined)
  const { guest, link } = await running({ onOutput: held })
  for (let sent = 0; sent < INITIAL_STDOUT_CREDIT; sent += MAX_STDIO_BYTES) guest.send(output(block()), output(block(), 2))
  expect(guest.closed).toBe(false)
  guest.send(output(Uint8Array.of(1)))
  await expect(link.exit).rejects.toMatchObject({ code: 'E_PROTOCOL' })

  const second = await running()
  second.guest.send(...ENDS, output(block()))
  await expect(second.link.exit).rejects.toThrow('after its end')
})

test('a consumer that fails ends the link', async () => {
  const { guest, link } = await running({ onOutput: () => Promise.reject(new Error('the terminal is gone')) })
  guest.send(output(block()))
  await expect(link.exit).rejects.toThrow('the terminal is gone')
})

test('stdin waits for credit and comes in pieces of the allowed size', async () => {
  const { guest, link } = await running()
  const written = link.writeStdin(new Uint8Array(MAX_STDIO_BYTES + 10))
  link.endStdin()
  expect(guest.of(GATE_TO_GUEST.STDIN)).toEqual([])
  guest.send({ type: GUEST_TO_GATE.STDIN_CREDIT, bytes: MAX_STDIO_BYTES + 4 })
  expect(guest.of(GATE_TO_GUEST.STDIN).map((message) => message.data.length)).toEqual([MAX_STDIO_BYTES, 4])
  expect(guest.of(GATE_TO_GUEST.STDIN_END)).toEqual([])
  guest.send({ type: GUEST_TO_GATE.STDIN_CREDIT, bytes: 100 })
  expect(await written).toBe(true)
  expect(guest.of(GATE_TO_GUEST.STDIN_END)).toHaveLength(1)
  expect(await link.writeStdin(Uint8Array.of(1))).toBe(false)
})

test('a writer is told when the agent is gone', async () => {
  const { guest, link } = await running()
  const written = link.writeStdin(Uint8Array.of(1))
  guest.send(...ENDS, EXITED)
  expect(await written).toBe(false)
})

test('stdin credit without bound ends the link', async () => {
  const { guest, link } = await running()
  guest.send({ type: GUEST_TO_GATE.STDIN_CREDIT, bytes: MAX_STDIN_CREDIT }, { type: GUEST_TO_GATE.STDIN_CREDIT, bytes: 1 })
  await expect(link.exit).rejects.toMatchObject({ code: 'E_PROTOCOL' })
})

test('open questions are answered as decided; a file with several names is never cached, a failing decision denies', async () => {
  const { guest } = await running({
    onOpen: ({ nlink }) => {
      if (nlink === 3) throw new Error('no decision')
      return nlink === 4 ? { allow: false, cacheable: true } : Promise.resolve({ allow: true, cacheable: true })
    },
  })
  guest.send(question(1), question(2, 2), question(3, 3), question(4, 4))
  await new Promise(setImmediate)
  const answers = guest.of(GATE_TO_GUEST.OPEN_ANSWER).sort((a, b) => a.id - b.id)
  expect(answers.map(({ id, allow, cacheable }) => [id, allow, cacheable])).toEqual([
    [1, true, true],
    [2, true, false],
    [3, false, false],
    [4, false, false],
  ])
})

test('unanswered questions are bounded, and an id is used once at a time', async () => {
  const undecided = () => new Promise<never>(() => undefined)
  const { guest, link } = await running({ onOpen: undecided })
  for (let id = 1; id <= MAX_OPEN_QUESTIONS; id++) guest.send(question(id))
  expect(guest.closed).toBe(false)
  guest.send(question(MAX_OPEN_QUESTIONS + 1))
  await expect(link.exit).rejects.toMatchObject({ code: 'E_PROTOCOL' })

  const second = await running({ onOpen: undecided })
  second.guest.send(question(5), question(5))
  await expect(second.link.exit).rejects.toThrow('twice')
})

test('ticks never fall, and a flood of them ends the link', async () => {
  const ticks: number[] = []
  const { guest, clock, link } = await running({ onTick: (cpuUs) => void ticks.push(cpuUs) })
  const tick = (cpuUs: number): GuestMessage => ({ type: GUEST_TO_GATE.TICK, cpuUs })
  guest.send(tick(100), tick(50), tick(200))
  expect(ticks).toEqual([100, 100, 200])
  for (let second = 1; second <= 200; second++) {
    for (let quarter = 0; quarter < 4; quarter++) {
      clock.advance(250)
      guest.send(tick(300))
    }
    guest.send({ type: GUEST_TO_GATE.PONG, n: second })
  }
  expect(guest.closed).toBe(false)
  for (let i = 0; i < TICK_BURST + 5000; i++) guest.send(tick(300))
  await expect(link.exit).rejects.toMatchObject({ code: 'E_PROTOCOL' })
})
