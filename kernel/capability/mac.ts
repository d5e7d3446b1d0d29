import { hmac } from '@noble/hashes/hmac.js'
import { sha256 } from '@noble/hashes/sha2.js'

/** What tokens need of cryptography: HMAC-SHA256, SHA-256, and a comparison whose time tells nothing. */
export interface Mac {
  /** Of `head ‖ body` under a 32-byte key: 32 fresh bytes. */
  hmac(key: Uint8Array, head: Uint8Array, body?: Uint8Array): Uint8Array
  digest(message: Uint8Array): Uint8Array
  /** Where to look for these bytes: u32, the same for the same seed and bytes. No proof of anything, whoever finds something there compares. */
  fingerprint(bytes: Uint8Array, seed: number): number
  equal(a: Uint8Array, b: Uint8Array): boolean
  /** HMACs of which each is the key of the next. Whoever begins one has it until it returns to its own caller: nothing of it may be awaited. */
  readonly chain: MacChain
}

export interface MacChain {
  /** The first key, 32 bytes: copied. */
  begin(key: Uint8Array): void
  /** The value so far becomes the key of `head ‖ bytes[from…to)`, and the result the value. */
  next(head: Uint8Array, bytes: Uint8Array, from: number, to: number): void
  /** Copies the value's bytes to the eight words of `into` from `at` on, as they stand in memory. */
  read(into: Uint32Array, at: number): void
  /** The first 16 bytes of the SHA-256 of `label ‖ value`, in lower-case hex. A label has at most MAX_LABEL bytes. */
  name(label: Uint8Array): string
  /** Whether the bytes from `at` to the end are the value, in a time that tells nothing. */
  equals(bytes: Uint8Array, at: number): boolean
}

/** Bytes of a label. */
export const MAX_LABEL = 4

/** Runs anywhere JavaScript does: for attenuation in agents and tools, and as the oracle of the gate's native one (mac-bun.ts). */
export const portableMac: Mac = {
  hmac: portableHmac,
  digest: (message) => sha256(message),
  fingerprint: (bytes, seed) =>
    new DataView(
      sha256
        .create()
        .update(Uint8Array.of(seed >>> 24, seed >>> 16, seed >>> 8, seed))
        .update(bytes)
        .digest().buffer,
    ).getUint32(0),
  equal,
  chain: portableChain(),
}

function portableChain(): MacChain {
  let value: Uint8Array = new Uint8Array()
  return {
    begin: (key) => {
      value = key.slice()
    },
    next: (head, bytes, from, to) => {
      value = portableHmac(value, head, bytes.subarray(from, to))
    },
    read: (into, at) => new Uint8Array(into.buffer, into.byteOffset + at * 4, value.length).set(value),
    name: (label) => hex(sha256.create().update(label).update(value).digest().subarray(0, 16)),
    equals: (bytes, at) => equal(value, bytes.subarray(at)),
  }
}

function portableHmac(key: Uint8Array, head: Uint8Array, body: Uint8Array = new Uint8Array()): Uint8Array {
  return hmac.create(sha256, key).update(head).update(body).digest()
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  let difference = 0
  for (let i = 0; i < a.length; i++) difference |= (a[i] ?? 0) ^ (b[i] ?? 0)
  return difference === 0
}

export function hex(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0')
  return text
}
