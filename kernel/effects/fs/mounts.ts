import { AuthorityError, MAX_MOUNTS } from '@authority/protocol'
import { refused } from './errno.ts'
import { FUSE_VALID_SECONDS } from './limits.ts'
import { isWithin, parseGuestPath } from './path.ts'
import { Spelling } from './spelling.ts'
import { O, type Stat, type Syscalls } from './syscalls.ts'

/** One `-v HOST:GUEST[:ro]`. */
export interface MountRequest {
  readonly guest: string
  /** A folder or a regular file. */
  readonly host: string
  readonly readonly: boolean
  /** Seconds the guest may keep attributes and names. */
  readonly cacheSeconds?: number
}

export interface Mount {
  /** Position in the list given; also the FUSE mount's number. */
  readonly number: number
  /** Canonical guest path. */
  readonly guest: string
  /** Real host path when the run began: for the operator, never for the agent. */
  readonly host: string
  readonly readonly: boolean
  readonly cacheSeconds: number
  /** Whether what changes on the host is to be taken back from the guest, which may then keep it longer. */
  readonly followed: boolean
  /** A file is mounted by its inode, as a bind mount is: its name in the guest cannot be replaced, and on the host it stays this file wherever it is moved. */
  readonly kind: 'folder' | 'file'
  /** O_PATH descriptor of the folder or file. */
  readonly root: number
  /** Readable descriptor of it; a folder's is locked for name changes. */
  readonly lock: number
  readonly spelling: Spelling
}

export interface MountOptions {
  /** `$AUTHORITY_HOME`: no mount may contain it or lie in it. */
  readonly home: string
  /** Policy and config files in use: never changed through a mount. Those that do not exist are skipped. */
  readonly protect?: readonly string[]
}

/** Where the image or the gate itself lives in the guest: a mount there would replace it. */
const RESERVED = ['/proc', '/sys', '/dev', '/ak', '/run/authority']

export class Mounts {
  readonly list: readonly Mount[]
  readonly #sys: Syscalls
  readonly #byDepth: readonly Mount[]
  readonly #protected: ReadonlySet<string>
  #open = true

  constructor(sys: Syscalls, list: readonly Mount[], protectedFiles: ReadonlySet<string>) {
    this.#sys = sys
    this.list = list
    this.#byDepth = [...list].sort((a, b) => b.guest.length - a.guest.length)
    this.#protected = protectedFiles
  }

  /** The mount whose ground a canonical guest path is: the longest prefix wins. */
  at(object: string): Mount | undefined {
    return this.#byDepth.find((mount) => isWithin(object, mount.guest))
  }

  /**
   * A guest path below a mount that lies inside another one names the inner mount's files. The outer mount's files of the same name cannot be told apart by policy,
   * so they are out of reach; the covering point itself may be looked at, the guest needs it to mount on.
   */
  hides(mount: Mount, guest: string, looking: boolean): boolean {
    const ground = this.at(guest)
    return ground !== mount && !(looking && ground?.guest === guest)
  }

  /** Whether this canonical guest path is a mounted file itself: it exists, and its name is not the agent's to make or change. */
  isFile(object: string): boolean {
    return this.list.some((mount) => mount.kind === 'file' && mount.guest === object)
  }

  isProtected(stat: Stat): boolean {
    return this.#protected.has(identity(stat))
  }

  close(): void {
    if (!this.#open) return
    this.#open = false
    for (const mount of this.list) {
      this.#sys.close(mount.root)
      this.#sys.close(mount.lock)
    }
  }
}

/** Throws AuthorityError E_CONFLICT or E_NOT_FOUND that names the mount and the fix; then nothing stays open. */
export function openMounts(sys: Syscalls, requests: readonly MountRequest[], options: MountOptions): Mounts {
  if (requests.length > MAX_MOUNTS)
    throw new AuthorityError('E_CONFLICT', `${requests.length} mounts: a run may have ${MAX_MOUNTS}`, {
      hint: 'Mount a common parent folder.',
    })
  const opened: Mount[] = []
  try {
    const ground = { home: realPath(sys, options.home), protected: identities(sys, options.protect ?? []) }
    for (const request of requests) opened.push(openMount(sys, request, opened, ground))
    return new Mounts(sys, opened, ground.protected)
  } catch (error) {
    for (const mount of opened) {
      sys.close(mount.root)
      sys.close(mount.lock)
    }
    throw error
  }
}

/** What no mount may overlap, and what none may let change. */
interface OutOfBounds {
  readonly home: string | null
  readonly protected: ReadonlySet<string>
}

function openMount(sys: Syscalls, request: MountRequest, before: readonly Mount[], { home, protected: inUse }: OutOfBounds): Mount {
  const place = `mount ${request.host}:${request.guest}`
  const guest = guestPoint(request.guest, place)
  if (before.some((other) => other.guest === guest))
    throw new AuthorityError('E_CONFLICT', `${place}: ${guest} is mounted twice`, { hint: 'Give each -v its own guest path.' })
  const root = sys.openat2(AT_FDCWD, request.host, O.PATH | O.CLOEXEC, 0, 0)
  if (!root.ok) {
    const why = root.errno === 'ENOENT' ? 'it does not exist on the host' : `it cannot be opened on the host (${root.errno})`
    throw new AuthorityError('E_NOT_FOUND', `${place}: ${why}`, { errno: root.errno, hint: 'Create it first, or check the -v option.' })
  }
  let lock: number | null = null
  try {
    const [host, stat] = [sys.pathOf(root.value), sys.stat(root.value, '')]
    // Decided before it is opened: opening a fifo or a device may wait or do something.
    const kind = stat.ok ? mountable(stat.value, place) : 'folder'
    const locked = sys.reopen(root.value, O.RDONLY | (kind === 'folder' ? sys.flags.DIRECTORY : 0))
    if (locked.ok) lock = locked.value
    if (!host.ok || !stat.ok || !locked.ok)
      throw new AuthorityError('E_IO', `${place}: it cannot be read on the host`, {
        errno: 'EACCES',
        hint: 'Its owner or permissions keep you out.',
      })
    if (home !== null && overlap(sys, host.value, home)) {
      throw new AuthorityError('E_CONFLICT', `${place}: overlaps $AUTHORITY_HOME (${home})`, {
        hint: 'The agent could rewrite its own keys and logs. Mount another folder.',
      })
    }
    if (kind === 'file' && !request.readonly && inUse.has(identity(stat.value)))
      throw new AuthorityError('E_CONFLICT', `${place}: this file decides what the run may do`, { hint: 'Mount it with :ro.' })
    const spelling = new Spelling(sys, root.value)
    return {
      number: before.length,
      guest,
      host: host.value,
      readonly: request.readonly,
      cacheSeconds: request.cacheSeconds ?? FUSE_VALID_SECONDS,
      followed: request.cacheSeconds === undefined && kind === 'folder' && spelling.own,
      kind,
      root: root.value,
      lock: locked.value,
      spelling,
    }
  } catch (error) {
    sys.close(root.value)
    if (lock !== null) sys.close(lock)
    throw error
  }
}

/** By their names, and by what they are: where names fold, or through a bind mount, one folder has several paths. */
function overlap(sys: Syscalls, one: string, other: string): boolean {
  if (isWithin(one, other) || isWithin(other, one)) return true
  const lies = (path: string, folder: string): boolean => {
    const at = sys.stat(AT_FDCWD, folder)
    const parts = path.split('/').filter((part) => part !== '')
    return (
      at.ok &&
      parts.some((_, depth) => {
        const above = sys.stat(AT_FDCWD, `/${parts.slice(0, depth + 1).join('/')}`)
        return above.ok && identity(above.value) === identity(at.value)
      })
    )
  }
  return lies(one, other) || lies(other, one)
}

function mountable(stat: Stat, place: string): Mount['kind'] {
  if (stat.kind === 'directory') return 'folder'
  if (stat.kind === 'file') return 'file'
  throw new AuthorityError('E_CONFLICT', `${place}: neither a folder nor a regular file`, {
    errno: 'EINVAL',
    hint: 'Devices, fifos and sockets are never mounted.',
  })
}

const AT_FDCWD = -100

function guestPoint(text: string, place: string): string {
  const path = parseGuestPath(text)
  if (path.object === '/' || path.parts.includes('..')) {
    throw new AuthorityError('E_CONFLICT', `${place}: the guest path must be absolute, without .. and not /`, {
      hint: 'For example -v ./project:/work',
    })
  }
  const reserved = RESERVED.find((root) => isWithin(path.object, root) || isWithin(root, path.object))
  if (reserved !== undefined) throw refused(place, `${reserved} belongs to the machine`, 'Choose another guest path, for example /work.')
  return path.object
}

function realPath(sys: Syscalls, path: string): string | null {
  const opened = sys.openat2(AT_FDCWD, path, O.PATH | O.CLOEXEC, 0, 0)
  if (!opened.ok) {
    if (opened.errno === 'ENOENT') return null
    throw new AuthorityError('E_IO', `${path}: cannot be opened (${opened.errno})`, { errno: opened.errno })
  }
  const real = sys.pathOf(opened.value)
  sys.close(opened.value)
  if (!real.ok) throw new AuthorityError('E_IO', `${path}: has no path (${real.errno})`, { errno: real.errno })
  return real.value
}

function identities(sys: Syscalls, paths: readonly string[]): ReadonlySet<string> {
  const found = new Set<string>()
  for (const path of paths) {
    const opened = sys.openat2(AT_FDCWD, path, O.PATH | O.CLOEXEC, 0, 0)
    if (!opened.ok) continue
    const stat = sys.stat(opened.value, '')
    sys.close(opened.value)
    if (stat.ok) found.add(identity(stat.value))
  }
  return found
}

/** What makes two names the same file. */
export function identity(stat: Stat): string {
  return `${stat.dev}:${stat.ino}`
}
