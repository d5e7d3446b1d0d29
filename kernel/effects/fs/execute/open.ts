import { AuthorityError, OPEN_FLAGS } from '@authority/protocol'
import type { ByteLease, Permit, PreparedEffect } from '../../contract.ts'
import { hostError, refused } from '../errno.ts'
import { FileHandle } from '../handle.ts'
import { changeNames } from '../name-lock.ts'
import {
  ask,
  askCrossed,
  assertChangeable,
  assertPlainMode,
  assertWritableMount,
  effect,
  type FsContext,
  isMissing,
  type NameRef,
  type ObjectRef,
  openActions,
  reads,
  writes,
} from '../object.ts'
import { type HeldName, type HeldObject, holdEntry, type Missing } from '../resolve.ts'
import { O, RESOLVE, type Stat } from '../syscalls.ts'
import { openingCharges } from '../worst-case.ts'

export interface OpenRequest {
  /** OPEN_FLAGS */
  readonly flags: number
  readonly mode: number
  /** O_SYNC or O_DSYNC was asked for. */
  readonly sync?: boolean
  /** Takes the open file; returns its number on the wire. May throw E_RATE_LIMIT: then the file is closed again. */
  keep(handle: FileHandle, stat: Stat, guest: string): number
}

/** What an opening holds between decision and act: the file, or the name it will get. */
interface Target {
  readonly name: HeldName | null
  readonly object: HeldObject | Missing | null
  readonly guest: string
}

/** Opens an existing regular file. Result: [file, size]. */
export function openObject(context: FsContext, ref: ObjectRef, request: OpenRequest): PreparedEffect {
  const change = writes(request.flags)
  return open(
    context,
    ref,
    request,
    () => {
      const object = ref.hold(change ? 'change' : 'read')
      return { name: null, object, guest: object.guest }
    },
    (target) => {
      if (target.object !== null && !isMissing(target.object)) ref.letGo(target.object)
    },
  )
}

/** Opens or creates a regular file by its name in a held directory. Result: [file, size]. */
export function openName(context: FsContext, ref: NameRef, request: OpenRequest): PreparedEffect {
  return open(
    context,
    ref,
    request,
    () => {
      const name = ref.hold()
      try {
        return { name, object: holdEntry(context.sys, context.mounts, name, ref.text), guest: name.guest }
      } catch (error) {
        ref.letGo(name)
        throw error
      }
    },
    (target) => {
      if (target.object !== null && !isMissing(target.object)) context.sys.close(target.object.fd)
      if (target.name !== null) ref.letGo(target.name)
    },
  )
}

function open(
  context: FsContext,
  ref: ObjectRef | NameRef,
  request: OpenRequest,
  hold: () => Target,
  letGo: (target: Target) => void,
): PreparedEffect {
  const actions = openActions(request.flags)
  if (
    (request.flags & (OPEN_FLAGS.READ | OPEN_FLAGS.WRITE)) === 0 ||
    (request.flags & (OPEN_FLAGS.APPEND | OPEN_FLAGS.TRUNCATE) && !(request.flags & OPEN_FLAGS.WRITE))
  ) {
    throw new AuthorityError('E_CONFLICT', `${ref.text}: these open flags do not go together`, {
      errno: 'EINVAL',
      hint: 'READ or WRITE is needed; APPEND and TRUNCATE need WRITE.',
    })
  }
  assertPlainMode(request.mode, ref.text)
  return effect<Target>({
    text: ref.text,
    requested: [...ask(actions, ref.object), ...askCrossed(ref)],
    hold: () => {
      const target = hold()
      try {
        assertOpenable(context, target, request.flags, ref.text)
      } catch (error) {
        letGo(target)
        throw error
      }
      return target
    },
    found: (target) => ({ questions: ask(actions, target.guest), object: target.guest }),
    charges: (target, available) => openingCharges(reads(request.flags), writes(request.flags), sizeOf(target), available),
    letGo,
    run: async (target, permit) => {
      if (target.object !== null && isMissing(target.object)) throw hostError(target.object.missing, ref.text)
      const { fd, stat, created } =
        target.object === null
          ? await create(context, nameOf(target), request, ref.text, permit.signal)
          : reopen(context, target.object, request.flags, ref.text)
      const handle = new FileHandle({
        sys: context.sys,
        fd,
        text: ref.text,
        reads: reads(request.flags),
        writes: (request.flags & OPEN_FLAGS.WRITE) !== 0,
        append: (request.flags & OPEN_FLAGS.APPEND) !== 0,
        sync: request.sync === true,
        lease: leaseFor(context, fd, permit),
      })
      try {
        return { result: [request.keep(handle, stat, target.guest), stat.size], detail: { created } }
      } catch (error) {
        await handle.close()
        throw error
      }
    },
  })
}

/** What was opened while its permission went away is let go again. */
function leaseFor({ sys }: FsContext, fd: number, permit: Permit): ByteLease {
  try {
    return permit.lease()
  } catch (error) {
    sys.close(fd)
    throw error
  }
}

function assertOpenable(context: FsContext, target: Target, flags: number, place: string): void {
  const { object } = target
  if (object !== null && isMissing(object)) return
  if (object === null) {
    if (target.name !== null && (flags & OPEN_FLAGS.CREATE) === 0) throw hostError('ENOENT', place)
    if (target.name !== null) assertWritableMount(target.name, place)
    return
  }
  if ((flags & OPEN_FLAGS.CREATE) !== 0 && (flags & OPEN_FLAGS.EXCLUSIVE) !== 0) throw hostError('EEXIST', place)
  if (object.stat.kind === 'directory') throw hostError('EISDIR', place)
  if (object.stat.kind === 'symlink') throw hostError('ELOOP', place, 'Changes do not follow symbolic links: name the real path.')
  if (object.stat.kind === 'other') throw refused(place, 'devices, fifos and sockets are never opened', 'Only regular files pass the gate.')
  // CREATE of what exists alters nothing.
  if ((flags & ~(OPEN_FLAGS.READ | OPEN_FLAGS.CREATE)) !== 0) assertChangeable(context, object, place)
}

function sizeOf(target: Target): number {
  return target.object === null || isMissing(target.object) ? 0 : target.object.stat.size
}

function nameOf(target: Target): HeldName {
  if (target.name === null) throw new Error('nothing to create')
  return target.name
}

interface Opened {
  readonly fd: number
  readonly stat: Stat
  readonly created: boolean
}

/** The very inode that was decided, through the kernel's link to the held descriptor: no name is looked up again. */
function reopen(context: FsContext, held: HeldObject, flags: number, place: string): Opened {
  const { sys } = context
  const opened = sys.reopen(held.fd, hostFlags(flags) | ((flags & OPEN_FLAGS.TRUNCATE) !== 0 ? O.TRUNC : 0))
  if (!opened.ok) throw hostError(opened.errno, place)
  const stat = sys.stat(opened.value, '')
  if (stat.ok) return { fd: opened.value, stat: stat.value, created: false }
  sys.close(opened.value)
  throw hostError(stat.errno, place)
}

/** O_EXCL: what appeared under this name since the decision is never opened in its place, unless it is a plain file, which the decision covers by its name. */
async function create(context: FsContext, at: HeldName, request: OpenRequest, place: string, signal: AbortSignal): Promise<Opened> {
  const { sys } = context
  return changeNames(sys, [at], place, signal, () => {
    const flags = hostFlags(request.flags) | O.CREAT | O.EXCL | sys.flags.NOFOLLOW | O.CLOEXEC | O.NOCTTY
    const made = sys.openat2(
      at.parent,
      at.name,
      flags,
      0o600,
      RESOLVE.BENEATH | RESOLVE.NO_MAGICLINKS | RESOLVE.NO_SYMLINKS | RESOLVE.NO_XDEV,
    )
    if (made.ok) {
      // The umask of the gate is not the agent's: the mode is the one asked for.
      sys.chmod(made.value, request.mode & 0o777)
      const stat = sys.stat(made.value, '')
      if (stat.ok) return { fd: made.value, stat: stat.value, created: true }
      sys.close(made.value)
      throw hostError(stat.errno, place)
    }
    if (made.errno !== 'EEXIST' || (request.flags & OPEN_FLAGS.EXCLUSIVE) !== 0) throw hostError(made.errno, place)
    const there = holdEntry(sys, context.mounts, at, place)
    if (there === null || there.guest !== at.guest) {
      if (there !== null) sys.close(there.fd)
      throw hostError('EAGAIN', place)
    }
    try {
      assertOpenable(context, { name: at, object: there, guest: at.guest }, request.flags, place)
      return reopen(context, there, request.flags, place)
    } finally {
      sys.close(there.fd)
    }
  })
}

function hostFlags(flags: number): number {
  const access = !(flags & OPEN_FLAGS.WRITE) ? O.RDONLY : flags & OPEN_FLAGS.READ ? O.RDWR : O.WRONLY
  return access | (flags & OPEN_FLAGS.APPEND ? O.APPEND : 0)
}
