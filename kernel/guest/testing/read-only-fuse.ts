/** A FUSE server of one folder with one file, for the smoke run: enough for lookup, stat, list and read. The product's is kernel/effects/fs. */
const ROOT = 1n
const FILE = 2n
const NAME = new TextEncoder().encode('hello.txt')
const CONTENT = new TextEncoder().encode('from the host')
const OUT_HEADER_BYTES = 16
const IN_HEADER_BYTES = 40
const ENOENT = 2
const ENOSYS = 38

/** The reply to one request, or null for one that has none. */
export function answerFuse(request: Uint8Array): Uint8Array | null {
  const view = new DataView(request.buffer, request.byteOffset, request.length)
  const opcode = view.getUint32(4, true)
  const unique = view.getBigUint64(8, true)
  const node = view.getBigUint64(16, true)
  const body = IN_HEADER_BYTES
  switch (opcode) {
    case 26: // INIT: version 7.31, 512 KiB a write
      return reply(unique, 64, (out) => {
        out.setUint32(0, 7, true)
        out.setUint32(4, 31, true)
        out.setUint32(8, 1 << 20, true)
        out.setUint32(20, 512 * 1024, true)
      })
    case 1: // LOOKUP
      if (!sameBytes(request.subarray(body, -1), NAME)) return failure(unique, ENOENT)
      return reply(unique, 128, (out) => {
        out.setBigUint64(0, FILE, true)
        putAttributes(out, 40, FILE)
      })
    case 3: // GETATTR
      return reply(unique, 104, (out) => putAttributes(out, 16, node))
    case 14: // OPEN
    case 27: // OPENDIR
      return reply(unique, 16, () => undefined)
    case 15: {
      // READ
      const from = Number(view.getBigUint64(body + 8, true))
      const part = CONTENT.subarray(from, from + view.getUint32(body + 16, true))
      return reply(unique, part.length, (_, bytes) => bytes.set(part))
    }
    case 18: // RELEASE
    case 25: // FLUSH
    case 29: // RELEASEDIR
      return reply(unique, 0, () => undefined)
    case 2: // FORGET
    case 42: // BATCH_FORGET
      return null
    default:
      return failure(unique, ENOSYS)
  }
}

function putAttributes(out: DataView, at: number, node: bigint): void {
  out.setBigUint64(at, node, true)
  out.setBigUint64(at + 8, BigInt(CONTENT.length), true)
  out.setUint32(at + 60, node === ROOT ? 0o040755 : 0o100644, true)
  out.setUint32(at + 64, 1, true)
}

function reply(unique: bigint, size: number, fill: (body: DataView, bytes: Uint8Array) => void): Uint8Array {
  const out = new Uint8Array(OUT_HEADER_BYTES + size)
  const head = new DataView(out.buffer)
  head.setUint32(0, out.length, true)
  head.setBigUint64(8, unique, true)
  fill(new DataView(out.buffer, OUT_HEADER_BYTES), out.subarray(OUT_HEADER_BYTES))
  return out
}

function failure(unique: bigint, errno: number): Uint8Array {
  const out = reply(unique, 0, () => undefined)
  new DataView(out.buffer).setInt32(4, -errno, true)
  return out
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}
