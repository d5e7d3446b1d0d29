/** Hash, checksum, tree and note of the verifier: a second implementation, after the specifications and not after the writer. */
import { createHash, createPublicKey, verify } from 'node:crypto'
import { MAX_KEY, MAX_PAYLOAD } from './limits.ts'

/** Where the parts of one hash are put together: at most a node's prefix and a payload. */
const joinedParts = Buffer.alloc(1 + MAX_PAYLOAD)

export function sha256(...parts: readonly Uint8Array[]): Buffer {
  let length = 0
  for (const part of parts) length += part.length
  if (length > joinedParts.length) return parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest()
  let at = 0
  for (const part of parts) {
    joinedParts.set(part, at)
    at += part.length
  }
  return oneShot(joinedParts.subarray(0, length))
}

/** Bun's own is three times faster than a hash object; elsewhere there is only that. */
function oneShot(bytes: Buffer): Buffer {
  if (typeof Bun === 'undefined') return createHash('sha256').update(bytes).digest()
  const digest = Buffer.alloc(32)
  Bun.SHA256.hash(bytes, digest)
  return digest
}

const CASTAGNOLI = (() => {
  const table = new Int32Array(1024)
  for (let byte = 0; byte < 256; byte++) {
    let value = byte
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1
    table[byte] = value
  }
  for (let i = 256; i < 1024; i++) table[i] = (Number(table[i - 256]) >>> 8) ^ Number(table[Number(table[i - 256]) & 255])
  return table as unknown as { readonly [index: number]: number }
})()

/** CRC-32C with the state carried between calls: begin with -1, end with crcEnd. */
export function crcAdd(state: number, data: Buffer, from: number, to: number): number {
  const t = CASTAGNOLI
  let c = state
  let i = from
  for (; i + 4 <= to; i += 4) {
    c ^= data.readInt32LE(i)
    c =
      (t[768 + (c & 255)] as number) ^
      (t[512 + ((c >>> 8) & 255)] as number) ^
      (t[256 + ((c >>> 16) & 255)] as number) ^
      (t[c >>> 24] as number)
  }
  for (; i < to; i++) c = (t[(c ^ (data[i] as number)) & 255] as number) ^ (c >>> 8)
  return c
}
export const crcEnd = (state: number): number => (state ^ -1) >>> 0

const LEAF = Buffer.of(0)
const NODE = Buffer.of(1)

/** RFC 6962 tree that grows leaf by leaf: level i holds the root of a full subtree of 2^i leaves, or nothing. */
export class Tree {
  readonly #levels: (Buffer | null)[] = []
  size = 0

  /** Returns the leaf hash. */
  add(entry: Uint8Array): Buffer {
    const leaf = sha256(LEAF, entry)
    let carry = leaf
    let level = 0
    for (let full = this.#levels[level]; full; full = this.#levels[level]) {
      carry = sha256(NODE, full, carry)
      this.#levels[level++] = null
    }
    this.#levels[level] = carry
    this.size++
    return leaf
  }

  root(): Buffer {
    let root: Buffer | null = null
    for (const subtree of this.#levels) if (subtree) root = root ? sha256(NODE, subtree, root) : subtree
    return root ?? sha256()
  }

  /** Subtree roots, largest first: what a segment header repeats. */
  peaks(): Buffer[] {
    return this.#levels.filter((subtree) => subtree !== null).reverse()
  }
}

export interface PublicKey {
  readonly text: string
  readonly name: string
  readonly raw: Buffer
  verifies(text: string, signatureLine: string): boolean
}

/** `name+hash+base64(0x01 ‖ Ed25519 key)`; null when it is not exactly that. */
export function readKey(text: string): PublicKey | null {
  const match = text.length > MAX_KEY ? null : /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]{43}[=A-Za-z0-9+/])$/u.exec(text)
  const [, name, hash, encoded] = match ?? []
  if (name === undefined || hash === undefined || encoded === undefined) return null
  const typed = strictBase64(encoded)
  if (typed?.length !== 33 || typed[0] !== 1) return null
  const id = sha256(Buffer.from(name), Buffer.of(10), typed).subarray(0, 4)
  if (id.toString('hex') !== hash) return null
  const raw = typed.subarray(1)
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') }, format: 'jwk' })
  const prefix = `\u2014 ${name} `
  return {
    text,
    name,
    raw,
    verifies: (body, line) => {
      const signature = line.startsWith(prefix) ? strictBase64(line.slice(prefix.length)) : null
      return (
        signature !== null &&
        signature.length === 68 &&
        signature.subarray(0, 4).equals(id) &&
        verify(null, Buffer.from(body), key, signature.subarray(4))
      )
    },
  }
}

/** Canonical base64 with padding only. */
export function strictBase64(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? bytes : null
}

export interface Head {
  readonly origin: string
  readonly size: number
  readonly root: Buffer
}

/** A C2SP checkpoint with at least one signature of the key, or null. Extension lines and other signatures are allowed and ignored. */
export function readCheckpoint(note: string, key: PublicKey): Head | null {
  const cut = note.lastIndexOf('\n\n')
  if (cut < 0 || !note.endsWith('\n')) return null
  const text = note.slice(0, cut + 1)
  const signatures = note.slice(cut + 2, -1).split('\n')
  if (signatures.some((line) => !line.startsWith('\u2014 ')) || !signatures.some((line) => key.verifies(text, line))) return null
  const [origin, size, root] = text.split('\n')
  const hash = strictBase64(root ?? '')
  if (!origin || size === undefined || !/^[1-9][0-9]{0,15}$/.test(size) || !Number.isSafeInteger(Number(size)) || hash?.length !== 32)
    return null
  return { origin, size: Number(size), root: hash }
}
