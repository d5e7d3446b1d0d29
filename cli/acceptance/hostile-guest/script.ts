/** What the hostile init plays (script-init.c), as data: bytes to send on a port, frames to wait for, when to fall silent. */
import {
  type ClientMessage,
  EXIT_KIND,
  encodeFuseFrame,
  encodeGuestMessage,
  encodeLinkControl,
  encodeMessage,
  FENCES,
  GUEST_TO_GATE,
  GUEST_VERSION,
  type GuestMessage,
  LINK_CONTROL,
  MESSAGE,
  OPERATIONS,
  type OperationName,
  PROTOCOL_VERSION,
  type WireValue,
} from '@authority/protocol'
import { OPCODE } from '../../../kernel/effects/fs/fuse/messages.ts'
import { fields, message } from '../../../kernel/effects/fs/testing/raw-fuse.ts'

export { fields, message, OPCODE }

const OP = { SEND: 1, AWAIT: 2, DEAF: 3, HANG: 4, MUTE: 5, REBOOT: 6, STAY: 7, PUSH: 8, DIE: 9 } as const
const PORT = { effects: 0, fuse: 1, control: 2, net: 3 } as const
export type PortName = keyof typeof PORT

/** Bytes of a disk are whole sectors. */
const SECTOR = 512

/** A script under construction; every method appends and returns the script. */
export class Script {
  readonly #parts: Uint8Array[] = []
  readonly #expected: Record<PortName, number> = { effects: 0, fuse: 0, control: 0, net: 0 }
  #unique = 1000

  send(port: PortName, bytes: Uint8Array, times = 1): this {
    return this.#step(OP.SEND, port, times, bytes)
  }
  /** Sends as often as the gate takes it, until all is sent or nothing was taken for two seconds. */
  push(port: PortName, bytes: Uint8Array, times = 1): this {
    return this.#step(OP.PUSH, port, times, bytes)
  }
  /** Waits until the gate has sent `more` frames on this port beyond those waited for before (PING not counted). */
  await(port: PortName, more: number): this {
    this.#expected[port] += more
    return this.#step(OP.AWAIT, port, this.#expected[port])
  }
  /** From now on nothing is read from this port. */
  deaf(port: PortName): this {
    return this.#step(OP.DEAF, port, 0)
  }
  /** From now on PING is not answered. */
  mute(): this {
    return this.#step(OP.MUTE, 'control', 0)
  }
  /** From now on POWER_OFF is not obeyed. */
  stay(): this {
    return this.#step(OP.STAY, 'control', 0)
  }
  /** Says nothing more, for ever. */
  hang(): this {
    return this.#step(OP.HANG, 'control', 0)
  }
  reboot(): this {
    return this.#step(OP.REBOOT, 'control', 0)
  }
  /** PID 1 ends: the kernel panics. */
  die(): this {
    return this.#step(OP.DIE, 'control', 0)
  }

  control(...messages: GuestMessage[]): this {
    for (const one of messages) this.send('control', encodeGuestMessage(one))
    return this
  }
  /** READY, ARMED and STARTED as an honest init says them, whatever was or was not done. */
  handshake(): this {
    return this.control(READY).await('control', 1).control(ARMED).await('control', 1).control(STARTED)
  }
  /** An orderly end, so that the run is sealed with the agent's own exit code. */
  exit(code: number): this {
    return this.control(
      { type: GUEST_TO_GATE.OUTPUT_END, fd: 1 },
      { type: GUEST_TO_GATE.OUTPUT_END, fd: 2 },
      { type: GUEST_TO_GATE.EXITED, kind: EXIT_KIND.EXIT, value: code, cpuUs: 0, maxRssKib: 0, oomKills: 0 },
    ).hang()
  }

  openSession(session: number): this {
    return this.send('effects', encodeLinkControl({ type: LINK_CONTROL.SESSION_OPEN, session, pid: 7, uid: 0, exe: '/hostile' }))
  }
  closeSession(session: number): this {
    return this.send('effects', encodeLinkControl({ type: LINK_CONTROL.SESSION_CLOSE, session }))
  }
  session(session: number, ...messages: ClientMessage[]): this {
    for (const one of messages) this.send('effects', encodeMessage(session, one))
    return this
  }

  /** One raw FUSE message; answers its unique number. Does not wait. */
  fuse(opcode: number, node: number | bigint, body?: Uint8Array, mount = 1): bigint {
    const unique = BigInt(this.#unique++)
    this.send('fuse', encodeFuseFrame(mount, message(opcode, unique, node, body)))
    return unique
  }
  /** The same, and waits for the answer. */
  ask(opcode: number, node: number | bigint, body?: Uint8Array, mount = 1): bigint {
    const unique = this.fuse(opcode, node, body, mount)
    this.await('fuse', 1)
    return unique
  }
  mount(number: number): this {
    this.send('fuse', encodeFuseFrame(number, message(OPCODE.INIT, this.#unique++, 0, fields(7, 38, 131072, 0xffffffff))))
    return this.await('fuse', 1)
  }

  /** The disk the hostile init reads. */
  disk(): Uint8Array {
    const script = Buffer.concat([...this.#parts, step(OP.HANG, 0, 0, new Uint8Array(0))])
    return Buffer.concat([script, Buffer.alloc((SECTOR - (script.length % SECTOR)) % SECTOR)])
  }

  #step(op: number, port: PortName, arg: number, bytes: Uint8Array = new Uint8Array(0)): this {
    this.#parts.push(step(op, PORT[port], arg, bytes))
    return this
  }
}

function step(op: number, port: number, arg: number, bytes: Uint8Array): Buffer {
  const head = Buffer.alloc(16)
  head.writeUInt8(op, 0)
  head.writeUInt8(port, 1)
  head.writeUInt32LE(arg, 4)
  head.writeBigUInt64LE(BigInt(bytes.length), 8)
  return Buffer.concat([head, bytes])
}

export const READY: GuestMessage = { type: GUEST_TO_GATE.READY, version: GUEST_VERSION, bootMs: 1, kernel: 'hostile' }
export const ARMED: GuestMessage = { type: GUEST_TO_GATE.ARMED, fences: [...FENCES] }
export const STARTED: GuestMessage = { type: GUEST_TO_GATE.STARTED, pid: 2 }

export const HELLO: ClientMessage = { type: MESSAGE.HELLO, version: PROTOCOL_VERSION, generation: 1, client: 'hostile', token: null }
export function request(id: number, operation: OperationName, args: readonly WireValue[], handle = 0): ClientMessage {
  return { type: MESSAGE.REQUEST, id, operation: OPERATIONS[operation].code, deadlineMs: 5_000, handle, args }
}
