/**
 * DNS messages (RFC 1035, EDNS: RFC 6891), only as much as a resolver's question and our answer need: one question, no compression, at most one OPT record.
 * Everything else a query could hold is refused, so there is nothing else to get wrong. Pure.
 */
import { AuthorityError, MAX_DNS_BYTES } from '@authority/protocol'

export const DNS_TYPE = { A: 1, PTR: 12, AAAA: 28, ANY: 255 } as const
const TYPE_OPT = 41
const CLASS_IN = 1
const HEADER_BYTES = 12
const MAX_LABEL_BYTES = 63
/** Bytes of a name on the wire, its final zero included. */
const MAX_NAME_BYTES = 255

export interface DnsQuery {
  /** Labels joined by dots as they came, without a final one; bytes outside printable ASCII and dots inside a label make it `null`: no host has such a name. */
  readonly name: string | null
  readonly type: number
  readonly edns: boolean
  /** Header and question as received: an answer repeats them. */
  readonly head: Uint8Array
}

export interface DnsRecord {
  readonly type: number
  readonly data: Uint8Array
}

/** Throws E_CONFLICT for what is no query at all, E_UNSUPPORTED for another kind of query. */
export function parseDnsQuery(packet: Uint8Array): DnsQuery {
  if (packet.length < HEADER_BYTES || packet.length > MAX_DNS_BYTES) throw malformed('its length')
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength)
  const flags = view.getUint16(2)
  if ((flags & 0x8000) !== 0) throw malformed('an answer, not a query')
  if ((flags & 0x7800) !== 0) throw new AuthorityError('E_UNSUPPORTED', 'a DNS message of another kind than a query')
  if (view.getUint16(4) !== 1 || view.getUint16(6) !== 0 || view.getUint16(8) !== 0) throw malformed('not one question alone')
  const { name, end } = readName(packet)
  if (end + 4 > packet.length) throw malformed('its question is cut off')
  const type = view.getUint16(end)
  if (view.getUint16(end + 2) !== CLASS_IN) throw new AuthorityError('E_UNSUPPORTED', 'a DNS class other than IN')
  const edns = readAdditional(view, end + 4)
  return { name, type, edns, head: packet.slice(0, end + 4) }
}

function readName(packet: Uint8Array): { name: string | null; end: number } {
  const labels: string[] = []
  let clean = true
  let at = HEADER_BYTES
  for (;;) {
    const length = packet[at]
    if (length === undefined) throw malformed('its name is cut off')
    at += 1
    if (length === 0) break
    // A pointer in a question could only point at the header: the two high bits set.
    if (length > MAX_LABEL_BYTES || at + length > packet.length || at + length + 1 - HEADER_BYTES > MAX_NAME_BYTES)
      throw malformed('its name')
    const label = packet.subarray(at, at + length)
    clean &&= label.every((byte) => byte > 0x20 && byte < 0x7f && byte !== 0x2e)
    labels.push(Buffer.from(label).toString('latin1'))
    at += length
  }
  return { name: clean ? labels.join('.') : null, end: at }
}

/** Whether the one record that may follow is there. */
function readAdditional(view: DataView, at: number): boolean {
  const count = view.getUint16(10)
  if (count === 0 && at === view.byteLength) return false
  if (count !== 1 || at + 11 > view.byteLength || view.getUint8(at) !== 0 || view.getUint16(at + 1) !== TYPE_OPT)
    throw malformed('what follows its question')
  if (at + 11 + view.getUint16(at + 9) !== view.byteLength) throw malformed('the length of its options')
  return true
}

/** NOERROR with these records about the question's own name; none means that the name exists and has no such record. */
export function dnsAnswer(query: DnsQuery, records: readonly DnsRecord[], ttlS: number): Uint8Array {
  const head = Uint8Array.from(query.head)
  const view = new DataView(head.buffer)
  // QR, the query's own RD, RA; RCODE 0.
  view.setUint16(2, 0x8080 | (view.getUint16(2) & 0x0100))
  view.setUint16(6, records.length)
  view.setUint16(8, 0)
  view.setUint16(10, query.edns ? 1 : 0)
  return Buffer.concat([head, ...records.map((record) => encodeRecord(record, ttlS)), ...(query.edns ? [OPT] : [])])
}

/** Version 0, no options; takes what the protocol's limit allows. */
const OPT = Uint8Array.of(0, 0, TYPE_OPT, MAX_DNS_BYTES >> 8, MAX_DNS_BYTES & 255, 0, 0, 0, 0, 0, 0)

function encodeRecord({ type, data }: DnsRecord, ttlS: number): Uint8Array {
  const record = new Uint8Array(12 + data.length)
  const view = new DataView(record.buffer)
  // The name: a pointer to the question's.
  view.setUint16(0, 0xc000 | HEADER_BYTES)
  view.setUint16(2, type)
  view.setUint16(4, CLASS_IN)
  view.setUint32(6, ttlS)
  view.setUint16(10, data.length)
  record.set(data, 12)
  return record
}

/** A name on the wire. Only for names that were checked: labels of 1…63 bytes. */
export function encodeDnsName(name: string): Uint8Array {
  return Buffer.concat([
    ...name.split('.').map((label) => Buffer.concat([Uint8Array.of(label.length), Buffer.from(label, 'latin1')])),
    Uint8Array.of(0),
  ])
}

function malformed(what: string): AuthorityError {
  return new AuthorityError('E_CONFLICT', `a malformed DNS query: ${what}`)
}
