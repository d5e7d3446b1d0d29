import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { hex, unhex } from './generate/vectors/json.ts'
import {
  type ClientMessage,
  checkArguments,
  encodeMessage,
  type GateMessage,
  LinkReader,
  MAX_FRAME_BYTES,
  MESSAGE,
  OPERATIONS,
  operationOf,
  operationRow,
  parseClientMessage,
  parseGateMessage,
} from './src/index.ts'
import { readRepository } from './testing/vectors.ts'

const SPEC = readRepository('protocol/SPEC.md') ?? ''

/** Fenced blocks whose info string begins with `kind`, with the rest of it. */
function blocks(kind: string): readonly { readonly info: string; readonly text: string }[] {
  return [...SPEC.matchAll(/^```(\w+) ?(.*)\n([\s\S]*?)^```$/gm)]
    .filter((match) => match[1] === kind)
    .map((match) => ({ info: match[2] ?? '', text: match[3] ?? '' }))
}

describe('walk-through', () => {
  const steps = blocks('hex').map(({ info, text }) => {
    const bytes = unhex(text.replace(/#.*$/gm, '').replace(/\s/g, ''))
    let message: ClientMessage | GateMessage | undefined
    new LinkReader({ maxFrameBytes: MAX_FRAME_BYTES }).push(bytes, (session, item) => {
      expect(session).toBe(0)
      message = info === 'client' ? parseClientMessage(item) : parseGateMessage(item)
    })
    return { info, bytes, message }
  })

  test('holds whole messages, each encoded as we encode it', () => {
    expect(steps.map((step) => step.info)).toEqual(['client', 'gate', 'client', 'gate', 'client', 'gate'])
    for (const step of steps) {
      expect(step.message).toBeDefined()
      if (step.message !== undefined) expect(hex(encodeMessage(0, step.message))).toBe(hex(step.bytes))
    }
  })

  test('is a conversation the state table allows', () => {
    const [hello, welcome, stat, result, unlink, denial] = steps.map((step) => step.message)
    expect(hello?.type).toBe(MESSAGE.HELLO)
    expect(welcome?.type).toBe(MESSAGE.WELCOME)
    if (stat?.type !== MESSAGE.REQUEST || result?.type !== MESSAGE.RESULT) throw new Error('steps 3 and 4 are no request and result')
    expect(operationOf(stat.operation)).toBe('fs.stat')
    checkArguments(OPERATIONS['fs.stat'].args, stat.args, 'fs.stat')
    checkArguments(OPERATIONS['fs.stat'].result, result.result, 'fs.stat')
    expect(result.id).toBe(stat.id)
    if (unlink?.type !== MESSAGE.REQUEST || denial?.type !== MESSAGE.ERROR) throw new Error('steps 5 and 6 are no request and error')
    expect(unlink.id).toBeGreaterThan(stat.id)
    expect(denial.id).toBe(unlink.id)
    expect(denial.denial?.permission).toBe(operationRow('fs.unlink').action)
    expect(JSON.parse(denial.denial?.fix ?? '')).toEqual({ version: '1.0', fs: { write: ['/work/a.txt'] } })
  })
})

describe('the client of thirty lines', () => {
  const source = blocks('python')[0]?.text ?? ''
  let folder: string
  let server: Server
  const heard: ClientMessage[] = []
  const sockets = new Set<Socket>()

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'authority-spec-'))
    heard.length = 0
    server = createServer((socket) => {
      const reader = new LinkReader({ maxFrameBytes: MAX_FRAME_BYTES })
      sockets.add(socket)
      socket.on('error', () => socket.destroy())
      socket.on('data', (chunk: Buffer) =>
        reader.push(chunk, (_, item) => socket.write(encodeMessage(0, answer(parseClientMessage(item))))),
      )
    })
    await new Promise<void>((resolve) => server.listen(join(folder, 'gate.sock'), resolve))
  })

  afterEach(async () => {
    for (const socket of sockets) socket.destroy()
    sockets.clear()
    await new Promise((resolve) => server.close(resolve))
    await rm(folder, { recursive: true, force: true })
  })

  function answer(message: ClientMessage): GateMessage {
    heard.push(message)
    if (message.type === MESSAGE.HELLO) {
      return {
        type: MESSAGE.WELCOME,
        version: 1,
        generation: 1,
        run: 'r',
        maxInFlight: 256,
        maxStreams: 256,
        streamCredit: 262144,
        handle: 0,
      }
    }
    return { type: MESSAGE.RESULT, id: 1, result: ['file', 1500, 0o644, 1_700_000_000_000_000, 1] }
  }

  test('has thirty lines at most', () => {
    expect(source.split('\n').filter((line) => line.trim() !== '').length).toBeLessThanOrEqual(30)
  })

  test('runs', async () => {
    const { stdout } = await promisify(execFile)('python3', ['-c', source, '/work/水.txt'], {
      env: { PATH: process.env.PATH ?? '', AUTHORITY_SOCKET: join(folder, 'gate.sock') },
      timeout: 15_000,
    })
    expect(stdout).toBe("[2, 1, 1, 'r', 256, 256, 262144, 0]\n[4, 1, ['file', 1500, 420, 1700000000000000, 1]]\n")
    expect(heard).toEqual([
      { type: MESSAGE.HELLO, version: 1, generation: 1, client: 'thirty lines', token: null },
      { type: MESSAGE.REQUEST, id: 1, operation: OPERATIONS['fs.stat'].code, deadlineMs: 0, handle: 0, args: ['/work/水.txt'] },
    ])
  }, 20_000)
})

describe('sections', () => {
  test('every file of vectors is named', () => {
    for (const name of ['values', 'frames', 'messages', 'operations', 'conversations', 'guest', 'generation-1'])
      expect(SPEC).toContain(`${name}.json`)
  })

  test('the state table has a row for every message a client sends', () => {
    const table = SPEC.slice(SPEC.indexOf('## 8.'), SPEC.indexOf('## 9.'))
    for (const name of ['HELLO', 'REQUEST', 'CANCEL', 'STREAM_DATA', 'STREAM_END', 'STREAM_CREDIT', 'STREAM_RESET'])
      expect(table).toContain(`| ${name}`)
  })
})
