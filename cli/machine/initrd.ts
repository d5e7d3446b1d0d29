import { AuthorityError } from '@authority/protocol'
import { MAX_INIT_BYTES, MAX_KERNEL_BYTES } from './limits.ts'

/**
 * The initial file system of the guest as a `newc` cpio archive (Linux Documentation/driver-api/early-userspace/buffer-format.rst):
 * `/init`, `/modules/*.ko` and `/modules/list` (one file name a line, in loading order). Same inputs, same bytes: no times, owners or inode numbers of the host.
 */

export interface ModuleFile {
  /** File name without a folder, e.g. `erofs.ko`. */
  readonly name: string
  readonly bytes: Uint8Array
}

interface Entry {
  readonly path: string
  /** st_mode, type bits included. */
  readonly mode: number
  readonly bytes: Uint8Array
}

const DIRECTORY = 0o040755
const FILE = 0o100644
const PROGRAM = 0o100755
const EMPTY = new Uint8Array(0)

/** The archive. Throws E_FRAME_TOO_LARGE for an init or archive past its bound, E_CONFLICT for a module name that is not a plain, unique `*.ko`. */
export function buildInitrd(init: Uint8Array, modules: readonly ModuleFile[]): Uint8Array {
  if (init.length === 0) throw new AuthorityError('E_CONFLICT', 'the init program is empty')
  if (init.length > MAX_INIT_BYTES)
    throw new AuthorityError('E_FRAME_TOO_LARGE', `the init program has ${init.length} bytes, more than ${MAX_INIT_BYTES}`)
  checkNames(modules)
  const list = new TextEncoder().encode(modules.map((module) => `${module.name}\n`).join(''))
  const entries: Entry[] = [
    { path: 'init', mode: PROGRAM, bytes: init },
    { path: 'modules', mode: DIRECTORY, bytes: EMPTY },
    { path: 'modules/list', mode: FILE, bytes: list },
    ...modules.map((module) => ({ path: `modules/${module.name}`, mode: FILE, bytes: module.bytes })),
    { path: 'TRAILER!!!', mode: 0, bytes: EMPTY },
  ]
  return writeCpio(entries)
}

function checkNames(modules: readonly ModuleFile[]): void {
  const seen = new Set<string>()
  for (const { name } of modules) {
    if (!/^[A-Za-z0-9_-]{1,100}\.ko$/.test(name) || seen.has(name))
      throw new AuthorityError('E_CONFLICT', `\`${name}\` cannot be a module of the initial file system`)
    seen.add(name)
  }
}

function writeCpio(entries: readonly Entry[]): Uint8Array {
  const size = entries.reduce((sum, entry) => sum + entrySize(entry), 0)
  if (size > MAX_KERNEL_BYTES)
    throw new AuthorityError('E_FRAME_TOO_LARGE', `the initial file system has ${size} bytes, more than ${MAX_KERNEL_BYTES}`)
  const out = new Uint8Array(size)
  let at = 0
  entries.forEach((entry, index) => {
    out.set(header(entry, index + 1), at)
    at = align(at + HEADER_BYTES + entry.path.length + 1)
    out.set(entry.bytes, at)
    at = align(at + entry.bytes.length)
  })
  return out
}

const HEADER_BYTES = 110

function entrySize(entry: Entry): number {
  return align(HEADER_BYTES + entry.path.length + 1) + align(entry.bytes.length)
}

function align(bytes: number): number {
  return (bytes + 3) & ~3
}

/** Header and name: magic, then 13 fields of 8 hex digits. */
function header(entry: Entry, inode: number): Uint8Array {
  const links = entry.mode === DIRECTORY ? 2 : 1
  const ino = entry.mode === 0 ? 0 : inode
  const fields = [ino, entry.mode, 0, 0, links, 0, entry.bytes.length, 0, 0, 0, 0, entry.path.length + 1, 0]
  return new TextEncoder().encode(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}${entry.path}`)
}
