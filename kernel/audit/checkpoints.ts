/** The file `checkpoints` of a log: signed notes, each followed by an empty line, in the order they were made. */
import { auditError, ioError } from './errors.ts'
import { checkFile, hasLostSector, joinPath, readRange, writeFully } from './files.ts'
import type { AuditFs } from './fs.ts'
import { MAX_NOTE_BYTES } from './limits.ts'
import { type Checkpoint, type NoteVerifier, openCheckpoint } from './note.ts'

export const CHECKPOINTS_FILE = 'checkpoints'
const NEWLINE = 0x0a

/** Appends notes to the file, each durable when `add` returns. */
export class CheckpointFile {
  readonly #fs: AuditFs
  readonly #path: string
  readonly #fd: number
  #offset: number

  private constructor(fs: AuditFs, path: string, fd: number, offset: number) {
    this.#fs = fs
    this.#path = path
    this.#fd = fd
    this.#offset = offset
  }

  /** An empty file; the caller syncs the folder. */
  static create(fs: AuditFs, folder: string): CheckpointFile {
    const path = joinPath(folder, CHECKPOINTS_FILE)
    try {
      return new CheckpointFile(fs, path, fs.open(path, 'create'), 0)
    } catch (error) {
      throw ioError('make', path, error)
    }
  }

  /** Continues at `end`; what lies after it is cut off. */
  static resume(fs: AuditFs, folder: string, end: number): CheckpointFile {
    const path = joinPath(folder, CHECKPOINTS_FILE)
    let fd = -1
    try {
      fd = fs.open(path, 'write')
      if (checkFile(fs, fd, path).size !== end) {
        fs.truncate(fd, end)
        fs.datasync(fd)
      }
      return new CheckpointFile(fs, path, fd, end)
    } catch (error) {
      if (fd >= 0) fs.close(fd)
      throw ioError('open', path, error)
    }
  }

  add(note: string): void {
    const bytes = new TextEncoder().encode(`${note}\n`)
    try {
      writeFully(this.#fs, this.#fd, bytes, this.#offset)
      this.#fs.datasync(this.#fd)
    } catch (error) {
      throw ioError('write', this.#path, error)
    }
    this.#offset += bytes.length
  }

  close(): void {
    this.#fs.close(this.#fd)
  }
}

export interface LastCheckpoint {
  readonly checkpoint: Checkpoint | null
  /** The signed note of it, byte for byte. */
  readonly note: string | null
  /** Bytes up to the end of the last whole note; what follows is a torn one. */
  readonly end: number
  readonly torn: Uint8Array
}

/** The last whole note of the file, checked against the key. Throws E_AUDIT when it is there and not genuine. */
export function lastCheckpoint(fs: AuditFs, folder: string, verifier: NoteVerifier): LastCheckpoint {
  const path = joinPath(folder, CHECKPOINTS_FILE)
  if (!fs.lstat(path)) return { checkpoint: null, note: null, end: 0, torn: new Uint8Array(0) }
  const fd = fs.open(path, 'read')
  try {
    const { size } = checkFile(fs, fd, path)
    const from = Math.max(0, size - 3 * MAX_NOTE_BYTES)
    const bytes = readRange(fs, fd, from, size)
    const { checkpoint, note, end } = lastGenuine(bytes, from === 0, verifier)
    const torn = bytes.slice(end)
    if (!isTornNote(torn, from + end)) throw new RangeError(`its last ${torn.length} bytes are no checkpoint of ${verifier.name}`)
    if (checkpoint === null && from > 0) throw new RangeError('there is none near its end')
    return { checkpoint, note, end: from + end, torn }
  } catch (error) {
    if (error instanceof RangeError)
      throw auditError(`The last checkpoint in ${path} is not genuine: ${error.message}.`, `Look with: authority audit verify ${folder}`)
    throw ioError('read', path, error)
  } finally {
    fs.close(fd)
  }
}

/** One note at most is ever under way: its bytes end early, or a sector of them is lost. */
function isTornNote(bytes: Uint8Array, offset: number): boolean {
  if (bytes.length === 0) return true
  const ends = bytes.length > 1 && bytes[bytes.length - 1] === NEWLINE && bytes[bytes.length - 2] === NEWLINE
  return bytes.length <= MAX_NOTE_BYTES && (!ends || hasLostSector(bytes, offset))
}

/** A note is two parts separated by an empty line, the second of signature lines, and an empty line ends it. */
function lastGenuine(bytes: Uint8Array, whole: boolean, verifier: NoteVerifier): Omit<LastCheckpoint, 'torn'> {
  const parts = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1').split('\n\n')
  for (let i = parts.length - 2; i >= (whole ? 1 : 2); i--) {
    const note = Buffer.from(`${parts[i - 1]}\n\n${parts[i]}\n`, 'latin1').toString('utf8')
    const end = parts.slice(0, i + 1).join('\n\n').length + 2
    const checkpoint = opened(note, verifier)
    if (checkpoint) return { checkpoint, note, end }
  }
  return { checkpoint: null, note: null, end: 0 }
}

function opened(note: string, verifier: NoteVerifier): Checkpoint | null {
  try {
    return openCheckpoint(note, verifier)
  } catch (error) {
    if (error instanceof RangeError) return null
    throw error
  }
}
