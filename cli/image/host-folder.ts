import { lstatSync, readdirSync, readlinkSync } from 'node:fs'
import { dirname, isAbsolute, join, relative, resolve } from 'node:path'
import { dirEntry, type Entry, fileEntry, fileTime, hostFile, symlinkEntry } from './entries.ts'
import { errnoOf, ImageError } from './errors.ts'
import { MAX_DEPTH, MAX_PROGRAM_BYTES, MAX_PROGRAM_ENTRIES } from './limits.ts'
import { joinPath } from './tree.ts'

export interface FolderOptions {
  /** Names that are left out wherever they occur. */
  readonly skip?: readonly string[]
  /** What the folder is, for messages: `the program folder`. */
  readonly what: string
}

/** Never part of an agent: byte code that may be stale, version control, and an interpreter for another machine. */
export const SKIPPED_NAMES: readonly string[] = [
  '__pycache__',
  '.git',
  '.hg',
  '.svn',
  '.venv',
  '.DS_Store',
  '.mypy_cache',
  '.pytest_cache',
  '.ruff_cache',
]

/**
 * A host folder as entries below `guestPath`, in byte order of the names whatever the host's file system answers. Owner becomes root and
 * write permission for others goes, since the image is read-only; execute bits and times stay.
 * Refused with an ImageError: symlinks that leave the folder, devices, sockets, FIFOs, names that are not UTF-8, and too much of anything.
 */
export function* folderEntries(root: string, guestPath: string, options: FolderOptions): Generator<Entry> {
  const skip = new Set(options.skip ?? [])
  const bounds = { entries: 0, bytes: 0 }
  yield* walk(resolve(root), resolve(root), guestPath, skip, bounds, options.what, 0)
}

function* walk(
  root: string,
  dir: string,
  guest: string,
  skip: ReadonlySet<string>,
  bounds: { entries: number; bytes: number },
  what: string,
  depth: number,
): Generator<Entry> {
  if (depth > MAX_DEPTH) throw new ImageError('too-big', `${what} ${root} is nested deeper than ${MAX_DEPTH} folders`)
  // a folder's time changes with every byte code cache written into it and means nothing to a program
  yield dirEntry(guest)
  for (const name of names(dir)) {
    if (skip.has(name)) continue
    const path = join(dir, name)
    const at = joinPath(guest, name)
    if (++bounds.entries > MAX_PROGRAM_ENTRIES)
      throw new ImageError('too-big', `${what} ${root} holds more than ${MAX_PROGRAM_ENTRIES} files`, {
        hint: 'give the agent its data with a mount (-v) instead of building it in',
      })
    const each = lstatSync(path, { bigint: true })
    if (each.isDirectory()) yield* walk(root, path, at, skip, bounds, what, depth + 1)
    else if (each.isSymbolicLink()) yield symlinkEntry(at, insideTarget(root, path, what), fileTime(each.mtimeNs))
    else if (each.isFile()) {
      const file = hostFile(path)
      bounds.bytes += file.content.size
      if (bounds.bytes > MAX_PROGRAM_BYTES)
        throw new ImageError('too-big', `${what} ${root} holds more than ${MAX_PROGRAM_BYTES} bytes`, {
          hint: 'give the agent its data with a mount (-v) instead of building it in',
        })
      yield fileEntry(at, file.content, (file.mode & 0o111) !== 0 ? 0o755 : 0o644, file.mtime)
    } else
      throw new ImageError('bad-input', `${path} is a device, socket or FIFO, which an image cannot hold`, {
        hint: `remove it from ${root}`,
      })
  }
}

function names(dir: string): readonly string[] {
  let raw: Buffer[]
  try {
    raw = readdirSync(dir, { encoding: 'buffer' })
  } catch (error) {
    throw new ImageError('host-io', `${dir} cannot be listed: ${errnoOf(error)}`, { cause: error })
  }
  return [...raw].sort(Buffer.compare).map((bytes) => {
    const name = bytes.toString('utf8')
    if (!Buffer.from(name).equals(bytes))
      throw new ImageError('bad-input', `${dir} holds a file whose name is not UTF-8 (${bytes.toString('hex')})`, { hint: 'rename it' })
    return name
  })
}

/** A link's target when it stays in the folder. Judged by its text and then by each link on the way: what it points at is in the image or nothing is. */
function insideTarget(root: string, path: string, what: string): string {
  const target = readlinkSync(path)
  const lands = isAbsolute(target) ? target : resolve(dirname(path), target)
  const from = relative(root, lands)
  if (isAbsolute(target) || from === '..' || from.startsWith('../'))
    throw new ImageError('bad-input', `${path} is a symlink that leaves ${what} (to ${target})`, {
      hint: 'copy what it points to into the folder, or remove the link',
    })
  return target
}
