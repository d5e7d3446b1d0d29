/** A guest path, as the SDK names files, as the references execute/ works with. FUSE has its own in fuse/refs.ts. */
import type { FsContext, NameRef, ObjectRef } from './object.ts'
import { type GuestPath, parseGuestPath } from './path.ts'
import { holdName, holdObject } from './resolve.ts'

/** Throws AuthorityError E_CONFLICT for a malformed path. `follow`: whether a symbolic link at the end is followed when reading. */
export function objectAt(context: FsContext, text: string, follow: boolean): ObjectRef {
  const path = parseGuestPath(text)
  return {
    ...named(path),
    hold: (intent) => holdObject(context.sys, context.mounts, path, follow && intent !== 'change', intent !== 'change'),
    letGo: (held) => context.sys.close(held.fd),
  }
}

/** Throws AuthorityError E_CONFLICT for a malformed path. */
export function nameAt(context: FsContext, text: string): NameRef {
  const path = parseGuestPath(text)
  return { ...named(path), hold: () => holdName(context.sys, context.mounts, path), letGo: (held) => context.sys.close(held.parent) }
}

function named(path: GuestPath): { readonly text: string; readonly object: string; readonly crossed: readonly string[] } {
  return { text: path.text, object: path.object, crossed: path.crossed }
}
