/** Hash, checksum, tree and note of the verifier: a second implementation, after the specifications and not after the writer. */
import { createHash, createPublicKey, verify } from 'node:crypto'
import { MAX_KEY } from './limits.ts'

export function sha256(...parts: readonly Uint8Array[]): Buffer {
  return parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest()
}

/** Hash of `bytes` into `digest` (32 bytes). Bun's own is three times faster than a hash object; elsewhere there is only that. */
export const sha256Into: (bytes: Buffer, digest: Buffer) => void =
  typeof Bun === 'undefined'
    ? (bytes, digest) => void createHash('sha256').update(bytes).digest().copy(digest)
    : (bytes, digest) => void Bun.SHA256.hash(bytes as Buffer<ArrayBuffer>, digest as Buffer<ArrayBuffer>)

const CASTAGNOLI = (() => {
  const table = new Int32Array(8 * 256)
  for (let byte = 0; byte < 256; byte++) {
    let value = byte
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1
    table[byte] = value
  }
  for (let i = 256; i < table.length; i++) table[i] = (Number(table[i - 256]) >>> 8) ^ Number(table[Number(table[i - 256]) & 255])
  return table as unknown as { readonly [index: number]: number }
})()

/** CRC-32C with the state carried between calls: begin with -1, end with crcEnd. */
export function crcAdd(state: number, data: Buffer, from: number, to: number): number {
  let c = state
  for (let i = from; i < to; i++) c = (CASTAGNOLI[(c ^ (data[i] as number)) & 255] as number) ^ (c >>> 8)
  return c
}

/** The same over little-endian words [from, to), an even number of them, eight bytes a step. */
export function crcAddWords(state: number, words: Int32Array, from: number, to: number): number {
  const t = CASTAGNOLI
  const w = words as unknown as { readonly [index: number]: number }
  let c = state
  for (let i = from; i < to; i += 2) {
    const low = c ^ (w[i] as number)
    const high = w[i + 1] as number
    c =
      (t[1792 + (low & 255)] as number) ^
      (t[1536 + ((low >>> 8) & 255)] as number) ^
      (t[1280 + ((low >>> 16) & 255)] as number) ^
      (t[1024 + (low >>> 24)] as number) ^
      (t[768 + (high & 255)] as number) ^
      (t[512 + ((high >>> 8) & 255)] as number) ^
      (t[256 + ((high >>> 16) & 255)] as number) ^
      (t[high >>> 24] as number)
  }
  return c
}
export const crcEnd = (state: number): number => (state ^ -1) >>> 0

/** Input of a hash over two hashes: prefix ‖ left ‖ right, in one place, because a log of a million records makes two million of them. */
export class Pair {
  readonly #input = Buffer.alloc(65)

  constructor(prefix: number) {
    this.#input[0] = prefix
  }
  get left(): Buffer {
    return this.#input.subarray(1, 33)
  }
  setLeft(hash: Buffer): void {
    this.#input.set(hash, 1)
  }
  /** Hash with this right half, into `digest`, which may be `right` itself. */
  hash(right: Buffer, digest: Buffer): void {
    this.#input.set(right, 33)
    sha256Into(this.#input, digest)
  }
}

/** RFC 6962 tree that grows leaf by leaf: level i holds, when that bit of the size is set, the root of a full subtree of 2^i leaves. */
export class Tree {
  readonly #levels: Pair[] = []
  readonly #carry = Buffer.alloc(32)
  size = 0

  add(leaf: Buffer): void {
    this.#carry.set(leaf)
    let level = 0
    for (let rest = this.size; rest % 2 === 1; rest = (rest - 1) / 2) {
      this.#level(level).hash(this.#carry, this.#carry)
      level++
    }
    this.#level(level).setLeft(this.#carry)
    this.size++
  }

  #level(level: number): Pair {
    let pair = this.#levels[level]
    if (!pair) {
      pair = new Pair(1)
      this.#levels.push(pair)
    }
    return pair
  }

  root(): Buffer {
    const peaks = this.peaks()
    return peaks.length === 0 ? sha256() : peaks.reduceRight((root, subtree) => sha256(NODE, subtree, root))
  }

  /** Subtree roots, largest first: what a segment header repeats. */
  peaks(): Buffer[] {
    const peaks: Buffer[] = []
    for (let rest = this.size, level = 0; rest > 0; rest = Math.floor(rest / 2), level++)
      if (rest % 2 === 1) peaks.unshift(Buffer.from(this.#level(level).left))
    return peaks
  }
}

const NODE = Buffer.of(1)

export interface PublicKey {
  readonly text: string
  readonly name: string
  readonly raw: Buffer
  /** Null: the line is not said to be of this key. */
  verifies(text: string, signatureLine: string): boolean | null
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
      if (signature === null || !signature.subarray(0, 4).equals(id)) return null
      return signature.length === 68 && verify(null, Buffer.from(body), key, signature.subarray(4))
    },
  }
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Text of bytes [from, to), null when they are not UTF-8. The lenient decoder needs no view; where it had to replace something, the strict one decides. */
export function utf8(bytes: Buffer, from: number, to: number): string | null {
  const text = bytes.toString('utf8', from, to)
  if (!text.includes('\ufffd')) return text
  try {
    return strictUtf8.decode(bytes.subarray(from, to))
  } catch {
    return null
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
  /** Positions of the keys that signed it. */
  readonly signers: readonly number[]
}

export interface Note {
  /** With its last newline. */
  readonly text: string
  readonly signatures: readonly string[]
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: a note has none but the newline (c2sp.org/signed-note)
const CONTROL = /[\x00-\x09\x0b-\x1f]/

const SIGNATURE = /^\u2014 [^ +]+ ([A-Za-z0-9+/]+={0,2})$/u
/** Key hash and a byte. */
const LEAST_SIGNATURE = 5

/** Whoever's it is: a line of another form is no signature anybody will ever know, and spoils the note. */
function isSignature(line: string): boolean {
  return (strictBase64(SIGNATURE.exec(line)?.[1] ?? '')?.length ?? 0) >= LEAST_SIGNATURE
}

/** Text, an empty line, signature lines; null for anything else. */
export function splitNote(note: string): Note | null {
  if (CONTROL.test(note)) return null
  const cut = note.lastIndexOf('\n\n')
  if (cut < 0 || !note.endsWith('\n')) return null
  const signatures = note.slice(cut + 2, -1).split('\n')
  return signatures.every(isSignature) ? { text: note.slice(0, cut + 1), signatures } : null
}

/** False when the key signed nothing here, and when a line said to be its own is not: that spoils the note. */
export function signedBy({ text, signatures }: Note, key: PublicKey): boolean {
  const said = signatures.map((line) => key.verifies(text, line))
  return said.includes(true) && !said.includes(false)
}

/** A C2SP checkpoint with a signature of at least one of the keys, or null. Extension lines and other signatures are allowed and ignored. */
export function readCheckpoint(note: string, keys: readonly PublicKey[]): Head | null {
  const parts = splitNote(note)
  const signers = parts ? [...keys.keys()].filter((at) => signedBy(parts, keys[at] as PublicKey)) : []
  if (!parts || signers.length === 0) return null
  if (keys.some((key) => parts.signatures.some((line) => key.verifies(parts.text, line) === false))) return null
  const [origin, size, root] = parts.text.split('\n')
  const hash = strictBase64(root ?? '')
  if (!origin || size === undefined || !/^[1-9][0-9]{0,15}$/.test(size) || !Number.isSafeInteger(Number(size)) || hash?.length !== 32)
    return null
  return { origin, size: Number(size), root: hash, signers }
}
