/** What the verifier itself brings along: checkpoints it saw earlier. They alone can show that a whole history was written anew with the real key. */
import { cosignedBy, type Witness } from './cosignature.ts'
import { type Head, type PublicKey, readCheckpoint } from './primitives.ts'
import { Tampered } from './verdict.ts'

export class Anchors {
  readonly #heads: (Head & { readonly witnessed: boolean })[]
  readonly #name: string
  used = 0
  /** Anchors that held and that a witness cosigned. */
  witnessed = 0

  /** Notes in the form of a signed checkpoint each. Throws Tampered for one that none of these keys, which have one name, signed. */
  constructor(notes: readonly string[], keys: readonly PublicKey[], witnesses: readonly Witness[]) {
    this.#name = keys[0]?.name ?? ''
    this.#heads = notes
      .map((note) => {
        // As the file `checkpoints` holds it, an empty line may follow.
        const head = readCheckpoint(note.endsWith('\n\n') ? note.slice(0, -1) : note, keys)
        if (!head) throw new Tampered(`a remembered checkpoint is not signed by ${this.#name}: the key is another, or the note was changed`)
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
      throw new Tampered(`a remembered checkpoint is of the log ${left.origin}, not of ${origin ?? 'this one'} (key ${this.#name})`)
    throw new Tampered(`a remembered checkpoint has ${left.size} records and there are ${size}: records are missing`)
  }
}
