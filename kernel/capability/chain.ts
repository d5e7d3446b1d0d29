import type { Mac } from './mac.ts'
import { BLOCK_HEADER_BYTES, type Block, blockEnd, blockType, type Layout, TAG_BYTES } from './token.ts'

/**
 * The HMAC chain of FORMAT.md. Each value is the key of the next, so a holder of the last can go on and nobody can go back.
 *   C0 = HMAC(K_run, "cap1" ‖ header ‖ block 0)      Ci = HMAC(C(i-1), 0x01 ‖ u32 len ‖ type ‖ payload)
 *   open tag = the last C      sealed tag = HMAC(the last C, 0x02 ‖ "seal")      id of block i = SHA-256("id" ‖ Ci)[:16]
 * The first byte separates the three uses of HMAC: "c" of "cap1", 0x01, 0x02.
 */
export const BLOCK_ID_BYTES = 16
const VALUE_WORDS = TAG_BYTES / 4
const LABEL_ROOT = ascii('cap1')
const LABEL_SEAL = ascii('\x02seal')
const LABEL_ID = ascii('id')

/** 0x01 ‖ u32 len ‖ type of the block at hand. */
const BLOCK_HEAD = Uint8Array.of(0x01, 0, 0, 0, 0, 0)

/** The chain value a block gets on top of `previous`. */
export function nextChainValue(mac: Mac, previous: Uint8Array, block: Block): Uint8Array {
  return mac.hmac(previous, headOf(block.type, block.payload.length), block.payload)
}

/** The chain value of a header and block 0, as they stand in the token. */
export function rootChainValue(mac: Mac, runKey: Uint8Array, root: Uint8Array): Uint8Array {
  return mac.hmac(runKey, LABEL_ROOT, root)
}

/** The tag that ends a chain for good. */
export function sealTag(mac: Mac, last: Uint8Array): Uint8Array {
  return mac.hmac(last, LABEL_SEAL)
}

/** One-way name of a block, 32 hex digits: it may be logged and revoked by, the chain value may not. */
export function blockId(mac: Mac, chainValue: Uint8Array): string {
  mac.chain.begin(chainValue)
  return mac.chain.name(LABEL_ID)
}

export interface VerifiedChain {
  /** The chain value of each block, root first, one after the other: with one of them its block can be extended. */
  readonly values: Uint32Array<ArrayBuffer>
  readonly sealed: boolean
}

/**
 * Recomputes the chain and compares the tag, open first, then sealed; null when it is neither. Work is bounded by the token's own size.
 * `root`: the value of its header and block 0, where it is known.
 */
export function verifyChain(mac: Mac, runKey: Uint8Array, { bytes, blocks }: Layout, root?: Uint8Array): VerifiedChain | null {
  const { chain } = mac
  const tagAt = bytes.length - TAG_BYTES
  const values = new Uint32Array(blocks.length * VALUE_WORDS)
  chain.begin(root ?? runKey)
  if (root === undefined) chain.next(LABEL_ROOT, bytes, 0, blockEnd(bytes, blocks[0] as number))
  chain.read(values, 0)
  for (let i = 1; i < blocks.length; i++) {
    const at = blocks[i] as number
    const from = at + BLOCK_HEADER_BYTES
    const to = blockEnd(bytes, at)
    chain.next(headOf(blockType(bytes, at), to - from), bytes, from, to)
    chain.read(values, i * VALUE_WORDS)
  }
  if (chain.equals(bytes, tagAt)) return { values, sealed: false }
  chain.next(LABEL_SEAL, bytes, 0, 0)
  return chain.equals(bytes, tagAt) ? { values, sealed: true } : null
}

/** Ids of the blocks, root first. */
export function idsOf(mac: Mac, { values }: VerifiedChain): readonly string[] {
  return Array.from({ length: values.length / VALUE_WORDS }, (_, i) => blockId(mac, chainValueOf(values, i)))
}

/** The bytes of the chain value of one block. They are erased with `values`. */
export function chainValueOf(values: Uint32Array<ArrayBuffer>, block: number): Uint8Array {
  return new Uint8Array(values.buffer, block * TAG_BYTES, TAG_BYTES)
}

/** Good until it is called again. */
function headOf(type: number, length: number): Uint8Array {
  BLOCK_HEAD[1] = length >>> 24
  BLOCK_HEAD[2] = length >>> 16
  BLOCK_HEAD[3] = length >>> 8
  BLOCK_HEAD[4] = length
  BLOCK_HEAD[5] = type
  return BLOCK_HEAD
}

/** Bytes of lower-case hex of exactly `bytes` bytes, or null. */
export function unhex(text: string, bytes: number): Uint8Array | null {
  if (text.length !== bytes * 2 || !/^[0-9a-f]*$/.test(text)) return null
  return Uint8Array.from({ length: bytes }, (_, i) => Number.parseInt(text.slice(i * 2, i * 2 + 2), 16))
}

function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0))
}
