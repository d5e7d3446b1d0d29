/** What a name change carries with it: everything below a directory gets a new name too, and a new name is a new decision. */
import type { Question } from '../../vocabulary/index.ts'
import { hostError, refused } from './errno.ts'
import { entriesOf } from './execute/look.ts'
import { MAX_MOVED_ENTRIES } from './limits.ts'
import type { Mount } from './mounts.ts'
import { ask, type FsContext } from './object.ts'
import { isWithin, join } from './path.ts'
import { type HeldObject, openBeneath } from './resolve.ts'
import { O, RESOLVE } from './syscalls.ts'

/** One entry below a directory that moves. */
interface Moved {
  /** Path below the directory. */
  readonly path: string
  /** Text of a symbolic link, or null. */
  readonly target: string | null
}

/** Reading the source is asked where its new name may be read: writing somewhere must not end in reading it. */
export function readsOnward(context: FsContext, from: string, to: string): Question[] {
  return context.peek === undefined || context.peek({ action: 'fs.read', object: to }) ? ask(['fs.read'], from) : []
}

/** What must be allowed so that `from` may be called `to`. */
export function moveQuestions(context: FsContext, from: string, to: string): Question[] {
  return [...ask(['fs.write'], from), ...ask(['fs.write'], to), ...readsOnward(context, from, to)]
}

/** The questions about every entry below a directory, under its old and new name. */
export function movedQuestions(context: FsContext, moved: readonly Moved[], from: string, to: string): Question[] {
  return moved.flatMap((entry) => moveQuestions(context, join(from, entry.path), join(to, entry.path)))
}

/** Whether two listings of the same directory are the same: what was decided is still all there is. */
export function sameEntries(a: readonly Moved[], b: readonly Moved[]): boolean {
  const known = new Map(a.map((entry) => [entry.path, entry.target]))
  return a.length === b.length && b.every((entry) => known.has(entry.path) && known.get(entry.path) === entry.target)
}

/**
 * Everything below a directory, in bounded number. Throws AuthorityError with EXDEV when there is more, or a name that cannot be decided: on it programs
 * copy instead, file by file.
 */
export function entriesBelow(context: FsContext, held: HeldObject, place: string): readonly Moved[] {
  const { sys } = context
  if (held.stat.kind === 'symlink') return []
  if (held.stat.kind !== 'directory') return []
  const found: Moved[] = []
  const waiting = ['']
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const dir = openBeneath(sys, held.fd, path, sys.flags.DIRECTORY | sys.flags.NOFOLLOW, RESOLVE.NO_SYMLINKS)
    if (!dir.ok) throw hostError(dir.errno === 'EXDEV' ? 'EBUSY' : dir.errno, place)
    try {
      const list = sys.reopen(dir.value, O.RDONLY | sys.flags.DIRECTORY)
      if (!list.ok) throw hostError(list.errno, place)
      try {
        for (const entry of entriesOf(sys, list.value, 0n, place, { all: true })) {
          if (found.length === MAX_MOVED_ENTRIES)
            throw hostError('EXDEV', place, `More than ${MAX_MOVED_ENTRIES} entries would get a new name at once: copy and remove instead.`)
          const below = path === '' ? entry.name : `${path}/${entry.name}`
          const stat = sys.stat(list.value, entry.name)
          if (!stat.ok) throw hostError('EAGAIN', place)
          found.push({ path: below, target: stat.value.kind === 'symlink' ? linkText(context, list.value, entry.name, place) : null })
          if (stat.value.kind === 'directory') waiting.push(below)
        }
      } finally {
        sys.close(list.value)
      }
    } finally {
      sys.close(dir.value)
    }
  }
  return found
}

/** Text of the link `name` in `dir`. */
function linkText(context: FsContext, dir: number, name: string, place: string): string {
  const { sys } = context
  const link = openBeneath(sys, dir, name, sys.flags.NOFOLLOW, RESOLVE.NO_SYMLINKS)
  if (!link.ok) throw hostError('EAGAIN', place)
  const text = sys.readlink(link.value)
  sys.close(link.value)
  if (!text.ok) throw hostError(text.errno === 'EILSEQ' ? 'EXDEV' : 'EAGAIN', place)
  return text.value
}

/** No symbolic link may lead out of the mount at its new place. Throws AuthorityError E_POLICY_DENY. */
export function assertLinksStay(
  context: FsContext,
  held: HeldObject,
  moved: readonly Moved[],
  toParent: string,
  to: string,
  mount: Mount,
  place: string,
): void {
  const check = (target: string | null, parent: string): void => {
    if (target !== null && escapesMount(target, mount, parent)) {
      throw refused(
        place,
        'a symbolic link would lead out of the mount from its new place',
        'Remove the link first and make it anew where it belongs.',
        'EPERM',
      )
    }
  }
  if (held.stat.kind === 'symlink') {
    const text = context.sys.readlink(held.fd)
    if (!text.ok) throw hostError(text.errno, place)
    check(text.value, toParent)
  }
  for (const entry of moved) {
    const slash = entry.path.lastIndexOf('/')
    check(entry.target, slash < 0 ? to : join(to, entry.path.slice(0, slash)))
  }
}

/**
 * Whether a link's text could lead out of the mount for anybody who follows it. `..` only at the start, and no more of them than the directory is deep: behind a
 * name they would step out of wherever that name, perhaps a link itself, leads to. An absolute target means another place on the host than in the guest, except on a
 * folder that is mounted where it is.
 */
export function escapesMount(target: string, mount: Mount, parentGuest: string): boolean {
  if (target === '') return true
  if (target.startsWith('/')) return mount.host !== mount.guest || target.split('/').includes('..') || !isWithin(target, mount.guest)
  const depth = parentGuest === mount.guest ? 0 : parentGuest.slice(mount.guest.length + 1).split('/').length
  const parts = target.split('/').filter((part) => part !== '' && part !== '.')
  const ups = parts.findIndex((part) => part !== '..')
  const leading = ups < 0 ? parts.length : ups
  return leading > depth || parts.slice(leading).includes('..')
}
