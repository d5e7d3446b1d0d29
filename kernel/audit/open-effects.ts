/** What is open by its number, in blocks: in one large map every change makes the garbage collector look at all of it again. */
const BLOCK = 256

interface Block<T> {
  /** Number of its first place. */
  readonly first: number
  readonly places: (T | undefined)[]
  open: number
}

export class OpenEffects<T> {
  readonly #blocks = new Map<number, Block<T>>()
  /** That of the largest number. It stays when nothing of it is open: most effects end before the next begins. */
  #newest: Block<T> = { first: Number.NEGATIVE_INFINITY, places: [], open: 0 }
  #size = 0

  get size(): number {
    return this.#size
  }

  get(seq: number): T | undefined {
    const block = this.#blockOf(seq)
    return block?.places[seq - block.first]
  }

  /** `seq` is larger than all before. */
  add(seq: number, effect: T): void {
    const first = seq - (seq % BLOCK)
    if (this.#newest.first !== first) this.#begin(first)
    this.#newest.places[seq - first] = effect
    this.#newest.open++
    this.#size++
  }

  delete(seq: number): void {
    const block = this.#blockOf(seq)
    if (block?.places[seq - block.first] === undefined) return
    block.places[seq - block.first] = undefined
    block.open--
    this.#size--
    if (block.open === 0 && block !== this.#newest) this.#blocks.delete(block.first)
  }

  /** In their order. */
  *[Symbol.iterator](): Generator<readonly [number, T]> {
    for (const { first, places } of this.#blocks.values())
      for (const [at, effect] of places.entries()) if (effect !== undefined) yield [first + at, effect]
  }

  #begin(first: number): void {
    if (this.#newest.open === 0) this.#blocks.delete(this.#newest.first)
    this.#newest = { first, places: new Array<T | undefined>(BLOCK).fill(undefined), open: 0 }
    this.#blocks.set(first, this.#newest)
  }

  #blockOf(seq: number): Block<T> | undefined {
    const first = seq - (seq % BLOCK)
    return this.#newest.first === first ? this.#newest : this.#blocks.get(first)
  }
}
