/** What the verifier itself brings along: checkpoints it saw earlier. They alone can show that a whole history was written anew with the real key. */
import { cosignedBy, type Witness } from './cosignature.ts'
import { type Head, type PublicKey, readCheckpoint } from './primitives.ts'
import { Tampered } from './verdict.ts'

export class Anchors {
  readonly #heads: (Head & { readonly witnessed: boolean })[]
  readonly #key: PublicKey
  used = 0
  /** Anchors that held and that a witness cosigned. */
  witnessed = 0

  /** Notes in the form of a signed checkpoint each. Throws Tampered for one that this key did not sign. */
  constructor(notes: readonly string[], key: PublicKey, witnesses: readonly Witness[]) {
    this.#key = key
    this.#heads = notes
      .map((note) => {
        const head = readCheckpoint(note, [key])
        if (!head) throw new Tampered(`a remembered checkpoint is not signed by ${key.name}: the key is another, or the note was changed`)
        return { ...head, witnessed: witnesses.some((witness) => cosignedBy(note, witness)) }
      })
      .sort((a, b) => a.size - b.size)
  }

  /** Call after each record of a log. */
  at(origin: string | null, size: number, root: () => Buffer): void {
    for (let head = this.#heads[0]; head && head.size <= size; head = this.#heads[0]) {
      if (head.origin !== origin) break
      this.#heads.shift()
      if (head.size < size || !head.root.equals(root()))
        throw new Tampered(
          `the remembered checkpoint of ${head.size} records has another root: this history was written anew`,
          null,
          null,
          head.size - 1,
        )
      this.used++
      if (head.witnessed) this.witnessed++
    }
  }

  finish(origin: string | null, size: number): void {
    const left = this.#heads[0]
    if (!left) return
    if (left.origin !== origin)
      throw new Tampered(`a remembered checkpoint is of the log ${left.origin}, not of ${origin ?? 'this one'} (key ${this.#key.name})`)
    throw new Tampered(`a remembered checkpoint has ${left.size} records and there are ${size}: records are missing`)
  }
}
