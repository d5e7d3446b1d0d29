/** What only looks: decided every time, answered without waiting for the log. */
import { AuthorityError } from '@authority/protocol'
import { ERRNO, hostError } from '../errno.ts'
import { entriesOf, fsyncdir, look, opendir } from '../execute/look.ts'
import { ask, askReach, effect } from '../object.ts'
import { join } from '../path.ts'
import type { Stat } from '../syscalls.ts'
import { absent, attributes, empty, entry, fileSystem, type Known, Listing, opened, type Reply, text } from './encode.ts'
import type { OpenDirectory } from './handles.ts'
import { type Asker, after, type FuseMount } from './mount.ts'
import type { Node } from './nodes.ts'
import { childRef, isDevice, nodeRef } from './refs.ts'

type Answer = Reply | Promise<Reply>

/** A name that does not exist is an answer too, which the guest may keep for a while. */
export function lookup(mount: FuseMount, parent: Node, name: string, asker: Asker): Answer {
  mount.keeping.follow(parent)
  let found: Reply | null = null
  const ref = childRef(mount, parent, name, () => found !== null)
  const seen = look(mount.context, ref, (held) => {
    // `add` takes the descriptor over, also when it throws.
    found = empty()
    const node = mount.nodes.add(parent, name, held.stat, held.fd)
    found = entry(node.id, held.stat, mount.keeping.named(parent, name, node, held.stat, held.guest))
    return []
  })
  const missing = (error: unknown): Reply => {
    if (error instanceof AuthorityError && error.errno === 'ENOENT') return absent(mount.keeping.briefly.name)
    throw error
  }
  try {
    const result = mount.look('fs.stat', seen, asker)
    return result instanceof Promise
      ? result.then(() => found ?? absent(mount.keeping.briefly.name), missing)
      : (found ?? absent(mount.keeping.briefly.name))
  } catch (error) {
    return missing(error)
  }
}

export function getattr(mount: FuseMount, node: Node, handle: number | null, asker: Asker): Answer {
  let stat: Stat | null = null
  const seen = look(mount.context, nodeRef(mount, node), (held) => {
    stat = handle === null ? held.stat : mount.handles.file(handle).file.stat()
    return []
  })
  return after(mount.look('fs.stat', seen, asker), () => attributes(present(stat), mount.keeping.attributes(node, present(stat))))
}

export function readlink(mount: FuseMount, node: Node, asker: Asker): Answer {
  let target: string | null = null
  const ref = nodeRef(mount, node)
  const seen = look(mount.context, ref, (held) => {
    if (held.stat.kind !== 'symlink') throw hostError('EINVAL', ref.text)
    const read = mount.context.sys.readlink(held.fd)
    if (!read.ok) throw hostError(read.errno, ref.text)
    target = read.value
    return []
  })
  return after(mount.look('fs.readlink', seen, asker), () => text(present(target)))
}

/** access(2): what the agent could do, as policy and the host's mode bits say now. */
export function access(mount: FuseMount, node: Node, mask: number, asker: Asker): Answer {
  const ref = nodeRef(mount, node)
  const [reads, writes, executes] = [(mask & 4) !== 0, (mask & 2) !== 0, (mask & 1) !== 0]
  const questions = (object: string) => [
    ...ask([...(reads ? (['fs.read'] as const) : []), ...(writes ? (['fs.write'] as const) : [])], object),
    ...askReach(object),
  ]
  const seen = effect({
    text: ref.text,
    requested: questions(ref.object),
    hold: () => ref.hold('look'),
    found: (held) => ({ questions: questions(held.guest), object: held.guest }),
    letGo: (held) => {
      if ('fd' in held) ref.letGo(held)
    },
    run: (held) => {
      if (!('fd' in held)) throw hostError(held.missing, ref.text)
      if (writes && held.mount.readonly) throw hostError('EROFS', ref.text)
      if (executes && held.stat.kind === 'file' && (held.stat.mode & 0o111) === 0) throw hostError('EACCES', ref.text)
      return { result: [] }
    },
  })
  return after(mount.look('fs.stat', seen, asker), empty)
}

export function statfs(mount: FuseMount, node: Node, asker: Asker): Answer {
  const seen = look(mount.context, nodeRef(mount, node), () => [])
  return after(mount.look('fs.stat', seen, asker), () => {
    const found = mount.context.sys.statfs(mount.mount.root)
    if (!found.ok) throw hostError(found.errno, mount.mount.guest)
    return fileSystem(found.value)
  })
}

export function openDirectory(mount: FuseMount, node: Node, asker: Asker): Answer {
  let handle = 0
  const opening = opendir(mount.context, nodeRef(mount, node), (fd) => {
    try {
      handle = mount.handles.add({ kind: 'directory', node, fd })
    } catch (error) {
      mount.context.sys.close(fd)
      throw error
    }
    mount.nodes.pin(node)
    mount.keeping.follow(node)
  })
  return after(mount.look('fs.readdir', opening, asker), () => opened(handle, 'directory'))
}

export function releaseDirectory(mount: FuseMount, handle: number): Reply {
  const open = mount.handles.directory(handle)
  mount.handles.remove(handle)
  mount.context.sys.close(open.fd)
  mount.nodes.unpin(open.node)
  return empty()
}

/** Decided again for each piece: a directory that was opened under an earlier policy is listed no further than the present one lets. */
export function readDirectory(mount: FuseMount, handle: number, position: bigint, size: number, plus: boolean, asker: Asker): Answer {
  const open = mount.handles.directory(handle)
  const object = placeOf(mount, open.node)
  // It was removed since: there is nothing in it any more.
  if (object === null) return new Listing(size, plus).done()
  const questions = ask(['fs.read'], object)
  const still = effect({
    text: object,
    requested: questions,
    hold: () => null,
    found: () => ({ questions, object }),
    letGo: () => undefined,
    run: () => ({ result: [] }),
  })
  return after(mount.look('fs.readdir', still, asker), () => piece(mount, open, position, size, plus, asker))
}

function placeOf(mount: FuseMount, node: Node): string | null {
  try {
    return mount.nodes.guestPath(node)
  } catch {
    return null
  }
}

/** Names as the host gives them, from the position the guest says. */
function piece(mount: FuseMount, open: OpenDirectory, position: bigint, size: number, plus: boolean, asker: Asker): Reply {
  const listing = new Listing(size, plus)
  const guest = plus ? mount.nodes.guestPath(open.node) : ''
  const encoder = new TextEncoder()
  for (const found of entriesOf(mount.context.sys, open.fd, BigInt.asIntN(64, position), guest, { dots: true })) {
    const name = encoder.encode(found.name)
    if (!listing.fits(name)) break
    const dot = found.name === '.' || found.name === '..'
    listing.add(name, found.ino, found.type, found.next, plus && !dot ? attributesOf(mount, open, guest, found.name, asker) : null)
  }
  return listing.done()
}

/** Attributes in a listing are one more look each; what is out of reach or gone is left for the guest to ask. */
function attributesOf(mount: FuseMount, open: OpenDirectory, dir: string, name: string, asker: Asker): Known | null {
  const { context } = mount
  const object = join(dir, name)
  const questions = askReach(object)
  if (context.peek !== undefined && !questions.every(context.peek)) return null
  let known: Known | null = null
  const seen = effect<Stat>({
    text: object,
    requested: questions,
    hold: () => {
      const stat = context.sys.stat(open.fd, name)
      if (!stat.ok) throw hostError(stat.errno, object)
      return stat.value
    },
    found: () => ({ questions, object }),
    letGo: () => undefined,
    run: (stat) => {
      if (!isDevice(stat.mode) && !context.mounts.hides(mount.mount, object, false) && stat.dev === deviceOf(mount, open)) {
        const node = mount.nodes.add(open.node, name, stat, null)
        known = { node: node.id, stat, keeps: mount.keeping.named(open.node, name, node, stat, object) }
      }
      return { result: [] }
    },
  })
  try {
    const result = mount.look('fs.stat', seen, asker)
    if (result instanceof Promise) result.catch(() => undefined)
    return known
  } catch {
    return null
  }
}

/** What is mounted on a name of this directory on the host is another file system: not shown here, and refused when looked up. */
function deviceOf(mount: FuseMount, open: OpenDirectory): string {
  const stat = mount.context.sys.stat(open.fd, '')
  return stat.ok ? stat.value.dev : ''
}

export function syncDirectory(mount: FuseMount, handle: number, asker: Asker): Answer {
  const { node } = mount.handles.directory(handle)
  return after(mount.look('fs.fsyncdir', fsyncdir(mount.context, nodeRef(mount, node)), asker), empty)
}

function present<T>(value: T | null): T {
  if (value === null) throw new Error(`the gate answered without looking (errno ${ERRNO.EIO})`)
  return value
}
