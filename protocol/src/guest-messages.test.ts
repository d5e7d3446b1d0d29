import { describe, expect, test } from 'vitest'
import { fromJson, hex, type JsonValue, unhex } from '../generate/vectors/json.ts'
import { failureOf, vectors } from '../testing/vectors.ts'
import { encode } from './codec.ts'
import { GATE_TO_GUEST, GUEST_TO_GATE, LINK_CONTROL, MAX_MOUNTS, MAX_STDIO_BYTES } from './guest.ts'
import {
  encodeFuseFrame,
  encodeGateToGuest,
  encodeGuestMessage,
  encodeLinkControl,
  type GateToGuestMessage,
  parseFuseItem,
  parseGateToGuest,
  parseGuestMessage,
  parseLinkControl,
} from './guest-messages.ts'
import { GATE_TO_GUEST_MESSAGES, GUEST_MESSAGES, LINK_CONTROL_MESSAGES } from './guest-schema.ts'

type TableName = 'link' | 'guest' | 'gate'
const PARSE = { link: parseLinkControl, guest: parseGuestMessage, gate: parseGateToGuest } as const
const AGAIN: { readonly [table in TableName]: (item: Uint8Array) => Uint8Array } = {
  link: (item) => encodeLinkControl(parseLinkControl(item)),
  guest: (item) => encodeGuestMessage(parseGuestMessage(item)),
  gate: (item) => encodeGateToGuest(parseGateToGuest(item)),
}

describe('vectors', () => {
  test.each(vectors<{ table: TableName; name: string; hex: string; value: JsonValue }>('guest.json'))('$table $name', (vector) => {
    const item = unhex(vector.hex)
    expect(hex(encode(fromJson(vector.value)))).toBe(vector.hex)
    expect(hex(AGAIN[vector.table](item).subarray(8))).toBe(vector.hex)
    expect(hex(AGAIN[vector.table](item).subarray(4, 8))).toBe('00000000')
  })

  test.each(vectors<{ table: TableName; hex: string; why: string; error: string }>('malformed-guest.json'))(
    '$table refuses $why',
    (vector) => {
      expect(failureOf(() => PARSE[vector.table](unhex(vector.hex))).code).toBe(vector.error)
    },
  )
})

describe('typed messages', () => {
  const SETUP: GateToGuestMessage = {
    type: GATE_TO_GUEST.SETUP,
    version: 1,
    entropy: new Uint8Array(32),
    timeS: 1_700_000_000,
    timeNs: 5,
    hostname: 'agent',
    mounts: [{ number: 1, path: '/work', readonly: false, file: false }],
    scratch: [{ path: '/tmp', size: 1 << 20, mode: 0o1777 }],
  }

  test('nested tuples are objects by name', () => {
    expect(parseGateToGuest(encodeGateToGuest(SETUP).subarray(8))).toEqual(SETUP)
    expect(hex(encodeGateToGuest(SETUP))).toContain(hex(encode([[1, '/work', false, false]])))
  })

  test('names on the wire and in code are the same but for their case', () => {
    expect(parseGuestMessage(encode([GUEST_TO_GATE.READY, 1, 812, '6.1.0-56-cloud-amd64']))).toEqual({
      type: GUEST_TO_GATE.READY,
      version: 1,
      bootMs: 812,
      kernel: '6.1.0-56-cloud-amd64',
    })
    expect(parseGuestMessage(encode([GUEST_TO_GATE.EXITED, 1, 9, 1000, 2048, 1]))).toEqual({
      type: GUEST_TO_GATE.EXITED,
      kind: 1,
      value: 9,
      cpuUs: 1000,
      maxRssKib: 2048,
      oomKills: 1,
    })
    expect(parseLinkControl(encode([LINK_CONTROL.SESSION_OPEN, 4, 71, 1000, '/usr/bin/python3']))).toEqual({
      type: LINK_CONTROL.SESSION_OPEN,
      session: 4,
      pid: 71,
      uid: 1000,
      exe: '/usr/bin/python3',
    })
  })

  test('the encoder refuses what the parser would', () => {
    const output = (size: number) => () => encodeGuestMessage({ type: GUEST_TO_GATE.OUTPUT, fd: 1, data: new Uint8Array(size) })
    expect(parseGuestMessage(output(MAX_STDIO_BYTES)().subarray(8)).type).toBe(GUEST_TO_GATE.OUTPUT)
    expect(failureOf(output(MAX_STDIO_BYTES + 1)).message).toContain('`data`')
    expect(failureOf(output(0)).message).toContain('`data`')
    const mounts = Array.from({ length: MAX_MOUNTS + 1 }, (_, i) => ({ number: i + 1, path: `/m${i}`, readonly: true, file: false }))
    expect(failureOf(() => encodeGateToGuest({ ...SETUP, mounts })).message).toContain('`mounts`')
    expect(failureOf(() => encodeGuestMessage({ type: 99 } as never)).code).toBe('E_PROTOCOL')
  })

  test('numbers are unique within each table', () => {
    for (const [table, rows] of [
      [LINK_CONTROL, LINK_CONTROL_MESSAGES],
      [GUEST_TO_GATE, GUEST_MESSAGES],
      [GATE_TO_GUEST, GATE_TO_GUEST_MESSAGES],
    ] as const) {
      expect(new Set(Object.values(table)).size).toBe(Object.keys(table).length)
      for (const [name, row] of Object.entries(rows)) expect(row.number).toBe((table as { readonly [name: string]: number })[name])
    }
  })
})

describe('FUSE frames', () => {
  test('carry one byte string, as a view', () => {
    const message = Uint8Array.of(1, 2, 3)
    const frame = encodeFuseFrame(2, message)
    expect(hex(frame)).toBe('000000080000000243010203')
    const back = parseFuseItem(frame.subarray(8))
    expect(hex(back)).toBe('010203')
    expect(back.buffer).toBe(frame.buffer)
  })

  test('anything else is refused', () => {
    for (const item of [encode([1]), encode('text'), Uint8Array.of(0x42, 1), Uint8Array.of(0x41, 1, 1)]) {
      expect(failureOf(() => parseFuseItem(item)).code).toBe('E_PROTOCOL')
    }
  })
})
