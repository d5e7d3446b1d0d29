/** OTLP trace messages as protobuf (otlp.proto beside this file). 64-bit numbers go as {low, high}: protobufjs then needs no other package. */
import { Reader, Writer } from 'protobufjs/minimal.js'

export type Attributes = Readonly<Record<string, string | number | boolean>>

export interface SpanEvent {
  /** ms since the epoch. */
  readonly ms: number
  readonly name: string
  readonly attributes: Attributes
}

export interface Span {
  /** 32 hex digits. */
  readonly traceId: string
  /** 16 hex digits. */
  readonly spanId: string
  readonly parentId: string | null
  readonly name: string
  readonly kind: 'internal' | 'client'
  readonly startMs: number
  readonly endMs: number
  readonly attributes: Attributes
  readonly events: readonly SpanEvent[]
  readonly droppedEvents: number
  readonly status: 'ok' | 'error' | 'unset'
  readonly message?: string
}

const KINDS = { internal: 1, client: 3 } as const
const STATUSES = { unset: 0, ok: 1, error: 2 } as const
/** Wire types of protobuf. */
const FIXED64 = 1
const BYTES = 2

const tag = (field: number, wire: number): number => (field << 3) | wire

function split64(value: number): { low: number; high: number } {
  return { low: value >>> 0, high: Math.floor(value / 2 ** 32) | 0 }
}

function nanoseconds(ms: number): { low: number; high: number } {
  const ns = BigInt(Math.max(0, Math.round(ms))) * 1_000_000n
  return { low: Number(ns & 0xffffffffn), high: Number(ns >> 32n) | 0 }
}

function nested(writer: Writer, field: number, write: (inner: Writer) => void): void {
  write(writer.uint32(tag(field, BYTES)).fork())
  writer.ldelim()
}

function attributes(writer: Writer, field: number, values: Attributes): void {
  for (const [key, value] of Object.entries(values))
    nested(writer, field, (w) => {
      w.uint32(tag(1, BYTES)).string(key)
      nested(w, 2, (v) => {
        if (typeof value === 'string') v.uint32(tag(1, BYTES)).string(value)
        else if (typeof value === 'boolean') v.uint32(tag(2, 0)).bool(value)
        else v.uint32(tag(3, 0)).int64(split64(value) as never)
      })
    })
}

function event(writer: Writer, { ms, name, attributes: values }: SpanEvent): void {
  nested(writer, 11, (w) => {
    w.uint32(tag(1, FIXED64)).fixed64(nanoseconds(ms) as never)
    w.uint32(tag(2, BYTES)).string(name)
    attributes(w, 3, values)
  })
}

function span(writer: Writer, s: Span): void {
  nested(writer, 2, (w) => {
    w.uint32(tag(1, BYTES)).bytes(Buffer.from(s.traceId, 'hex'))
    w.uint32(tag(2, BYTES)).bytes(Buffer.from(s.spanId, 'hex'))
    if (s.parentId !== null) w.uint32(tag(4, BYTES)).bytes(Buffer.from(s.parentId, 'hex'))
    w.uint32(tag(5, BYTES)).string(s.name)
    w.uint32(tag(6, 0)).int32(KINDS[s.kind])
    w.uint32(tag(7, FIXED64)).fixed64(nanoseconds(s.startMs) as never)
    w.uint32(tag(8, FIXED64)).fixed64(nanoseconds(s.endMs) as never)
    attributes(w, 9, s.attributes)
    for (const each of s.events) event(w, each)
    if (s.droppedEvents > 0) w.uint32(tag(12, 0)).uint32(s.droppedEvents)
    nested(w, 15, (status) => {
      if (s.message !== undefined) status.uint32(tag(2, BYTES)).string(s.message)
      status.uint32(tag(3, 0)).int32(STATUSES[s.status])
    })
  })
}

/** One ExportTraceServiceRequest. */
export function encodeSpans(
  resource: Attributes,
  scope: { readonly name: string; readonly version: string },
  spans: readonly Span[],
): Uint8Array {
  const writer = Writer.create()
  nested(writer, 1, (w) => {
    nested(w, 1, (r) => attributes(r, 1, resource))
    nested(w, 2, (s) => {
      nested(s, 1, (i) => i.uint32(tag(1, BYTES)).string(scope.name).uint32(tag(2, BYTES)).string(scope.version))
      for (const each of spans) span(s, each)
    })
  })
  return writer.finish()
}

/** How many spans the collector says it dropped, from an ExportTraceServiceResponse. Throws for bytes that are none. */
export function rejectedSpans(bytes: Uint8Array): { readonly rejected: number; readonly message: string } {
  let result = { rejected: 0, message: '' }
  const reader = Reader.create(bytes)
  while (reader.pos < reader.len) {
    const field = reader.uint32()
    if (field === tag(1, BYTES)) result = partial(reader.bytes())
    else reader.skipType(field & 7)
  }
  return result
}

function partial(bytes: Uint8Array): { rejected: number; message: string } {
  const result = { rejected: 0, message: '' }
  const reader = Reader.create(bytes)
  while (reader.pos < reader.len) {
    const field = reader.uint32()
    if (field === tag(1, 0)) result.rejected = Number(reader.int64())
    else if (field === tag(2, BYTES)) result.message = reader.string()
    else reader.skipType(field & 7)
  }
  return result
}
