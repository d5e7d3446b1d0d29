/** Nodes of a FUSE mount as the references execute/ works with: from a descriptor already held, by at most one name. */
import { hostError, refused } from '../errno.ts'
import type { Mount } from '../mounts.ts'
import type { FsContext, NameRef, ObjectRef } from '../object.ts'
import { checkName, join } from '../path.ts'
import { covered, describe, guestNameIn, type HeldObject, measure, openBeneath } from '../resolve.ts'
import { RESOLVE } from '../syscalls.ts'
import type { Node, Nodes } from './nodes.ts'

export interface NodeGround {
  readonly context: FsContext
  readonly mount: Mount
  readonly nodes: Nodes
}

/** The object of a node. Throws ESTALE. */
export function nodeRef(ground: NodeGround, node: Node): ObjectRef {
  const { context, mount, nodes } = ground
  const text = nodes.guestPath(node)
  return {
    text,
    object: text,
    crossed: [],
    hold(intent) {
      const fd = nodes.descriptor(node)
      const held = stillThere(() => measure(context.sys, context.mounts, mount, fd, text, intent === 'look'), context, mount, node, fd)
      nodes.pin(node)
      return held
    },
    letGo: () => nodes.unpin(node),
  }
}

/** An open file without a name is still itself: decided by the name it was opened under. */
function stillThere(measured: () => HeldObject, context: FsContext, mount: Mount, node: Node, fd: number): HeldObject {
  try {
    return measured()
  } catch (error) {
    const stat = context.sys.stat(fd, '')
    if (node.openedAs === null || !stat.ok || stat.value.nlink > 0) throw error
    return { mount, fd, guest: node.openedAs, stat: stat.value }
  }
}

/** A name in the directory of a node. Throws ESTALE, or E_CONFLICT for what is no name. */
export function nameRef(ground: NodeGround, parent: Node, name: string): NameRef {
  const { context, mount, nodes } = ground
  const parentText = nodes.guestPath(parent)
  checkName(name, parentText)
  const text = join(parentText, name)
  return {
    text,
    object: text,
    crossed: [],
    hold() {
      const held = measure(context.sys, context.mounts, mount, nodes.descriptor(parent), parentText, false)
      if (held.stat.kind !== 'directory') throw hostError('ENOTDIR', parentText)
      const guest = guestNameIn(mount, held.guest, name, text)
      if (context.mounts.hides(mount, guest, false)) throw covered(text)
      nodes.pin(parent)
      return { mount, parent: held.fd, parentGuest: held.guest, name, guest }
    },
    letGo: () => nodes.unpin(parent),
  }
}

/** What has a name in the directory of a node, for a lookup. `take` says whether the descriptor was kept. */
export function childRef(ground: NodeGround, parent: Node, name: string, taken: () => boolean): ObjectRef {
  const { context, mount, nodes } = ground
  const parentText = nodes.guestPath(parent)
  checkName(name, parentText)
  const text = join(parentText, name)
  return {
    text,
    object: text,
    crossed: [],
    hold() {
      const opened = openBeneath(context.sys, nodes.descriptor(parent), name, context.sys.flags.NOFOLLOW, RESOLVE.NO_SYMLINKS)
      if (!opened.ok) throw hostError(opened.errno === 'EXDEV' ? 'EACCES' : opened.errno, text)
      const held = describe(context.sys, context.mounts, mount, opened.value, text, true)
      if (isDevice(held.stat.mode)) {
        context.sys.close(held.fd)
        throw refused(text, 'devices are never shown', 'Only regular files, directories and symbolic links pass the gate.')
      }
      return held
    },
    letGo(held) {
      if (!taken()) context.sys.close(held.fd)
    },
  }
}

export function isDevice(mode: number): boolean {
  const type = mode & 0o170000
  return type === 0o020000 || type === 0o060000
}
