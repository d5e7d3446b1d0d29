/** What is open by its number, in blocks: in one large map every change makes the garbage collector look at all of it again. */
const BLOCK = 256

export class OpenEffects<T> {
  readonly #blocks = new Map<number, Map<number, T>>()
  #size = 0

  get size(): number {
    return this.#size
  }

  get(seq: number): T | undefined {
    return this.#blocks.get(Math.floor(seq / BLOCK))?.get(seq)
  }

  /** `seq` is larger than all before. */
  add(seq: number, effect: T): void {
    const at = Math.floor(seq / BLOCK)
    let block = this.#blocks.get(at)
    if (block === undefined) {
      block = new Map()
      this.#blocks.set(at, block)
    }
    block.set(seq, effect)
    this.#size++
  }

  delete(seq: number): void {
    const at = Math.floor(seq / BLOCK)
    const block = this.#blocks.get(at)
    if (!block?.delete(seq)) return
    this.#size--
    if (block.size === 0) this.#blocks.delete(at)
  }

  /** In their order. */
  *[Symbol.iterator](): Generator<readonly [number, T]> {
    for (const block of this.#blocks.values()) yield* block
  }
}
