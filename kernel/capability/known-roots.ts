import type { BlockBody } from './blocks.ts'
import { MAX_KNOWN_ROOTS } from './limits.ts'
import { blockEnd, type Layout, NONCE_AT } from './token.ts'

/** A header and block 0 that were genuine. */
export interface KnownRoot {
  /** They, as they stand in every token that begins with them. */
  readonly bytes: Uint8Array
  /** Their chain value. */
  readonly value: Uint8Array
  /** What block 0 says. */
  readonly body: BlockBody
}

/**
 * Roots of at least two genuine tokens: each HMAC of a chain depends on nothing but what stands before it, so that tokens of one root share its value. Only whole
 * successes get in. A root's place is told by its nonce, which the gate drew and which gives its holder nothing; all of its bytes are compared in a time
 * that tells nothing of how much of a guess is right. It belongs to one run's key: each stage has its own.
 */
export class KnownRoots {
  readonly #roots: (KnownRoot | undefined)[] = new Array(MAX_KNOWN_ROOTS).fill(undefined)
  /** Part of the nonce of the last one there, remembered or not. */
  readonly #seen = new Int32Array(MAX_KNOWN_ROOTS)

  find({ bytes, blocks }: Layout): KnownRoot | undefined {
    const root = this.#roots[placeOf(bytes)]
    return root !== undefined && root.bytes.length === blockEnd(bytes, blocks[0] as number) && beginsWith(bytes, root.bytes)
      ? root
      : undefined
  }

  /** Whether another token of what seems to be this root was genuine before; from here on one was. */
  sawBefore({ bytes }: Layout): boolean {
    const place = placeOf(bytes)
    const nonce = nonceOf(bytes)
    if (this.#seen[place] === nonce) return true
    this.#seen[place] = nonce
    this.#forget(place)
    return false
  }

  add({ bytes, blocks }: Layout, value: Uint8Array, body: BlockBody): void {
    const place = placeOf(bytes)
    this.#forget(place)
    this.#roots[place] = { bytes: bytes.slice(0, blockEnd(bytes, blocks[0] as number)), value, body }
  }

  clear(): void {
    for (let place = 0; place < MAX_KNOWN_ROOTS; place++) this.#forget(place)
    this.#seen.fill(0)
  }

  #forget(place: number): void {
    this.#roots[place]?.value.fill(0)
    this.#roots[place] = undefined
  }
}

/** Looks at every byte, whichever differ. */
function beginsWith(bytes: Uint8Array, root: Uint8Array): boolean {
  let difference = 0
  for (let i = 0; i < root.length; i++) difference |= (bytes[i] as number) ^ (root[i] as number)
  return difference === 0
}

function placeOf(bytes: Uint8Array): number {
  return (bytes[NONCE_AT] as number) & (MAX_KNOWN_ROOTS - 1)
}

function nonceOf(bytes: Uint8Array): number {
  return (
    ((bytes[NONCE_AT] as number) << 24) |
    ((bytes[NONCE_AT + 1] as number) << 16) |
    ((bytes[NONCE_AT + 2] as number) << 8) |
    (bytes[NONCE_AT + 3] as number)
  )
}
