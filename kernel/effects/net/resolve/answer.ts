/**
 * What a DNS server answers to one question for addresses (RFC 1035, 3596). The server is hostile until its answer is vetted: an answer to something else is
 * none, only records on the way from the name that was asked count, and reading costs a bounded number of steps whatever the packet says. Pure.
 */
import { AuthorityError } from '@authority/protocol'
import { encodeDnsName } from '../dns-packet.ts'
import { MAX_ANSWER_RECORDS, MAX_CNAMES, MAX_NAME_POINTERS } from '../limits.ts'

export const ADDRESS_TYPES = { A: 1, AAAA: 28 } as const
export type AddressType = (typeof ADDRESS_TYPES)[keyof typeof ADDRESS_TYPES]

const TYPE_CNAME = 5
const CLASS_IN = 1
const HEADER_BYTES = 12
const MAX_NAME_BYTES = 255
const IS_ANSWER = 0x8000
const OPCODE = 0x7800
const TRUNCATED = 0x0200
const RECURSION_DESIRED = 0x0100
const RCODE = 0x000f
const NO_SUCH_NAME = 3

export interface AddressQuestion {
  readonly id: number
  /** Canonical: lower case, no final dot. */
  readonly name: string
  readonly type: AddressType
}

export type AddressAnswer =
  /** None: the name exists and has no such address. */
  | { readonly kind: 'addresses'; readonly addresses: readonly string[] }
  | { readonly kind: 'no such name' }
  /** Too long for a datagram: to be asked again over TCP. */
  | { readonly kind: 'truncated' }
  | { readonly kind: 'refused'; readonly rcode: number }

/** The packet. No EDNS: an answer that does not fit 512 bytes is asked for over TCP, and no fragment is ever believed. */
export function encodeAddressQuestion({ id, name, type }: AddressQuestion): Uint8Array {
  const head = Buffer.alloc(HEADER_BYTES)
  head.writeUInt16BE(id, 0)
  head.writeUInt16BE(RECURSION_DESIRED, 2)
  head.writeUInt16BE(1, 4)
  const tail = Buffer.alloc(4)
  tail.writeUInt16BE(type, 0)
  tail.writeUInt16BE(CLASS_IN, 2)
  return Buffer.concat([head, encodeDnsName(name), tail])
}

/** What it says about the question, or null for what is no answer to it. Throws E_UPSTREAM for an answer that cannot be read. */
export function readAddressAnswer(packet: Uint8Array, question: AddressQuestion): AddressAnswer | null {
  if (packet.length < HEADER_BYTES) return null
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength)
  const flags = view.getUint16(2)
  if (view.getUint16(0) !== question.id || (flags & IS_ANSWER) === 0 || (flags & OPCODE) !== 0 || view.getUint16(4) !== 1) return null
  const end = matchQuestion(packet, view, question)
  if (end === null) return null
  const rcode = flags & RCODE
  if ((flags & TRUNCATED) !== 0) return { kind: 'truncated' }
  if (rcode === NO_SUCH_NAME) return { kind: 'no such name' }
  if (rcode !== 0) return { kind: 'refused', rcode }
  return { kind: 'addresses', addresses: addressesOf(readRecords(packet, view, end), question) }
}

/** Where the question ends, when it is the one that was asked; letters in any case. */
function matchQuestion(packet: Uint8Array, view: DataView, { name, type }: AddressQuestion): number | null {
  const asked = encodeDnsName(name)
  const end = HEADER_BYTES + asked.length
  if (end + 4 > packet.length) return null
  for (const [i, byte] of asked.entries()) if (lower(packet[HEADER_BYTES + i] ?? 0) !== lower(byte)) return null
  return view.getUint16(end) === type && view.getUint16(end + 2) === CLASS_IN ? end + 4 : null
}

interface AnswerRecord {
  readonly owner: string | null
  readonly type: number
  /** Of an address; of an alias the name it leads to. */
  readonly value: string | null
}

function readRecords(packet: Uint8Array, view: DataView, start: number): AnswerRecord[] {
  const count = view.getUint16(6)
  if (count > MAX_ANSWER_RECORDS) throw unreadable(`${count} records`)
  const records: AnswerRecord[] = []
  let at = start
  for (let i = 0; i < count; i++) {
    const owner = readName(packet, at)
    at = owner.end
    if (at + 10 > packet.length) throw unreadable('a cut record')
    const type = view.getUint16(at)
    const isInternet = view.getUint16(at + 2) === CLASS_IN
    const data = at + 10
    at = data + view.getUint16(at + 8)
    if (at > packet.length) throw unreadable('a cut record')
    if (isInternet) records.push({ owner: owner.name, type, value: recordValue(packet, type, data, at) })
  }
  return records
}

function recordValue(packet: Uint8Array, type: number, start: number, end: number): string | null {
  if (type === ADDRESS_TYPES.A) {
    if (end - start !== 4) throw unreadable('an address of another length')
    return packet.subarray(start, end).join('.')
  }
  if (type === ADDRESS_TYPES.AAAA) {
    if (end - start !== 16) throw unreadable('an address of another length')
    const words = Array.from({ length: 8 }, (_, i) => ((packet[start + 2 * i] ?? 0) << 8) | (packet[start + 2 * i + 1] ?? 0))
    return words.map((word) => word.toString(16)).join(':')
  }
  if (type !== TYPE_CNAME) return null
  const target = readName(packet, start)
  if (target.end !== end) throw unreadable('an alias of another length')
  return target.name
}

/** Addresses at the end of the chain of aliases that begins with the name asked for. */
function addressesOf(records: readonly AnswerRecord[], { name, type }: AddressQuestion): string[] {
  const aliases = new Map<string, string | null>()
  for (const record of records) {
    if (record.type !== TYPE_CNAME || record.owner === null) continue
    if (aliases.has(record.owner)) throw unreadable('two aliases of one name')
    aliases.set(record.owner, record.value)
  }
  let owner: string | null = name
  for (let steps = 0; owner !== null && aliases.has(owner); steps++) {
    if (steps === MAX_CNAMES) throw unreadable(`more than ${MAX_CNAMES} aliases in a row`)
    owner = aliases.get(owner) ?? null
  }
  const end = owner
  if (end === null) throw unreadable('an alias that is no host')
  return records.flatMap((record) => (record.type === type && record.owner === end && record.value !== null ? [record.value] : []))
}

/** A name at any place, as lower-case text; null when no host has such a name. Pointers only lead back, and only so often. */
function readName(packet: Uint8Array, start: number): { name: string | null; end: number } {
  const labels: string[] = []
  let clean = true
  let bytes = 1
  let pointers = 0
  let at = start
  let end: number | null = null
  for (;;) {
    const length = packet[at]
    if (length === undefined) throw unreadable('a cut name')
    if (length === 0) return { name: clean ? labels.join('.') : null, end: end ?? at + 1 }
    if ((length & 0xc0) === 0xc0) {
      const to = ((length & 0x3f) << 8) | (packet[at + 1] ?? 0xff)
      if (at + 1 >= packet.length || to >= at || to < HEADER_BYTES || ++pointers > MAX_NAME_POINTERS)
        throw unreadable('a name that leads astray')
      end ??= at + 2
      at = to
      continue
    }
    bytes += 1 + length
    if ((length & 0xc0) !== 0 || at + 1 + length > packet.length || bytes > MAX_NAME_BYTES) throw unreadable('a name')
    const label = packet.subarray(at + 1, at + 1 + length).map(lower)
    // A dot inside a label would make another name of it.
    clean &&= label.every((byte) => byte > 0x20 && byte < 0x7f && byte !== 0x2e)
    labels.push(Buffer.from(label).toString('latin1'))
    at += 1 + length
  }
}

function lower(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte
}

function unreadable(what: string): AuthorityError {
  return new AuthorityError('E_UPSTREAM', `the DNS server’s answer cannot be read: ${what}`, { errno: 'EHOSTUNREACH' })
}
