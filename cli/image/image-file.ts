import { createHash, randomBytes } from 'node:crypto'
import { closeSync, constants, fstatSync, fsyncSync, mkdirSync, openSync, readSync, renameSync, rmSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { type Entry, fileEntry, symlinkEntry } from './entries.ts'
import { ErofsReader } from './erofs/reader.ts'
import { fileSink, writeErofs } from './erofs/writer.ts'
import { errnoOf, ImageError } from './errors.ts'
import { COPY_CHUNK_BYTES, MAX_IMAGE_BYTES } from './limits.ts'
import type { TreeNode } from './tree.ts'

/** An image on the host's disk. */
export interface ImageFile {
  readonly path: string
  /** SHA-256 of the whole file, hex. */
  readonly sha256: string
  /** Bytes. */
  readonly size: number
}

/** An image that is open, its digest checked against the descriptor that will be used. The caller closes it. */
export interface OpenImage extends ImageFile {
  readonly fd: number
  readonly reader: ErofsReader
  close(): void
}

/** Runs `write` on a new file beside `path` and gives it its name only when everything is on disk: nothing half-made is ever seen. Mode 0600, folders 0700. */
export function writeAtomically<T>(path: string, write: (fd: number) => T): T {
  const dir = dirname(path)
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 })
    const fd = openSync(temporary, 'wx', 0o600)
    let result: T
    try {
      result = write(fd)
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
    renameSync(temporary, path)
    syncDir(dir)
    return result
  } catch (error) {
    rmSync(temporary, { force: true })
    if (error instanceof ImageError) throw error
    const code = errnoOf(error)
    throw new ImageError('host-io', `${path} cannot be written: ${code}`, {
      hint:
        code === 'ENOSPC' || code === 'EDQUOT'
          ? 'free some space, or set AUTHORITY_HOME to a larger disk'
          : 'check the folder and its permissions',
      cause: error,
    })
  }
}

function syncDir(dir: string): void {
  const fd = openSync(dir, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** Writes a tree as an image file, whole or not at all. */
export function writeImageFile(path: string, root: TreeNode): ImageFile {
  return writeAtomically(path, (fd) => {
    const { sha256, size } = writeErofs(
      root,
      fileSink(fd, path, (to, piece) => writeSync(to, piece)),
    )
    return { path, sha256, size }
  })
}

/**
 * Opens an image and checks that it is the one that was built: hashes the descriptor and compares. Everything later (the reader, the VM's disk)
 * must use this descriptor. Throws ImageError `not-found`, or `corrupt` when the file was changed.
 */
export function openChecked(file: ImageFile): OpenImage {
  let fd: number
  try {
    fd = openSync(file.path, constants.O_RDONLY | constants.O_NOFOLLOW)
  } catch (error) {
    const code = errnoOf(error)
    throw new ImageError(code === 'ENOENT' ? 'not-found' : 'host-io', `the image file ${file.path} cannot be opened: ${code}`, {
      hint: 'build it again',
      cause: error,
    })
  }
  try {
    const size = fstatSync(fd).size
    if (size !== file.size || size > MAX_IMAGE_BYTES || hashOf(fd, size) !== file.sha256)
      throw new ImageError('corrupt', `the image file ${file.path} is not the one that was built: its digest differs`, {
        hint: 'someone or something changed it; build it again, and find out why if it was not you',
      })
    return { ...file, fd, reader: new ErofsReader(fd, file.sha256), close: closer(fd) }
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

/** Closing twice must not close a descriptor somebody else got in between. */
function closer(fd: number): () => void {
  let open = true
  return () => {
    if (open) closeSync(fd)
    open = false
  }
}

function hashOf(fd: number, size: number): string {
  const hash = createHash('sha256')
  const buffer = Buffer.alloc(Math.min(COPY_CHUNK_BYTES, size))
  for (let done = 0; done < size; ) {
    const got = readSync(fd, buffer, 0, buffer.length, done)
    if (got === 0) break
    hash.update(buffer.subarray(0, got))
    done += got
  }
  return hash.digest('hex')
}

/** An image's content as entries of a layer; the image must stay open until they are written. */
export function* imageEntries(reader: ErofsReader): Generator<Entry> {
  for (const { path, stat } of reader.walk()) {
    const { mode, uid, gid, mtime } = stat
    if (stat.kind === 'dir') yield { kind: 'dir', path, mode, uid, gid, mtime }
    else if (stat.kind === 'file') yield { ...fileEntry(path, reader.contentOfNid(stat.nid), mode, mtime), uid, gid }
    else yield { ...symlinkEntry(path, reader.readlink(stat.nid), mtime), mode, uid, gid }
  }
}
