/** ClientHellos that no client would send, and one that it would. */

const ECH = 0xfe0d

const u16 = (value: number): Buffer => Buffer.from([value >> 8, value & 255])
const counted = (bytes: Uint8Array): Buffer => Buffer.concat([u16(bytes.length), bytes])
const extension = (type: number, body: Uint8Array): Buffer => Buffer.concat([u16(type), counted(body)])
export const serverName = (...names: string[]): Buffer =>
  extension(0, counted(Buffer.concat(names.map((name) => Buffer.concat([Uint8Array.of(0), counted(Buffer.from(name))])))))

/** What is inside nobody here can read (ECH). */
export const encrypted = (bytes: number): Buffer => extension(ECH, Buffer.alloc(bytes, 3))

/** The ClientHello of a client with these extensions, in one record. */
export function hello(...extensions: Uint8Array[]): Buffer {
  const body = Buffer.concat([
    u16(0x0303),
    Buffer.alloc(32, 7),
    Uint8Array.of(0),
    counted(u16(0x1301)),
    Uint8Array.of(1, 0),
    counted(Buffer.concat(extensions)),
  ])
  return Buffer.concat([Uint8Array.of(22, 3, 1), counted(Buffer.concat([Uint8Array.of(1, 0), counted(body)]))])
}

/** One record cut in two: the same handshake message. */
export function inTwoRecords(whole: Buffer, at: number): Buffer {
  const message = whole.subarray(5)
  const record = (bytes: Uint8Array): Buffer => Buffer.concat([Uint8Array.of(22, 3, 1), counted(bytes)])
  return Buffer.concat([record(message.subarray(0, at)), record(message.subarray(at))])
}

export const bytewise = (whole: Buffer): Buffer[] => Array.from(whole, (byte) => Buffer.of(byte))
