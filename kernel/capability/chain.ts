import type { Mac } from './mac.ts'
import type { Block, Token } from './token.ts'

/**
 * The HMAC chain of FORMAT.md. Each value is the key of the next, so a holder of the last can go on and nobody can go back.
 *   C0 = HMAC(K_run, "cap1" ‖ header)      C(i+1) = HMAC(Ci, 0x01 ‖ u32 len ‖ type ‖ payload)
 *   open tag = Cn      sealed tag = HMAC(Cn, 0x02 ‖ "seal")      id of block i = SHA-256("id" ‖ C(i+1))[:16]
 * The first byte separates the three uses of HMAC: "c" of "cap1", 0x01, 0x02.
 */
export const BLOCK_ID_BYTES = 16
const LABEL_HEADER = ascii('cap1')
const LABEL_SEAL = ascii('\x02seal')
const LABEL_ID = ascii('id')
const TAG_BLOCK = 0x01

/** The chain value a block gets on top of `previous`. */
export function nextChainValue(mac: Mac, previous: Uint8Array, block: Block): Uint8Array {
  const message = new Uint8Array(6 + block.payload.length)
  message[0] = TAG_BLOCK
  new DataView(message.buffer).setUint32(1, block.payload.length)
  message[5] = block.type
  message.set(block.payload, 6)
  return mac.keyed(previous)(message)
}

/** The chain value of a header. `runMac` is HMAC under K_run. */
export function firstChainValue(runMac: (message: Uint8Array) => Uint8Array, headerBytes: Uint8Array): Uint8Array {
  return runMac(concat(LABEL_HEADER, headerBytes))
}

/** The tag that ends a chain for good. */
export function sealTag(mac: Mac, last: Uint8Array): Uint8Array {
  return mac.keyed(last)(LABEL_SEAL)
}

/** One-way name of a block, 32 hex digits: it may be logged and revoked by, the chain value may not. */
export function blockId(mac: Mac, chainValue: Uint8Array): string {
  return hex(mac.digest(concat(LABEL_ID, chainValue)).subarray(0, BLOCK_ID_BYTES))
}

export interface VerifiedChain {
  /** Ids of the blocks, root first. */
  readonly ids: readonly string[]
  readonly sealed: boolean
}

/** Recomputes the chain and compares the tag, open first, then sealed; null when it is neither. Work is bounded by the token's own size. */
export function verifyChain(mac: Mac, runMac: (message: Uint8Array) => Uint8Array, token: Token): VerifiedChain | null {
  let value = firstChainValue(runMac, token.headerBytes)
  const values: Uint8Array[] = []
  for (const block of token.blocks) {
    value = nextChainValue(mac, value, block)
    values.push(value)
  }
  const open = mac.equal(value, token.tag)
  if (!open && !mac.equal(sealTag(mac, value), token.tag)) return null
  return { ids: values.map((each) => blockId(mac, each)), sealed: !open }
}

export function hex(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0')
  return text
}

/** Bytes of lower-case hex of exactly `bytes` bytes, or null. */
export function unhex(text: string, bytes: number): Uint8Array | null {
  if (text.length !== bytes * 2 || !/^[0-9a-f]*$/.test(text)) return null
  return Uint8Array.from({ length: bytes }, (_, i) => Number.parseInt(text.slice(i * 2, i * 2 + 2), 16))
}

function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0))
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const joined = new Uint8Array(a.length + b.length)
  joined.set(a)
  joined.set(b, a.length)
  return joined
}
