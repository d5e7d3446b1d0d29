/** What opens or changes: through `admit`, recorded before and after. */
import { AGENT_UID, OPEN_FLAGS } from '@authority/protocol'
import { hostError, refused } from '../errno.ts'
import { chmod, truncate, utimens } from '../execute/attributes.ts'
import * as names from '../execute/names.ts'
import { type OpenRequest, openName, openObject } from '../execute/open.ts'
import { rename as renameEffect } from '../execute/rename.ts'
import type { FileHandle } from '../handle.ts'
import { O, type Stat, type Sys } from '../syscalls.ts'
import { attributes, created, empty, entry, opened, type Reply } from './encode.ts'
import type { Attributes } from './messages.ts'
import type { Asker, FuseMount } from './mount.ts'
import type { Node } from './nodes.ts'
import { nameRef, nodeRef } from './refs.ts'

const FILE_TYPE = 0o170000
const REGULAR = 0o100000

export async function open(mount: FuseMount, node: Node, flags: number, asker: Asker): Promise<Reply> {
  const found: { now: Stat | null } = { now: null }
  let handle = 0
  const request: OpenRequest = {
    ...openFlags(flags & ~(O.CREAT | O.EXCL)),
    mode: 0,
    keep: (file, stat, guest) => {
      handle = keep(mount, node, file, guest)
      found.now = stat
      return handle
    },
  }
  await mount.change('fs.open', openObject(mount.context, nodeRef(mount, node), request), asker)
  // What is not open is taken back by its name alone, and this opening may have followed the name before.
  if (found.now !== null) await mount.freshen(node, found.now)
  return opened(handle, (request.flags & OPEN_FLAGS.WRITE) === 0 ? 'reading' : 'writing')
}

export async function create(mount: FuseMount, parent: Node, name: string, flags: number, mode: number, asker: Asker): Promise<Reply> {
  const { node, handle, stat } = await make(mount, parent, name, flags | O.CREAT, mode, asker)
  return created(node.id, stat, handle, mount.keeping.changed(node, stat))
}

/** mknod(2) of a regular file: made, and closed again. Devices, fifos and sockets are never made. */
export async function mknod(mount: FuseMount, parent: Node, name: string, mode: number, asker: Asker): Promise<Reply> {
  if ((mode & FILE_TYPE) !== REGULAR) {
    throw refused(
      name,
      'devices, fifos and sockets are never made on a mount',
      'Make fifos and sockets in scratch, for example in /tmp.',
      'EPERM',
    )
  }
  const { node, handle, stat } = await make(mount, parent, name, O.WRONLY | O.CREAT | O.EXCL, mode, asker)
  await release(mount, handle)
  return entry(node.id, stat, mount.keeping.changed(node, stat))
}

async function make(
  mount: FuseMount,
  parent: Node,
  name: string,
  flags: number,
  mode: number,
  asker: Asker,
): Promise<{ node: Node; handle: number; stat: Stat }> {
  mount.nodes.assertRoom()
  let made: { node: Node; handle: number; stat: Stat } | null = null
  const request: OpenRequest = {
    ...openFlags(flags),
    mode: mode & 0o7777,
    keep: (file, stat, guest) => {
      const node = mount.nodes.add(parent, name, stat, null)
      try {
        made = { node, stat, handle: keep(mount, node, file, guest) }
      } catch (error) {
        mount.nodes.forget(node.id, 1n)
        throw error
      }
      return made.handle
    },
  }
  await mount.change('fs.open', openName(mount.context, nameRef(mount, parent, name), request), asker)
  if (made === null) throw new Error('the gate answered without opening')
  return made
}

/** The node of an open file keeps its descriptor: fstat must work when the name is gone. */
function keep(mount: FuseMount, node: Node, file: FileHandle, guest: string): number {
  mount.nodes.descriptor(node)
  const handle = mount.handles.add({ kind: 'file', node, file })
  mount.nodes.pin(node)
  node.openedAs = guest
  return handle
}

export async function release(mount: FuseMount, handle: number): Promise<Reply> {
  const open = mount.handles.file(handle)
  const { file, node } = open
  mount.handles.remove(handle)
  // Before anything is waited for: the next program may be at the door.
  file.lock(null)
  mount.locks.released(open)
  mount.locks.wake()
  try {
    await file.close()
  } finally {
    mount.nodes.unpin(node)
  }
  return empty()
}

export async function mkdir(mount: FuseMount, parent: Node, name: string, mode: number, asker: Asker): Promise<Reply> {
  mount.nodes.assertRoom()
  await mount.change('fs.mkdir', names.mkdir(mount.context, nameRef(mount, parent, name), mode & 0o777), asker)
  return entryOf(mount, parent, name)
}

export async function symlink(mount: FuseMount, parent: Node, name: string, target: string, asker: Asker): Promise<Reply> {
  mount.nodes.assertRoom()
  await mount.change('fs.symlink', names.symlink(mount.context, nameRef(mount, parent, name), target), asker)
  return entryOf(mount, parent, name)
}

/** Answered with the node that has the first name: its attributes, the number of names among them, are the new name's too. */
export async function link(mount: FuseMount, from: Node, parent: Node, name: string, asker: Asker): Promise<Reply> {
  await mount.change('fs.link', names.link(mount.context, nodeRef(mount, from), nameRef(mount, parent, name)), asker)
  const stat = mount.context.sys.stat(mount.nodes.descriptor(from), '')
  if (!stat.ok) throw hostError(stat.errno, name)
  mount.nodes.linked(from, parent, name)
  return entry(from.id, stat.value, mount.keeping.changed(from, stat.value))
}

export async function unlink(mount: FuseMount, parent: Node, name: string, asker: Asker): Promise<Reply> {
  const before = mount.context.sys.stat(mount.nodes.descriptor(parent), name)
  await mount.change('fs.unlink', names.unlink(mount.context, nameRef(mount, parent, name)), asker)
  mount.keeping.removed(parent, name)
  await oneNameLess(mount, before)
  return empty()
}

export async function rmdir(mount: FuseMount, parent: Node, name: string, asker: Asker): Promise<Reply> {
  await mount.change('fs.rmdir', names.rmdir(mount.context, nameRef(mount, parent, name)), asker)
  return empty()
}

export async function rename(
  mount: FuseMount,
  parent: Node,
  from: string,
  target: Node,
  to: string,
  flags: number,
  asker: Asker,
): Promise<Reply> {
  if ((flags & ~3) !== 0) throw hostError('EINVAL', from)
  const before = mount.context.sys.stat(mount.nodes.descriptor(target), to)
  await mount.change('fs.rename', renameEffect(mount.context, nameRef(mount, parent, from), nameRef(mount, target, to), flags), asker)
  for (const [dir, name] of [
    [target, to],
    [parent, from],
  ] as const) {
    const stat = mount.context.sys.stat(mount.nodes.descriptor(dir), name)
    if (stat.ok) for (const node of mount.nodes.moved(dir, name, stat.value)) mount.keeping.renamed(node, dir, name)
  }
  await oneNameLess(mount, before)
  return empty()
}

/** Of what has other names the guest keeps the number of them, and the time of its last change, by another node. */
async function oneNameLess(mount: FuseMount, before: Sys<Stat>): Promise<void> {
  const node = before.ok && before.value.nlink > 1 && before.value.kind !== 'directory' ? mount.nodes.of(before.value) : undefined
  if (node !== undefined) await mount.lookAgain(node)
}

/** Each kind of change is an effect of its own; the first that is refused ends it. */
export async function setattr(mount: FuseMount, node: Node, change: Attributes, asker: Asker): Promise<Reply> {
  const { context } = mount
  const { uid, gid, mode, size, atime, mtime } = change
  if ((uid !== null && uid !== AGENT_UID) || (gid !== null && gid !== AGENT_UID))
    throw hostError('EPERM', mount.nodes.guestPath(node), 'Files on a mount belong to the agent, and stay so.')
  const open = change.handle === null ? undefined : mount.handles.file(change.handle)
  if (open !== undefined && open.node !== node) throw hostError('EBADF', mount.nodes.guestPath(node))
  if (mode !== null) await mount.change('fs.chmod', chmod(context, nodeRef(mount, node), mode), asker)
  if (size !== null) await mount.change('fs.truncate', truncate(context, nodeRef(mount, node), size, open?.file), asker)
  if (atime !== null || mtime !== null)
    await mount.change('fs.utimens', utimens(context, nodeRef(mount, node), atime ?? 'keep', mtime ?? 'keep'), asker)
  const stat = context.sys.stat(mount.nodes.descriptor(node), '')
  if (!stat.ok) throw hostError(stat.errno, 'node')
  return attributes(stat.value, mount.keeping.changed(node, stat.value).attributes)
}

function entryOf(mount: FuseMount, parent: Node, name: string): Reply {
  const stat = mount.context.sys.stat(mount.nodes.descriptor(parent), name)
  if (!stat.ok) throw hostError(stat.errno, name)
  const node = mount.nodes.add(parent, name, stat.value, null)
  return entry(node.id, stat.value, mount.keeping.changed(node, stat.value))
}

/** open(2) flags to the protocol's. O_TRUNC without a right to write truncates on Linux all the same: then it asks to write. */
function openFlags(flags: number): { readonly flags: number; readonly sync: boolean } {
  const access = flags & 3
  if (access === 3) throw hostError('EINVAL', 'open')
  const truncates = (flags & O.TRUNC) !== 0
  const reads = access !== O.WRONLY
  const writes = access !== O.RDONLY || truncates
  const append = writes && (flags & O.APPEND) !== 0
  const creates = (flags & O.CREAT) !== 0
  const bits =
    (reads ? OPEN_FLAGS.READ : 0) |
    (writes ? OPEN_FLAGS.WRITE : 0) |
    (append ? OPEN_FLAGS.APPEND : 0) |
    (truncates ? OPEN_FLAGS.TRUNCATE : 0) |
    (creates ? OPEN_FLAGS.CREATE : 0) |
    (creates && (flags & O.EXCL) !== 0 ? OPEN_FLAGS.EXCLUSIVE : 0)
  return { flags: bits, sync: (flags & O.DSYNC) !== 0 }
}
