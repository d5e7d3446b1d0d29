/** RFC 6962 Merkle trees: hashes, the compact range a writer keeps, and proofs over leaf hashes in memory. */
import { HASH_BYTES, HashPair, sameBytes, sha256 } from './hash.ts'

const LEAF = 0x00
const NODE = 0x01

/** MTH of no leaves (RFC 6962 2.1). */
export const EMPTY_ROOT = sha256(new Uint8Array(0))

export function leafHash(data: Uint8Array): Uint8Array {
  const buffer = new Uint8Array(1 + data.length)
  buffer[0] = LEAF
  buffer.set(data, 1)
  return sha256(buffer)
}

/** Used by one call at a time: hashing is synchronous. */
const node = new HashPair(NODE)

export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  return node.hashOf(left, right)
}

/** Leaves a range takes in before it joins them: most replies then wait for none of that (some 5 µs once in so many records). */
const LEAVES_AT_ONCE = 32

/** The roots of the perfect subtrees a tree of some size consists of, largest first: all an appender needs. At most 53 hashes. */
export class CompactRange {
  /** Leaves that are joined. */
  #joined: number
  #depth: number
  /** Hash i stands on the left of pair i, where the one that will join it only has to be put beside it. */
  readonly #pairs: HashPair[] = []
  /** Leaves that are not joined yet. */
  #leaves: Uint8Array[] | null = null
  #waiting = 0

  /** Throws RangeError when the number of hashes is not that of the size. */
  constructor(size = 0, hashes: readonly Uint8Array[] = []) {
    if (hashes.length !== onesOf(size))
      throw new RangeError(`a compact range of ${size} leaves has ${onesOf(size)} hashes, not ${hashes.length}`)
    this.#joined = size
    this.#depth = hashes.length
    hashes.forEach((hash, i) => void this.#pair(i).left.set(hash))
  }

  get size(): number {
    return this.#joined + this.#waiting
  }

  get hashes(): readonly Uint8Array[] {
    this.#joinAll()
    return this.#pairs.slice(0, this.#depth).map(({ left }) => left.slice())
  }

  append(leaf: Uint8Array): void {
    this.#leaves ??= Array.from({ length: LEAVES_AT_ONCE }, () => new Uint8Array(HASH_BYTES))
    this.#leaves[this.#waiting++]?.set(leaf)
    if (this.#waiting === LEAVES_AT_ONCE) this.#joinAll()
  }

  #joinAll(): void {
    const leaves = this.#leaves ?? []
    for (let i = 0; i < this.#waiting; i++) this.#add(leaves[i] as Uint8Array)
    this.#waiting = 0
  }

  #add(leaf: Uint8Array): void {
    if (this.#joined % 2 === 0) this.#pair(this.#depth++).left.set(leaf)
    else this.#join(leaf)
    this.#joined++
  }

  /** The last hash is of one leaf, the one before it of two where the size in binary ends in 11, and so on. */
  #join(leaf: Uint8Array): void {
    let at = this.#depth - 1
    this.#pair(at).right.set(leaf)
    for (let s = (this.#joined - 1) / 2; s % 2 === 1; s = (s - 1) / 2, at--) this.#pair(at).hashInto(this.#pair(at - 1).right)
    this.#pair(at).hashInto(this.#pair(at).left)
    this.#depth = at + 1
  }

  root(): Uint8Array {
    const [last, ...larger] = this.hashes.toReversed()
    return last === undefined ? EMPTY_ROOT : larger.reduce((root, left) => nodeHash(left, root), last)
  }

  copy(): CompactRange {
    return new CompactRange(this.size, this.hashes)
  }

  #pair(i: number): HashPair {
    const known = this.#pairs[i]
    if (known !== undefined) return known
    const made = new HashPair(NODE)
    this.#pairs[i] = made
    return made
  }
}

function onesOf(size: number): number {
  let ones = 0
  for (let s = size; s > 0; s = Math.floor(s / 2)) ones += s % 2
  return ones
}

/** Largest power of two smaller than n (n ≥ 2). */
function split(n: number): number {
  let k = 1
  while (k * 2 < n) k *= 2
  return k
}

/** Root of leaf hashes (RFC 6962 2.1). */
export function rootOf(leaves: readonly Uint8Array[]): Uint8Array {
  const range = new CompactRange()
  for (const leaf of leaves) range.append(leaf)
  return range.root()
}

/** Audit path of a leaf (RFC 6962 2.1.1), nearest first. */
export function inclusionProof(index: number, leaves: readonly Uint8Array[]): Uint8Array[] {
  if (!Number.isInteger(index) || index < 0 || index >= leaves.length)
    throw new RangeError(`leaf ${index} is not in a tree of ${leaves.length}`)
  if (leaves.length === 1) return []
  const k = split(leaves.length)
  return index < k
    ? [...inclusionProof(index, leaves.slice(0, k)), rootOf(leaves.slice(k))]
    : [...inclusionProof(index - k, leaves.slice(k)), rootOf(leaves.slice(0, k))]
}

/** Proof that the tree of the first `size` leaves is a prefix (RFC 6962 2.1.2). size 0 proves nothing and is an error. */
export function consistencyProof(size: number, leaves: readonly Uint8Array[]): Uint8Array[] {
  if (!Number.isInteger(size) || size < 1 || size > leaves.length)
    throw new RangeError(`no consistency proof from size ${size} to ${leaves.length}`)
  return subproof(size, leaves, true)
}

function subproof(m: number, leaves: readonly Uint8Array[], whole: boolean): Uint8Array[] {
  if (m === leaves.length) return whole ? [] : [rootOf(leaves)]
  const k = split(leaves.length)
  return m <= k
    ? [...subproof(m, leaves.slice(0, k), whole), rootOf(leaves.slice(k))]
    : [...subproof(m - k, leaves.slice(k), false), rootOf(leaves.slice(0, k))]
}

/** RFC 9162 2.1.3.2. False for anything that does not fit exactly. */
export function verifyInclusion(index: number, size: number, leaf: Uint8Array, proof: readonly Uint8Array[], root: Uint8Array): boolean {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size) || index < 0 || index >= size) return false
  let fn = index
  let sn = size - 1
  let r = leaf
  for (const p of proof) {
    if (sn === 0 || p.length !== HASH_BYTES) return false
    if (fn % 2 === 1 || fn === sn) {
      r = nodeHash(p, r)
      while (fn % 2 === 0 && fn !== 0) {
        fn = fn / 2
        sn = Math.floor(sn / 2)
      }
    } else {
      r = nodeHash(r, p)
    }
    fn = Math.floor(fn / 2)
    sn = Math.floor(sn / 2)
  }
  return sn === 0 && sameBytes(r, root)
}

/** RFC 9162 2.1.4.2. size1 = 0 is an error, not a success. */
export function verifyConsistency(
  size1: number,
  size2: number,
  proof: readonly Uint8Array[],
  root1: Uint8Array,
  root2: Uint8Array,
): boolean {
  if (!Number.isSafeInteger(size1) || !Number.isSafeInteger(size2) || size1 < 1 || size2 < size1) return false
  if (size1 === size2) return proof.length === 0 && sameBytes(root1, root2)
  const path = isPowerOfTwo(size1) ? [root1, ...proof] : [...proof]
  const [first, ...rest] = path
  if (!first || proof.length === 0 || path.some((p) => p.length !== HASH_BYTES)) return false
  let fn = size1 - 1
  let sn = size2 - 1
  while (fn % 2 === 1) {
    fn = Math.floor(fn / 2)
    sn = Math.floor(sn / 2)
  }
  let fr = first
  let sr = first
  for (const c of rest) {
    if (sn === 0) return false
    if (fn % 2 === 1 || fn === sn) {
      fr = nodeHash(c, fr)
      sr = nodeHash(c, sr)
      while (fn % 2 === 0 && fn !== 0) {
        fn = fn / 2
        sn = Math.floor(sn / 2)
      }
    } else {
      sr = nodeHash(sr, c)
    }
    fn = Math.floor(fn / 2)
    sn = Math.floor(sn / 2)
  }
  return sn === 0 && sameBytes(fr, root1) && sameBytes(sr, root2)
}

function isPowerOfTwo(n: number): boolean {
  while (n % 2 === 0) n = n / 2
  return n === 1
}
