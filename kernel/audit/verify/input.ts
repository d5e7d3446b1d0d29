/** Reading hostile files: never through a symbolic link, never a device or FIFO, never more memory than a window. */
import { closeSync, constants, type Dirent, fstatSync, lstatSync, opendirSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { MAX_NAMES, WINDOW } from './limits.ts'
import { Tampered, Unreadable } from './verdict.ts'

export class Input {
  readonly path: string
  readonly size: number
  readonly #fd: number
  #buffer = Buffer.alloc(0)
  #words = new Int32Array(0)
  /** Offset in the file of the first byte of the buffer. */
  #start = 0
  /** Sees every byte once, in order. */
  readonly #onBytes: ((bytes: Uint8Array) => void) | undefined

  private constructor(path: string, fd: number, size: number, onBytes: ((bytes: Uint8Array) => void) | undefined) {
    this.path = path
    this.#fd = fd
    this.size = size
    this.#onBytes = onBytes
  }

  /** Null when there is no such file. */
  static open(path: string, maxBytes: number, onBytes?: (bytes: Uint8Array) => void): Input | null {
    let fd: number
    try {
      fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    } catch (error) {
      const code = (error as { code?: unknown }).code
      if (code === 'ENOENT') return null
      if (code === 'ELOOP') throw new Tampered('a symbolic link stands where a file of the log belongs', path)
      throw new Unreadable(`it cannot be opened: ${String(code)}`, path)
    }
    const facts = fstatSync(fd)
    if (!facts.isFile() || facts.size > maxBytes) {
      closeSync(fd)
      throw new Tampered(
        facts.isFile() ? `it has ${facts.size} bytes; no file of a log has more than ${maxBytes}` : 'it is not a regular file',
        path,
      )
    }
    return new Input(path, fd, facts.size, onBytes)
  }

  /** Bytes [at, at + length) as a view that lives until the next call, fewer at the end of the file. `at` never goes back before an earlier `at`. */
  view(at: number, length: number): Buffer {
    const from = this.locate(at, length)
    return this.#buffer.subarray(from, from + length)
  }

  /** Makes the bytes [at, at + length) that the file has stand in `window` and returns where they begin there; both live until the next call. */
  locate(at: number, length: number): number {
    if (at + length > this.#start + this.#buffer.length) this.#fill(at, length)
    return at - this.#start
  }

  get window(): Buffer {
    return this.#buffer
  }
  /** The whole words of the window. */
  get words(): Int32Array {
    return this.#words
  }

  #fill(at: number, length: number): void {
    const kept = this.#buffer.subarray(at - this.#start)
    const next = Buffer.allocUnsafeSlow(Math.max(0, Math.min(Math.max(length, WINDOW), this.size - at)))
    kept.copy(next)
    let have = Math.min(kept.length, next.length)
    while (have < next.length) {
      const n = this.#read(next, have, at + have)
      if (n === 0) throw new Unreadable('it became shorter while it was read', this.path)
      this.#onBytes?.(next.subarray(have, have + n))
      have += n
    }
    this.#buffer = next
    this.#words = new Int32Array(next.buffer, 0, Math.floor(next.length / 4))
    this.#start = at
  }

  #read(into: Buffer, offset: number, position: number): number {
    try {
      return readSync(this.#fd, into, offset, into.length - offset, position)
    } catch (error) {
      throw new Unreadable(`it cannot be read: ${String((error as { code?: unknown }).code)}`, this.path)
    }
  }

  close(): void {
    closeSync(this.#fd)
  }
}

/** A small file as text of valid UTF-8; null when there is none. */
export function readSmall(path: string, maxBytes: number): Buffer | null {
  const input = Input.open(path, maxBytes)
  if (!input) return null
  try {
    return Buffer.from(input.view(0, input.size))
  } finally {
    input.close()
  }
}

/** Number of segment files; they must be 0…n−1 without a gap. */
export function countSegments(folder: string): number {
  if (!isFolder(folder)) throw new Unreadable('there is no audit log folder here', folder)
  let count = 0
  let largest = -1
  let names = 0
  let handle: ReturnType<typeof opendirSync>
  try {
    handle = opendirSync(folder)
  } catch (error) {
    throw new Unreadable(`the folder cannot be read: ${String((error as { code?: unknown }).code)}`, folder)
  }
  try {
    for (let entry = handle.readSync(); entry !== null; entry = handle.readSync()) {
      if (++names > MAX_NAMES) throw new Tampered(`the folder holds more than ${MAX_NAMES} names`, folder)
      if (!isFileOrFolder(entry, folder))
        throw new Tampered('a link, device, socket or FIFO stands in the folder of a log', join(folder, entry.name))
      const digits = /^seg-([0-9]{8})\.log$/.exec(entry.name)?.[1]
      if (digits === undefined) continue
      count++
      largest = Math.max(largest, Number(digits))
    }
  } finally {
    handle.closeSync()
  }
  if (largest !== count - 1) throw new Tampered(`there are ${count} segments and the last is number ${largest}: one is missing`, folder)
  return count
}

/** File systems that do not tell the kind of an entry are asked for it. */
function isFileOrFolder(entry: Dirent, folder: string): boolean {
  if (entry.isFile() || entry.isDirectory()) return true
  try {
    const facts = lstatSync(join(folder, entry.name))
    return facts.isFile() || facts.isDirectory()
  } catch {
    return true
  }
}

export function isFolder(path: string): boolean {
  try {
    return lstatSync(path).isDirectory()
  } catch {
    return false
  }
}
