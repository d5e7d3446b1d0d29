/**
 * The folder that a mounted file lies in: a virtio-fs device shows folders only. Init mounts the file out of it, and then nobody sees the folder any more. It answers without
 * a decision because it tells nothing: a name that is always the same, and attributes that are asked for again at once, which is decided.
 */
import { hostError } from '../errno.ts'
import type { Stat } from '../syscalls.ts'
import { attributes, empty, entry, type Reply } from './encode.ts'
import type { Body } from './messages.ts'
import { ROOT_NODE } from './nodes.ts'

/** The name of the file there (kernel/guest/init/fuse.c says the same). */
export const MOUNTED_FILE = 'file'
/** The guest's number of the mount's root. */
export const FILE_NODE = ROOT_NODE + 1
const NO_TIME = { s: 0, ns: 0 } as const
const NOTHING = { nlink: 1, size: 0, blocks: 0, atime: NO_TIME, btime: NO_TIME, ctime: NO_TIME, mtime: NO_TIME, dev: '' } as const
const FOLDER: Stat = { ...NOTHING, kind: 'directory', mode: 0o040755, ino: 1n }
const FILE: Stat = { ...NOTHING, kind: 'file', mode: 0o100000, ino: 2n }

/** The mount's own number of a node the guest names, or null for the folder. */
export function nodeOfFile(guest: number): number | null {
  if (guest === ROOT_NODE) return null
  // Whatever else it says stands for nothing.
  return guest === FILE_NODE ? ROOT_NODE : 0
}

export function answerOfFolder(body: Body): Reply {
  if (body.op === 'getattr') return attributes(FOLDER, 0)
  if (body.op === 'access') return empty()
  if (body.op === 'lookup' && body.name === MOUNTED_FILE) return entry(FILE_NODE, FILE, { name: 0, attributes: 0 })
  throw hostError(body.op === 'lookup' ? 'ENOENT' : 'EACCES', MOUNTED_FILE)
}
