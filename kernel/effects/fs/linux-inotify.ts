/** Changes in host folders by inotify(7), over bun:ffi. What it does not tell: writes through a shared mapping until that is closed, and changes made on another machine. */
import { dlopen, ptr } from 'bun:ffi'
import { type FolderChange, type Followed, parseChanges } from './changes.ts'
import { FOLLOW_BYTES, FOLLOW_READS } from './limits.ts'

/** linux/inotify.h */
const IN_MODIFY = 0x2
const IN_ATTRIB = 0x4
const IN_CLOSE_WRITE = 0x8
const IN_MOVED = 0xc0
const IN_CREATE = 0x100
const IN_DELETE = 0x200
const IN_ONLYDIR = 0x1000000
const WANTED = IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE | IN_MOVED | IN_CREATE | IN_DELETE | IN_ONLYDIR
/** IN_NONBLOCK | IN_CLOEXEC */
const INIT = 0o2004000

/** null where the host cannot, or has no more of them for this user. */
export function followFolders(): Followed | null {
  const libc = load()
  const fd = libc?.inotify_init1(INIT) ?? -1
  if (libc === null || fd < 0) return null
  const buffer = new Uint8Array(FOLLOW_BYTES)
  return {
    add(folder) {
      const watch = libc.inotify_add_watch(fd, ptr(Buffer.from(`/proc/self/fd/${folder}\0`)), WANTED)
      return watch < 0 ? null : watch
    },
    remove(watch) {
      libc.inotify_rm_watch(fd, watch)
    },
    take() {
      const changes: FolderChange[] = []
      for (let reads = 0; reads < FOLLOW_READS; reads++) {
        const got = Number(libc.read(fd, ptr(buffer), BigInt(buffer.byteLength)))
        if (got <= 0) break
        changes.push(...parseChanges(buffer.subarray(0, got)))
      }
      return changes
    },
    close() {
      libc.close(fd)
    },
  }
}

function load() {
  for (const library of ['libc.so.6', 'libc.musl-x86_64.so.1', 'libc.musl-aarch64.so.1']) {
    try {
      return dlopen(library, {
        inotify_init1: { args: ['i32'], returns: 'i32' },
        inotify_add_watch: { args: ['i32', 'ptr', 'u32'], returns: 'i32' },
        inotify_rm_watch: { args: ['i32', 'i32'], returns: 'i32' },
        read: { args: ['i32', 'ptr', 'u64'], returns: 'i64' },
        close: { args: ['i32'], returns: 'i32' },
      }).symbols
    } catch {
      // the next name
    }
  }
  return null
}
