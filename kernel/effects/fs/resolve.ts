/**
 * The check is the open: a path becomes a descriptor by one openat2 that cannot leave the mount, and everything decided or done afterwards is about that
 * descriptor. Bind mounts and other file systems below a mount are not part of it (NO_XDEV): what an operator wants inside, he mounts himself.
 */
import { hostError, refused } from './errno.ts'
import { MAX_LINKS, RESOLVE_TRIES } from './limits.ts'
import type { Mount, Mounts } from './mounts.ts'
import { type GuestPath, isWithin, join } from './path.ts'
import { O, RESOLVE, type Stat, type Sys, type Syscalls } from './syscalls.ts'

/** An existing object, held by an O_PATH descriptor. */
export interface HeldObject {
  readonly mount: Mount
  readonly fd: number
  /** Canonical guest path by which the kernel knew the descriptor. */
  readonly guest: string
  readonly stat: Stat
}

/** A name in a directory that is held by an O_PATH descriptor; whether something has that name is not known yet. */
export interface HeldName {
  readonly mount: Mount
  readonly parent: number
  readonly parentGuest: string
  readonly name: string
  readonly guest: string
}

/** Where a path leads that names nothing: decided like an object, so that existence is not learned through a symbolic link into a place out of reach. */
export interface Missing {
  readonly missing: string
  readonly guest: string
}

const INSIDE = RESOLVE.BENEATH | RESOLVE.NO_MAGICLINKS | RESOLVE.NO_XDEV

/** Opens below a directory descriptor; retries while a rename races with a `..`. */
export function openBeneath(sys: Syscalls, dir: number, path: string, flags: number, resolve: number): Sys<number> {
  for (let tries = 1; ; tries++) {
    const opened = sys.openat2(dir, path === '' ? '.' : path, flags | O.PATH | O.CLOEXEC, 0, INSIDE | resolve)
    if (opened.ok || opened.errno !== 'EAGAIN' || tries === RESOLVE_TRIES) return opened
  }
}

/** The mount a request is about and the rest of its path. Only after the requested path was allowed: throws E_NOT_FOUND, or EXDEV for `..` across mounts. */
export function locate(mounts: Mounts, path: GuestPath): { readonly mount: Mount; readonly rest: readonly string[] } {
  const mount = mounts.at(path.object)
  if (mount === undefined)
    throw hostError('ENOENT', path.text, 'No host mount covers this path; files of the image are opened inside the guest.')
  const depth = mount.guest.split('/').length - 1
  const root = `/${path.parts.slice(0, depth).join('/')}`
  if (root !== mount.guest) throw hostError('EXDEV', path.text, 'Name the target directly instead of through `..`.')
  return { mount, rest: path.parts.slice(depth) }
}

/**
 * @param follow whether a symbolic link at the end is followed
 * @param links whether symbolic links on the way are followed: never for changes
 * Throws AuthorityError for everything but an absence behind a symbolic link, which comes back as `Missing` to be decided first.
 */
export function holdObject(sys: Syscalls, mounts: Mounts, path: GuestPath, follow: boolean, links: boolean): HeldObject | Missing {
  const { mount, rest } = locate(mounts, path)
  if (mount.kind === 'file') return holdMountedFile(sys, mounts, mount, rest, path)
  const flags = follow ? 0 : sys.flags.NOFOLLOW
  const opened = openBeneath(sys, mount.root, rest.join('/'), flags, links ? 0 : RESOLVE.NO_SYMLINKS)
  if (opened.ok) return describe(sys, mounts, mount, opened.value, path.text)
  if (opened.errno === 'EXDEV') throw escapes(path.text)
  if (!links) throw opened.errno === 'ELOOP' ? linkOnTheWay(path.text) : hostError(opened.errno, path.text)
  const plain = openBeneath(sys, mount.root, rest.join('/'), sys.flags.NOFOLLOW, RESOLVE.NO_SYMLINKS)
  if (plain.ok) sys.close(plain.value)
  else if (plain.errno !== 'ELOOP') throw hostError(opened.errno, path.text)
  return { missing: opened.errno, guest: whereMissing(sys, mount, rest, path.text) }
}

/** A mounted file has no names below it: the descriptor is another one of the very file that was mounted. */
function holdMountedFile(sys: Syscalls, mounts: Mounts, mount: Mount, rest: readonly string[], path: GuestPath): HeldObject {
  if (rest.length > 0 || path.directory) throw hostError('ENOTDIR', path.text)
  const opened = sys.reopen(mount.root, O.PATH)
  if (!opened.ok) throw hostError(opened.errno, path.text)
  return describe(sys, mounts, mount, opened.value, path.text)
}

/** The directory of a change, held, and the name in it. Symbolic links on the way are refused. Throws AuthorityError. */
export function holdName(sys: Syscalls, mounts: Mounts, path: GuestPath): HeldName {
  const { mount, rest } = locate(mounts, path)
  const name = rest.at(-1)
  if (name === undefined) throw hostError('EBUSY', path.text, 'This is the mount itself.')
  if (name === '..') throw hostError('EINVAL', path.text, 'Name the entry itself, not `..`.')
  if (mount.kind === 'file') throw hostError('ENOTDIR', path.text)
  const opened = openBeneath(sys, mount.root, rest.slice(0, -1).join('/'), sys.flags.DIRECTORY, RESOLVE.NO_SYMLINKS)
  if (!opened.ok) {
    if (opened.errno === 'EXDEV') throw escapes(path.text)
    throw opened.errno === 'ELOOP' ? linkOnTheWay(path.text) : hostError(opened.errno, path.text)
  }
  try {
    const parentGuest = guestPathOf(sys, mount, opened.value, path.text)
    const guest = guestNameIn(mount, parentGuest, name, path.text)
    if (mounts.hides(mount, guest, false)) throw covered(path.text)
    return { mount, parent: opened.value, parentGuest, name, guest }
  } catch (error) {
    sys.close(opened.value)
    throw error
  }
}

/** What has this name now, held; null when nothing has. A symbolic link is held itself. Throws AuthorityError for everything else. */
export function holdEntry(sys: Syscalls, mounts: Mounts, at: HeldName, place: string): HeldObject | null {
  const opened = openBeneath(sys, at.parent, at.name, sys.flags.NOFOLLOW, RESOLVE.NO_SYMLINKS)
  if (opened.ok) return describe(sys, mounts, at.mount, opened.value, place)
  if (opened.errno === 'ENOENT') return null
  throw opened.errno === 'EXDEV' ? escapes(place) : hostError(opened.errno, place)
}

/** Takes over the descriptor: names and measures the object, or closes it and throws. */
export function describe(sys: Syscalls, mounts: Mounts, mount: Mount, fd: number, place: string, looking = false): HeldObject {
  try {
    return measure(sys, mounts, mount, fd, place, looking)
  } catch (error) {
    sys.close(fd)
    throw error
  }
}

/** Names and measures the object of a descriptor that stays the caller's. `looking`: the point another mount covers may be seen. Throws AuthorityError. */
export function measure(sys: Syscalls, mounts: Mounts, mount: Mount, fd: number, place: string, looking: boolean): HeldObject {
  const stat = sys.stat(fd, '')
  if (!stat.ok) throw hostError(stat.errno, place)
  const guest = guestPathOf(sys, mount, fd, place)
  if (stat.value.nlink === 0) throw hostError('ESTALE', place)
  if (mounts.hides(mount, guest, looking)) throw covered(place)
  return { mount, fd, guest, stat: stat.value }
}

/** The guest path of a held descriptor, from the kernel's own name for it. Throws when it lies outside the mount or was removed. */
export function guestPathOf(sys: Syscalls, mount: Mount, fd: number, place: string): string {
  const host = sys.pathOf(fd)
  if (!host.ok) throw hostError(host.errno, place)
  let root = mount.host
  if (!isWithin(host.value, root)) {
    const now = sys.pathOf(mount.root)
    if (!now.ok) throw hostError(now.errno, place)
    root = now.value
  }
  if (!isWithin(host.value, root)) throw escapes(place)
  if (host.value.endsWith(' (deleted)') && isDeleted(sys, mount, root, host.value, fd)) throw hostError('ESTALE', place)
  const rest = mount.spelling.path(root === '/' ? host.value.slice(1) : host.value.slice(root.length + 1), place)
  return rest === '' ? mount.guest : join(mount.guest, rest)
}

/** The guest path of a name in a folder: as the folder lists what has it. Throws AuthorityError. */
export function guestNameIn(mount: Mount, parentGuest: string, name: string, place: string): string {
  const folder = parentGuest === mount.guest ? '' : parentGuest.slice(mount.guest.length + 1)
  return join(parentGuest, mount.spelling.name(folder, name, place))
}

/** The kernel marks a removed name by text, which a real name may hold too: it is real when it leads to the same object. */
function isDeleted(sys: Syscalls, mount: Mount, root: string, host: string, fd: number): boolean {
  const again = openBeneath(sys, mount.root, host.slice(root === '/' ? 1 : root.length + 1), sys.flags.NOFOLLOW, RESOLVE.NO_SYMLINKS)
  if (!again.ok) return true
  const [there, here] = [sys.stat(again.value, ''), sys.stat(fd, '')]
  sys.close(again.value)
  return !(there.ok && here.ok && there.value.ino === here.value.ino && there.value.dev === here.value.dev)
}

/** Follows a path as far as it exists and returns the guest path of the first thing that does not. */
function whereMissing(sys: Syscalls, mount: Mount, parts: readonly string[], place: string): string {
  let rest = [...parts]
  for (let links = 0; links < MAX_LINKS; links++) {
    const { fd, used } = longestPrefix(sys, mount, rest, place)
    try {
      const here = guestPathOf(sys, mount, fd, place)
      const next = rest[used]
      if (next === undefined) return here
      if (next === '..') throw escapes(place)
      const link = openBeneath(sys, fd, next, sys.flags.NOFOLLOW, 0)
      if (!link.ok) return rest.slice(used).includes('..') ? join(here, next) : join(here, rest.slice(used).join('/'))
      const target = sys.readlink(link.value)
      sys.close(link.value)
      if (!target.ok) return join(here, next)
      if (target.value.startsWith('/')) throw escapes(place)
      const at = here === mount.guest ? [] : here.slice(mount.guest.length + 1).split('/')
      rest = [...at, ...target.value.split('/').filter((part) => part !== '' && part !== '.'), ...rest.slice(used + 1)]
    } finally {
      sys.close(fd)
    }
  }
  throw hostError('ELOOP', place)
}

/** The deepest existing directory on a path, links followed. The caller closes it. */
function longestPrefix(
  sys: Syscalls,
  mount: Mount,
  parts: readonly string[],
  place: string,
): { readonly fd: number; readonly used: number } {
  for (let used = parts.length; used >= 0; used--) {
    const opened = openBeneath(sys, mount.root, parts.slice(0, used).join('/'), sys.flags.DIRECTORY, 0)
    if (opened.ok) return { fd: opened.value, used }
  }
  throw hostError('EACCES', place)
}

function escapes(place: string) {
  return refused(
    place,
    'the path leaves the mount, or enters another file system below it',
    'Mount the target itself with -v, and name it by its own path.',
  )
}

export function covered(place: string) {
  return refused(place, 'another mount covers this path', 'Name the file by a path that does not pass through another mount.')
}

function linkOnTheWay(place: string) {
  return hostError('ELOOP', place, 'Changes do not follow symbolic links: name the real path.')
}
