import { checkFields } from './arguments.ts'
import { decode } from './decode.ts'
import { encodeFrame } from './encode.ts'
import { AuthorityError } from './errors.ts'
import type { GATE_TO_GUEST, GUEST_TO_GATE, LINK_CONTROL } from './guest.ts'
import { GATE_TO_GUEST_MESSAGES, GUEST_MESSAGES, type GuestMessageRow, LINK_CONTROL_MESSAGES } from './guest-schema.ts'
import { GENERATION } from './limits.ts'
import type { Field, FieldType } from './schema.ts'
import type { WireValue } from './value.ts'

type From<T extends { readonly [name: string]: number }, F extends { readonly [name in keyof T]: object }> = {
  [name in keyof T]: { readonly type: T[name] } & F[name]
}[keyof T]

/** Session 0 of the effects port; SESSION_OPEN comes from the guest only. */
export type LinkControl = From<
  typeof LINK_CONTROL,
  {
    SESSION_OPEN: { readonly session: number; readonly pid: number; readonly uid: number; readonly exe: string }
    SESSION_CLOSE: { readonly session: number }
  }
>

/** The control port, guest→gate. Everything in it is a claim of the guest. */
export type GuestMessage = From<
  typeof GUEST_TO_GATE,
  {
    READY: { readonly version: number; readonly bootMs: number; readonly kernel: string }
    ARMED: { readonly fences: readonly string[] }
    STARTED: { readonly pid: number }
    EXITED: { readonly kind: number; readonly value: number; readonly cpuUs: number; readonly maxRssKib: number; readonly oomKills: number }
    OUTPUT: { readonly fd: number; readonly data: Uint8Array }
    OUTPUT_END: { readonly fd: number }
    STDIN_CREDIT: { readonly bytes: number }
    OPEN_QUESTION: { readonly id: number; readonly pid: number; readonly exec: boolean; readonly nlink: number; readonly path: Uint8Array }
    FAULT: { readonly stage: string; readonly errno: number; readonly detail: string }
    PONG: { readonly n: number }
    PROGRAM: { readonly pid: number; readonly exe: string }
    SIGNAL_WAITS: { readonly pid: number; readonly waits: boolean }
    LOOKED_AGAIN: object
    TICK: { readonly cpuUs: number }
  }
>

export interface GuestMount {
  readonly number: number
  readonly path: string
  readonly readonly: boolean
  /** One regular file instead of a folder. */
  readonly file: boolean
}
/** A file of a host mount, by its FUSE node number. */
export interface GuestFile {
  readonly mount: number
  readonly node: number
  /** Not only the name that leads to it. */
  readonly attributes: boolean
}
export interface GuestScratch {
  readonly path: string
  readonly size: number
  readonly mode: number
}

/** The control port, gate→guest. */
export type GateToGuestMessage = From<
  typeof GATE_TO_GUEST,
  {
    SETUP: {
      readonly version: number
      readonly entropy: Uint8Array
      readonly timeS: number
      readonly timeNs: number
      readonly hostname: string
      readonly mounts: readonly GuestMount[]
      readonly scratch: readonly GuestScratch[]
    }
    START: {
      readonly argv: readonly string[]
      readonly env: readonly string[]
      readonly cwd: string
      readonly uid: number
      readonly gid: number
      readonly tty: boolean
      readonly rows: number
      readonly cols: number
    }
    STDIN: { readonly data: Uint8Array }
    STDIN_END: object
    STDOUT_CREDIT: { readonly fd: number; readonly bytes: number }
    OPEN_ANSWER: { readonly id: number; readonly allow: boolean; readonly cacheable: boolean }
    SIGNAL: { readonly signal: number }
    WINDOW: { readonly rows: number; readonly cols: number }
    POWER_OFF: object
    PING: { readonly n: number }
    WHO: { readonly pid: number }
    SIGNALLED: { readonly pid: number }
    LOOK_AGAIN: { readonly files: readonly GuestFile[] }
  }
>

/** One frame on link session 0. Throws E_PROTOCOL naming the field when a value is outside its declaration. */
export function encodeLinkControl(message: LinkControl): Uint8Array {
  return LINK.encode(message)
}
/** The message in the item of a frame of session 0 of the effects port. Throws E_PROTOCOL for anything else. */
export function parseLinkControl(item: Uint8Array): LinkControl {
  return LINK.parse(item) as LinkControl
}

/** What init says to the gate: used by hostile and test guests; init itself is C. */
export function encodeGuestMessage(message: GuestMessage): Uint8Array {
  return GUEST.encode(message)
}
export function parseGuestMessage(item: Uint8Array): GuestMessage {
  return GUEST.parse(item) as GuestMessage
}

export function encodeGateToGuest(message: GateToGuestMessage): Uint8Array {
  return GATE.encode(message)
}
export function parseGateToGuest(item: Uint8Array): GateToGuestMessage {
  return GATE.parse(item) as GateToGuestMessage
}

/** One frame of the link of host mounts: the session is the mount's number, the item one byte string. */
export function encodeFuseFrame(mount: number, message: Uint8Array): Uint8Array {
  return encodeFrame(mount, message)
}
/** The FUSE message in an item of that link, a view of it. Throws E_PROTOCOL for anything but one byte string. */
export function parseFuseItem(item: Uint8Array): Uint8Array {
  const value = decode(item)
  if (!(value instanceof Uint8Array)) throw new AuthorityError('E_PROTOCOL', 'an item of the FUSE link must be a byte string')
  return value
}

type Plain = { readonly [key: string]: unknown }

/** Turns objects into positional items and back along a message table: tuples become objects, lists arrays, names camel case. */
class Table {
  readonly #sender: string
  readonly #rows = new Map<number, { readonly name: string; readonly row: GuestMessageRow }>()

  constructor(sender: string, rows: { readonly [name: string]: GuestMessageRow }) {
    this.#sender = sender
    for (const [name, row] of Object.entries(rows)) this.#rows.set(row.number, { name, row })
  }

  encode(message: { readonly type: number }): Uint8Array {
    const entry = this.#rows.get(message.type)
    if (entry === undefined) throw new AuthorityError('E_PROTOCOL', `${this.#sender} has no message ${message.type}`)
    const item: WireValue[] = [message.type, ...tupleItem(entry.row.fields, message)]
    checkFields(entry.row.fields, item, 1, entry.name, GENERATION, false)
    return encodeFrame(0, item)
  }

  parse(item: Uint8Array): unknown {
    const values = decode(item)
    if (!Array.isArray(values)) throw new AuthorityError('E_PROTOCOL', `${this.#sender} sent no array`)
    const [number] = values as readonly WireValue[]
    const entry = typeof number === 'number' ? this.#rows.get(number) : undefined
    if (entry === undefined) {
      throw new AuthorityError(
        'E_PROTOCOL',
        `${this.#sender} sent a message this end does not know${typeof number === 'number' ? `: ${number}` : ''}`,
      )
    }
    checkFields(entry.row.fields, values, 1, entry.name, GENERATION, false)
    return { type: number, ...tupleObject(entry.row.fields, values, 1) }
  }
}

const LINK = new Table('the link', LINK_CONTROL_MESSAGES)
const GUEST = new Table('the guest', GUEST_MESSAGES)
const GATE = new Table('the gate', GATE_TO_GUEST_MESSAGES)

function tupleItem(fields: readonly Field[], object: object): WireValue[] {
  return fields.map((field) => itemOf(field.type, (object as Plain)[camel(field.name)]))
}

function itemOf(type: FieldType, value: unknown): WireValue {
  if (type.kind === 'list' && Array.isArray(value)) return value.map((element) => itemOf(type.of, element))
  if (type.kind === 'tuple' && typeof value === 'object' && value !== null) return tupleItem(type.of, value)
  return value as WireValue
}

function tupleObject(fields: readonly Field[], values: readonly WireValue[], first: number): Plain {
  const object: { [key: string]: unknown } = {}
  for (const [i, field] of fields.entries()) object[camel(field.name)] = objectOf(field.type, values[first + i] as WireValue)
  return object
}

function objectOf(type: FieldType, value: WireValue): unknown {
  if (type.kind === 'list') return (value as readonly WireValue[]).map((element) => objectOf(type.of, element))
  if (type.kind === 'tuple') return tupleObject(type.of, value as readonly WireValue[], 0)
  return value
}

function camel(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
}
