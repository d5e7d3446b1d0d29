import { AuthorityError, OPEN_FLAGS, RENAME_FLAGS, type WireValue } from '@authority/protocol'
import { invalid } from './errors.ts'
import { File } from './file.ts'
import { DEFAULT_MAX_BYTES, DIRECTORY_PAGE, MAX_DIRECTORY_ENTRIES, MAX_EMPTY_PAGES } from './limits.ts'
import type { Scope } from './scope.ts'
import type { CallOptions } from './wait.ts'

/** As everywhere: `r` reads, `w` writes from empty, `a` appends, `x` writes and must create; `+` reads and writes. */
export type OpenMode = 'r' | 'r+' | 'w' | 'w+' | 'a' | 'a+' | 'x' | 'x+'
export type FileKind = 'file' | 'directory' | 'symlink' | 'other'

export interface OpenOptions extends CallOptions {
  /** Permission bits of a file that is created; default 0o644. */
  readonly mode?: number | undefined
}
export interface ReadFileOptions extends CallOptions {
  /** Bytes at most, E_FRAME_TOO_LARGE beyond; default 64 MiB. */
  readonly maxBytes?: number | undefined
}
export interface Stat {
  readonly kind: FileKind
  /** Bytes. */
  readonly size: number
  readonly mode: number
  /** µs since the epoch. */
  readonly mtimeUs: number
  readonly nlink: number
}
export interface DirectoryEntry {
  readonly name: string
  readonly kind: FileKind
}
export interface RenameOptions extends CallOptions {
  /** Fail with E_EXISTS where the new name is taken. */
  readonly noReplace?: boolean | undefined
  /** Swap the two names. */
  readonly exchange?: boolean | undefined
}

const { READ, WRITE, APPEND, CREATE, EXCLUSIVE, TRUNCATE } = OPEN_FLAGS
const MODES: Readonly<Record<OpenMode, number>> = {
  r: READ,
  'r+': READ | WRITE,
  w: WRITE | CREATE | TRUNCATE,
  'w+': READ | WRITE | CREATE | TRUNCATE,
  a: WRITE | APPEND | CREATE,
  'a+': READ | WRITE | APPEND | CREATE,
  x: WRITE | CREATE | EXCLUSIVE,
  'x+': READ | WRITE | CREATE | EXCLUSIVE,
}

/** Files on the mounts of the run, each change a request to the gate. Paths are absolute, as the agent sees them. */
export class Files {
  readonly #scope: Scope

  constructor(scope: Scope) {
    this.#scope = scope
  }

  async open(path: string, mode: OpenMode = 'r', options?: OpenOptions): Promise<File> {
    const flags = Object.hasOwn(MODES, mode) ? MODES[mode] : undefined
    if (flags === undefined) throw invalid(`${JSON.stringify(mode)} is no way to open a file; use one of ${Object.keys(MODES).join(', ')}`)
    const [file, size] = await this.#scope.call('fs.open', [path, flags, options?.mode ?? 0o644], options)
    return new File(this.#scope, path, file as number, size as number)
  }

  async readFile(path: string, options?: ReadFileOptions): Promise<Uint8Array> {
    const most = options?.maxBytes ?? DEFAULT_MAX_BYTES
    const file = await this.open(path, 'r', options)
    try {
      const tooLarge = (): AuthorityError =>
        new AuthorityError('E_FRAME_TOO_LARGE', `${path} holds more than ${most} bytes: open it and read parts`)
      if (file.size > most) throw tooLarge()
      const data = await file.read(most + 1, options)
      if (data.length > most) throw tooLarge()
      return data
    } finally {
      await file.close()
    }
  }

  /** As `readFile`, as UTF-8. Throws E_CONFLICT when it is none. */
  async readText(path: string, options?: ReadFileOptions): Promise<string> {
    return decodeText(await this.readFile(path, options), path)
  }

  /** Replaces the file's content, creating it where it is not there. */
  async writeFile(path: string, data: Uint8Array | string, options?: OpenOptions): Promise<void> {
    await this.#put(path, 'w', data, options)
  }

  async appendFile(path: string, data: Uint8Array | string, options?: OpenOptions): Promise<void> {
    await this.#put(path, 'a', data, options)
  }

  async readdir(path: string, options?: CallOptions): Promise<DirectoryEntry[]> {
    const all: DirectoryEntry[] = []
    let empty = 0
    for (let cursor = 0; ; ) {
      const [entries, next] = (await this.#scope.call('fs.readdir', [path, cursor, DIRECTORY_PAGE], options)) as readonly [
        readonly (readonly [string, string])[],
        number,
      ]
      for (const [name, kind] of entries) all.push({ name, kind: kindOf(kind) })
      if (next === 0) return all
      empty = entries.length === 0 ? empty + 1 : 0
      if (all.length > MAX_DIRECTORY_ENTRIES || empty > MAX_EMPTY_PAGES)
        throw new AuthorityError('E_FRAME_TOO_LARGE', `${path} holds more than ${MAX_DIRECTORY_ENTRIES} names`)
      cursor = next
    }
  }

  /** A final symlink is not followed. */
  async stat(path: string, options?: CallOptions): Promise<Stat> {
    const [kind, size, mode, mtimeUs, nlink] = (await this.#scope.call('fs.stat', [path], options)) as readonly [
      string,
      number,
      number,
      number,
      number,
    ]
    return { kind: kindOf(kind), size, mode, mtimeUs, nlink }
  }

  async mkdir(path: string, options?: OpenOptions): Promise<void> {
    await this.#scope.call('fs.mkdir', [path, options?.mode ?? 0o755], options)
  }

  /** Removes an empty directory. */
  rmdir(path: string, options?: CallOptions): Promise<void> {
    return this.#change('fs.rmdir', [path], options)
  }

  unlink(path: string, options?: CallOptions): Promise<void> {
    return this.#change('fs.unlink', [path], options)
  }

  async rename(from: string, to: string, options?: RenameOptions): Promise<void> {
    const flags = (options?.noReplace ? RENAME_FLAGS.NOREPLACE : 0) | (options?.exchange ? RENAME_FLAGS.EXCHANGE : 0)
    await this.#change('fs.rename', [from, to, flags], options)
  }

  truncate(path: string, size: number, options?: CallOptions): Promise<void> {
    return this.#change('fs.truncate', [path, size], options)
  }

  chmod(path: string, mode: number, options?: CallOptions): Promise<void> {
    return this.#change('fs.chmod', [path, mode], options)
  }

  /** µs since the epoch; null leaves a time as it is. */
  utimens(path: string, atimeUs: number | null, mtimeUs: number | null, options?: CallOptions): Promise<void> {
    return this.#change('fs.utimens', [path, atimeUs, mtimeUs], options)
  }

  /** Makes `path` a symbolic link that says `target`. */
  symlink(path: string, target: string, options?: CallOptions): Promise<void> {
    return this.#change('fs.symlink', [path, target], options)
  }

  /** Makes `to` another name of the file `from`. */
  link(from: string, to: string, options?: CallOptions): Promise<void> {
    return this.#change('fs.link', [from, to], options)
  }

  async readlink(path: string, options?: CallOptions): Promise<string> {
    const [target] = (await this.#scope.call('fs.readlink', [path], options)) as readonly [string]
    return target
  }

  /** Resolves when the host has the directory's names on stable storage. */
  fsyncdir(path: string, options?: CallOptions): Promise<void> {
    return this.#change('fs.fsyncdir', [path], options)
  }

  async #put(path: string, mode: OpenMode, data: Uint8Array | string, options: OpenOptions | undefined): Promise<void> {
    const file = await this.open(path, mode, options)
    try {
      await file.write(data, options)
    } finally {
      await file.close()
    }
  }

  async #change(operation: Parameters<Scope['call']>[0], args: readonly WireValue[], options: CallOptions | undefined): Promise<void> {
    await this.#scope.call(operation, args, options)
  }
}

export function decodeText(data: Uint8Array, what: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(data)
  } catch (cause) {
    throw new AuthorityError('E_CONFLICT', `${what} is not UTF-8 text`, { cause })
  }
}

/** A kind a newer gate may know is `other` here. */
function kindOf(kind: string): FileKind {
  return kind === 'file' || kind === 'directory' || kind === 'symlink' ? kind : 'other'
}
