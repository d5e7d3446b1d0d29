/** Raw FUSE messages for tests and campaigns: well-formed ones to begin with, and a seeded way to spoil them. */

import { OPCODE } from '../fuse/messages.ts'
import type { FuseLimits } from '../fuse/mount.ts'
import { FuseServer, type HostChanges } from '../index.ts'
import type { World } from './pipeline.ts'

export interface Answer {
  readonly unique: bigint
  /** 0 or a positive errno. */
  readonly errno: number
  readonly body: Buffer
}

export function message(opcode: number, unique: number | bigint, node: number | bigint, body: Uint8Array = new Uint8Array(0)): Buffer {
  const out = Buffer.alloc(40 + body.byteLength)
  out.writeUInt32LE(out.length, 0)
  out.writeUInt32LE(opcode, 4)
  out.writeBigUInt64LE(BigInt(unique), 8)
  out.writeBigUInt64LE(BigInt(node), 16)
  out.writeUInt32LE(1000, 24)
  out.writeUInt32LE(1000, 28)
  out.writeUInt32LE(42, 32)
  out.set(body, 40)
  return out
}

/** Fields in order: a number is a u32, a bigint a u64, text ends with NUL, bytes as they are. */
export function fields(...values: (number | bigint | string | Uint8Array)[]): Buffer {
  return Buffer.concat(
    values.map((value) => {
      if (typeof value === 'string') return Buffer.from(`${value}\0`)
      if (value instanceof Uint8Array) return value
      const out = Buffer.alloc(typeof value === 'bigint' ? 8 : 4)
      if (typeof value === 'bigint') out.writeBigUInt64LE(value)
      else out.writeUInt32LE(value)
      return out
    }),
  )
}

export const INIT = message(OPCODE.INIT, 1, 0, fields(7, 38, 131072, 0xffffffff))

/** A guest that sends what it likes and collects the answers. */
export class RawGuest {
  readonly server: FuseServer
  readonly answers = new Map<bigint, Answer>()
  #unique = 100
  readonly #awaited = new Map<bigint, (answer: Answer) => void>()

  constructor(world: World, limits: Partial<FuseLimits> = {}, host?: HostChanges) {
    this.server = new FuseServer({
      context: world.context,
      gate: world.gate,
      subject: { session: 'fuse:0', via: 'fuse' },
      limits,
      lookAgain: () => Promise.resolve(),
      ...(host === undefined ? {} : { host }),
      send: (_mount, bytes) => {
        const out = Buffer.from(bytes)
        if (out.length < 16 || out.readUInt32LE(0) !== out.length) throw new Error('an answer with a wrong length')
        const answer = { unique: out.readBigUInt64LE(8), errno: Math.abs(out.readInt32LE(4)), body: out.subarray(16) }
        this.answers.set(answer.unique, answer)
        this.#awaited.get(answer.unique)?.(answer)
      },
    })
  }

  async ask(opcode: number, node: number | bigint, body?: Uint8Array): Promise<Answer> {
    const unique = BigInt(this.#unique++)
    const answered = new Promise<Answer>((resolve) => this.#awaited.set(unique, resolve))
    this.server.handle(0, message(opcode, unique, node, body))
    return answered
  }

  async start(hello: Buffer = INIT): Promise<Answer> {
    this.server.handle(0, hello)
    const answer = this.answers.get(1n)
    if (answer === undefined) throw new Error('no answer to INIT')
    return answer
  }
}

/** Well-formed messages of every kind, with numbers that mean nothing. */
export function corpus(): Buffer[] {
  const handle = fields(1n, 0, 0, 0n)
  return [
    INIT,
    message(OPCODE.LOOKUP, 2, 1, fields('f')),
    message(OPCODE.GETATTR, 3, 1, fields(0, 0, 0n)),
    message(OPCODE.SETATTR, 4, 2, fields(0x1ff, 0, 1n, 3n, 0n, 5n, 6n, 7n, 1, 2, 3, 0o100644, 0, 1000, 1000, 0)),
    message(OPCODE.SYMLINK, 5, 1, fields('s', 'f')),
    message(OPCODE.MKNOD, 6, 1, fields(0o100644, 0, 0, 0, 'n')),
    message(OPCODE.MKDIR, 7, 1, fields(0o755, 0, 'd')),
    message(OPCODE.RENAME2, 8, 1, fields(1n, 0, 0, 'a', 'b')),
    message(OPCODE.LINK, 9, 1, fields(2n, 'l')),
    message(OPCODE.OPEN, 10, 2, fields(2, 0)),
    message(OPCODE.CREATE, 11, 1, fields(0o102, 0o644, 0, 0, 'c')),
    message(OPCODE.READ, 12, 2, fields(1n, 0n, 4096, 0, 0n, 0, 0)),
    message(OPCODE.WRITE, 13, 2, fields(1n, 0n, 3, 0, 0n, 0, 0, Buffer.from('abc'))),
    message(OPCODE.LSEEK, 27, 2, fields(1n, 0n, 3, 0)),
    message(OPCODE.FALLOCATE, 28, 2, fields(1n, 0n, 4096n, 1, 0)),
    message(OPCODE.COPY_FILE_RANGE, 29, 2, fields(1n, 0n, 2n, 1n, 8n, 4096n, 0n)),
    message(OPCODE.GETLK, 30, 2, fields(1n, 7n, 0n, 9n, 1, 42, 0, 0)),
    message(OPCODE.SETLK, 31, 2, fields(1n, 7n, 0n, 9n, 0, 42, 1, 0)),
    message(OPCODE.SETLKW, 32, 2, fields(1n, 8n, 0n, 0x7fffffffffffffffn, 1, 43, 0, 0)),
    message(OPCODE.READDIRPLUS, 14, 1, fields(2n, 0n, 4096, 0, 0n, 0, 0)),
    message(OPCODE.OPENDIR, 15, 1, fields(0, 0)),
    message(OPCODE.FLUSH, 16, 2, handle),
    message(OPCODE.FSYNC, 17, 2, fields(1n, 1, 0)),
    message(OPCODE.ACCESS, 18, 1, fields(7, 0)),
    message(OPCODE.INTERRUPT, 19, 0, fields(11n)),
    message(OPCODE.BATCH_FORGET, 20, 0, fields(2, 0, 2n, 1n, 3n, 0xffffffffffffffffn)),
    message(OPCODE.FORGET, 21, 2, fields(1n)),
    message(OPCODE.UNLINK, 22, 1, fields('n')),
    message(OPCODE.STATFS, 23, 1),
    message(OPCODE.READLINK, 24, 2),
    message(OPCODE.RELEASE, 25, 2, handle),
    message(OPCODE.DESTROY, 26, 0),
  ]
}

/** A small repeatable generator (xorshift32); the same seed spoils the same way. */
export function random(seed: number): (below: number) => number {
  let state = seed | 1
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

/** One message spoiled: bytes flipped, cut, grown, its length made to fit or not, its opcode or numbers replaced. */
export function spoil(original: Buffer, next: (below: number) => number): Buffer {
  let out = Buffer.from(original)
  for (let i = next(4); i >= 0; i--) {
    const way = next(6)
    if (way === 0 && out.length > 0) out[next(out.length)] = next(256)
    else if (way === 1) out = out.subarray(0, next(out.length + 1))
    else if (way === 2) out = Buffer.concat([out, Buffer.alloc(next(64), next(256))])
    else if (way === 3 && out.length >= 8) out.writeUInt32LE(next(60), 4)
    else if (way === 4 && out.length >= 24)
      out.writeBigUInt64LE([0n, 1n, 2n, 3n, 1n << 53n, 0xffffffffffffffffn][next(6)] ?? 0n, [8, 16][next(2)] ?? 8)
    else if (way === 5 && out.length >= 48)
      out.writeUInt32LE([0, 0xffffffff, 0x7fffffff, 1 << 20][next(4)] ?? 0, 40 + 4 * next(Math.floor((out.length - 40) / 4)))
  }
  if (out.length >= 4 && next(4) > 0) out.writeUInt32LE(out.length, 0)
  return out
}

/** Sends `rounds` spoiled messages. Throws when the server throws, or when a message gets more than one answer. */
export async function fuzzServer(world: World, seed: number, rounds: number): Promise<{ readonly answered: number }> {
  const guest = new RawGuest(world, { handles: 64, nodes: 256, descriptors: 16, inFlight: 32 })
  await guest.start()
  const next = random(seed)
  const messages = corpus()
  for (let i = 0; i < rounds; i++) {
    const original = messages[next(messages.length)] ?? INIT
    const spoiled = next(3) === 0 ? Buffer.from(original) : spoil(original, next)
    if (spoiled.length >= 16 && next(2) === 0) spoiled.writeBigUInt64LE(BigInt(1000 + i), 8)
    guest.server.handle(next(8) === 0 ? next(4) : 0, spoiled)
    if (i % 50 === 0) await new Promise((resolve) => setImmediate(resolve))
    if (i % 97 === 0) guest.server.handle(0, INIT)
  }
  await guest.server.close()
  return { answered: guest.answers.size }
}
