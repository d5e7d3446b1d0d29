/** Locks on open files: no effects of their own, but what an opening allowed. */
import { hostError } from '../errno.ts'
import { ask, assertWritableMount, effect } from '../object.ts'
import { empty, lockFound, type Reply } from './encode.ts'
import type { OpenFile } from './handles.ts'
import type { LockRequest } from './locks.ts'
import type { LockFields } from './messages.ts'
import type { Asker, FuseMount } from './mount.ts'
import { nodeRef } from './refs.ts'

/**
 * Where another run changed the file while that held the lock, the guest looks again at what it keeps of it before it has the lock. Whoever may only read may share a
 * lock with others, but not keep everybody out.
 */
export async function set(mount: FuseMount, body: LockFields, waits: boolean, asker: Asker): Promise<Reply> {
  const open = mount.handles.file(body.handle)
  const request: LockRequest = { ...body, open }
  if (body.kind === 'exclusive' && !open.file.writes) await mayWrite(mount, open, asker)
  if (waits) await mount.locks.wait(request, asker.signal)
  else mount.locks.set(request)
  if (body.kind !== null) await mount.freshen(open.node, open.file.stat())
  return empty()
}

export function test(mount: FuseMount, body: LockFields): Reply {
  if (body.kind === null || body.flock) throw hostError('EINVAL', `handle ${body.handle}`)
  return lockFound(mount.locks.conflict({ ...body, kind: body.kind, open: mount.handles.file(body.handle) }))
}

/** close(2) of one descriptor: its owner's locks on the file go, as POSIX has it. */
export function flush(mount: FuseMount, { handle, owner }: { readonly handle: number; readonly owner: bigint }): Promise<Reply> {
  const { file, node } = mount.handles.file(handle)
  mount.locks.letGo(node, owner)
  return file.settled().then(empty)
}

function mayWrite(mount: FuseMount, { node }: OpenFile, asker: Asker) {
  const ref = nodeRef(mount, node)
  const seen = effect({
    text: ref.text,
    requested: ask(['fs.write'], ref.object),
    hold: () => ref.hold('look'),
    found: (held) => ({ questions: ask(['fs.write'], held.guest), object: held.guest }),
    letGo: (held) => {
      if ('fd' in held) ref.letGo(held)
    },
    run: (held) => {
      if ('fd' in held) assertWritableMount(held, ref.text)
      return { result: [] }
    },
  })
  return mount.look('fs.stat', seen, asker)
}
