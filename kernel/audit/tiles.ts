/**
 * The tree of a log as C2SP tiles (c2sp.org/tlog-tiles): what makes a proof about one record of a million a matter of a few files.
 * Derived from the records, never trusted: every proof made from them is held against the signed root, and they can be made again at any time.
 */
import { joinPath, readWhole, writeFully } from './files.ts'
import type { AuditFs } from './fs.ts'
import { HASH_BYTES } from './hash.ts'
import { TILE_HEIGHT, TILE_WIDTH } from './limits.ts'
import { leafHash, nodeHash } from './merkle.ts'

/** Folder of the tiles inside a log, laid out as a tlog-tiles server would publish it. */
export const TILES_FOLDER = 'tlog'
const TILE_BYTES = TILE_WIDTH * HASH_BYTES

/** `tile/1/x001/234`, and `….p/7` for one of 7 hashes. */
export function tilePath(level: number, number: number, width: number): string {
  const groups: string[] = []
  for (let rest = number; groups.length === 0 || rest > 0; rest = Math.floor(rest / 1000))
    groups.unshift(`${groups.length === 0 ? '' : 'x'}${String(rest % 1000).padStart(3, '0')}`)
  return `tile/${level}/${groups.join('/')}${width === TILE_WIDTH ? '' : `.p/${width}`}`
}

/** Hashes at a level of tiles in a tree of `size` leaves. */
function hashesAt(level: number, size: number): number {
  return Math.floor(size / TILE_WIDTH ** level)
}

/** Writes tiles of everything fed to it. Nothing is synced: what a power cut takes is made again. */
export class TileWriter {
  readonly #fs: AuditFs
  readonly #folder: string
  readonly #made = new Set<string>()
  readonly #levels: { readonly hashes: Uint8Array[]; number: number }[] = []
  size = 0

  /** `folder` exists and is empty. */
  constructor(fs: AuditFs, folder: string) {
    this.#fs = fs
    this.#folder = folder
  }

  add(payload: Uint8Array): void {
    this.#push(0, leafHash(payload))
    this.size++
  }

  #push(level: number, hash: Uint8Array): void {
    const at = this.#levels[level] ?? { hashes: [], number: 0 }
    this.#levels[level] = at
    at.hashes.push(hash)
    if (at.hashes.length < TILE_WIDTH) return
    this.#write(tilePath(level, at.number, TILE_WIDTH), at.hashes)
    const root = perfectRoot(at.hashes)
    at.hashes.length = 0
    at.number++
    this.#push(level + 1, root)
  }

  /** Writes the partial tiles at the right edge. */
  finish(): void {
    this.#levels.forEach(({ hashes, number }, level) => {
      if (hashes.length > 0) this.#write(tilePath(level, number, hashes.length), hashes)
    })
  }

  #write(path: string, hashes: readonly Uint8Array[]): void {
    const parts = path.split('/')
    for (let i = 1; i < parts.length; i++) this.#folderOf(parts.slice(0, i).join('/'))
    const bytes = new Uint8Array(hashes.length * HASH_BYTES)
    hashes.forEach((hash, i) => void bytes.set(hash, i * HASH_BYTES))
    const fd = this.#fs.open(joinPath(this.#folder, path), 'create')
    try {
      writeFully(this.#fs, fd, bytes, 0)
    } finally {
      this.#fs.close(fd)
    }
  }

  #folderOf(path: string): void {
    if (this.#made.has(path)) return
    this.#made.add(path)
    const whole = joinPath(this.#folder, path)
    if (!this.#fs.lstat(whole)) this.#fs.makeFolder(whole)
  }
}

/** Root of a power of two of hashes. */
function perfectRoot(hashes: readonly Uint8Array[]): Uint8Array {
  let row = hashes
  while (row.length > 1) {
    const above: Uint8Array[] = []
    for (let i = 0; i + 1 < row.length; i += 2) above.push(nodeHash(row[i] as Uint8Array, row[i + 1] as Uint8Array))
    row = above
  }
  return row[0] as Uint8Array
}

/** Reads hashes and proofs of a tree of `size` leaves from its tiles. Throws RangeError when a tile is missing or has another length. */
export class TileReader {
  readonly #fs: AuditFs
  readonly #folder: string
  readonly size: number
  readonly #tiles = new Map<string, Uint8Array>()

  constructor(fs: AuditFs, folder: string, size: number) {
    this.#fs = fs
    this.#folder = folder
    this.size = size
  }

  /** Root of the tree of the first `size` leaves. */
  root(size = this.size): Uint8Array {
    return this.#range(0, size)
  }

  leaf(index: number): Uint8Array {
    return this.#node(0, index)
  }

  /** RFC 6962 2.1.1, nearest first. */
  inclusion(index: number): Uint8Array[] {
    if (!Number.isSafeInteger(index) || index < 0 || index >= this.size)
      throw new RangeError(`record ${index} is not in a tree of ${this.size}`)
    const proof: Uint8Array[] = []
    let [from, to] = [0, this.size]
    while (to - from > 1) {
      const middle = from + largestPower(to - from)
      if (index < middle) {
        proof.unshift(this.#range(middle, to))
        to = middle
      } else {
        proof.unshift(this.#range(from, middle))
        from = middle
      }
    }
    return proof
  }

  /** RFC 6962 2.1.2: that the first `size` leaves are a prefix. */
  consistency(size: number): Uint8Array[] {
    if (!Number.isSafeInteger(size) || size < 1 || size > this.size)
      throw new RangeError(`no consistency proof from ${size} to ${this.size}`)
    const proof: Uint8Array[] = []
    let [from, to, whole] = [0, this.size, true]
    while (to !== size) {
      const middle = from + largestPower(to - from)
      if (size <= middle) {
        proof.unshift(this.#range(middle, to))
        to = middle
      } else {
        proof.unshift(this.#range(from, middle))
        from = middle
        whole = false
      }
    }
    return whole ? proof : [this.#range(from, to), ...proof]
  }

  /** Hash over leaves [from, to): `from` is a multiple of the largest power of two in the length. */
  #range(from: number, to: number): Uint8Array {
    const length = to - from
    const half = length === 1 ? 1 : largestPower(length)
    if (length === 1) return this.#node(0, from)
    if (half * 2 === length) return this.#node(Math.round(Math.log2(length)), from / length)
    return nodeHash(this.#range(from, from + half), this.#range(from + half, to))
  }

  /** Root of the perfect subtree `index` of 2^level leaves. */
  #node(level: number, index: number): Uint8Array {
    const tileLevel = Math.floor(level / TILE_HEIGHT)
    const width = 2 ** (level % TILE_HEIGHT)
    const first = index * width
    const bytes = this.#tile(tileLevel, Math.floor(first / TILE_WIDTH))
    const at = (first % TILE_WIDTH) * HASH_BYTES
    if (at + width * HASH_BYTES > bytes.length) throw new RangeError('a tile is too short')
    return perfectRoot(Array.from({ length: width }, (_, i) => bytes.subarray(at + i * HASH_BYTES, at + (i + 1) * HASH_BYTES)))
  }

  #tile(level: number, number: number): Uint8Array {
    const width = Math.min(TILE_WIDTH, hashesAt(level, this.size) - number * TILE_WIDTH)
    const path = tilePath(level, number, width)
    const known = this.#tiles.get(path)
    if (known) return known
    const bytes = readWhole(this.#fs, joinPath(this.#folder, path), TILE_BYTES)
    if (!bytes || bytes.length !== width * HASH_BYTES) throw new RangeError(`the tile ${path} is missing or has another length`)
    this.#tiles.set(path, bytes)
    return bytes
  }
}

/** Largest power of two smaller than n (n ≥ 2). */
function largestPower(n: number): number {
  let k = 1
  while (k * 2 < n) k *= 2
  return k
}
