/** The file `checkpoints`, note by note. */
import { Input } from './input.ts'
import { MAX_NOTE } from './limits.ts'
import { type Head, type PublicKey, readCheckpoint, utf8 } from './primitives.ts'
import { hasLostSector } from './tail.ts'
import { Tampered } from './verdict.ts'

/** Bytes the file may have: far more checkpoints than a log of the largest size. */
const MAX_FILE = 64 * 1024 * 1024 * 1024

export class CheckpointReader {
  readonly path: string
  readonly #keys: readonly PublicKey[]
  readonly #input: Input | null
  #at = 0
  #next: Head | null = null
  #before = 0
  /** Bytes after the last whole note. */
  tornBytes = 0

  constructor(path: string, keys: readonly PublicKey[]) {
    this.path = path
    this.#keys = keys
    this.#input = Input.open(path, MAX_FILE)
    this.advance()
  }

  /** The next checkpoint not yet passed. */
  peek(): Head | null {
    return this.#next
  }

  advance(): void {
    this.#next = null
    const bytes = this.#input?.view(this.#at, 2 * MAX_NOTE)
    if (!bytes || bytes.length === 0) return
    const note = firstNote(bytes)
    const text = note && note.length < MAX_NOTE ? utf8(note, 0, note.length) : null
    const head = text === null ? null : readCheckpoint(text, this.#keys)
    if (!note || !head) {
      // One note at most is ever under way: a crash leaves it short, or with a sector of zeros, and nothing behind it.
      const whole = note ? bytes.subarray(0, note.length + 1) : bytes
      const torn = bytes.length <= MAX_NOTE && (!whole.toString('latin1').endsWith('\n\n') || hasLostSector(whole, this.#at))
      if (!torn) throw new Tampered('a checkpoint is not genuine', this.path, this.#at)
      this.tornBytes = bytes.length
      return
    }
    if (head.size <= this.#before)
      throw new Tampered(`a checkpoint of ${head.size} records follows one of ${this.#before}`, this.path, this.#at)
    this.#before = head.size
    this.#at += note.length + 1
    this.#next = head
  }

  close(): void {
    this.#input?.close()
  }
}

/** Text, an empty line, signatures, an empty line: the note without its last empty line. */
function firstNote(bytes: Buffer): Buffer | null {
  const text = bytes.indexOf('\n\n')
  if (text < 0) return null
  const end = bytes.indexOf('\n\n', text + 2)
  return end < 0 ? null : bytes.subarray(0, end + 1)
}
