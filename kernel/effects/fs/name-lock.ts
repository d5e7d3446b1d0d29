import { AuthorityError } from '@authority/protocol'
import { hostError } from './errno.ts'
import { NAME_LOCK_DEADLINE_MS, NAME_LOCK_STEP_MS } from './limits.ts'
import { guestNameIn, guestPathOf, type HeldName } from './resolve.ts'
import type { Syscalls } from './syscalls.ts'

/**
 * Changes names under the lock of the mount's root (flock, so that runs of other gates on the same folder wait for each other), after looking again whether the
 * directories still have the paths that were decided: between decision and change another run may have moved them.
 * Inside one gate `change` runs without interruption. Throws AuthorityError E_TIMEOUT, E_CONFLICT, or what `change` throws.
 */
export async function changeNames<T>(
  sys: Syscalls,
  places: readonly HeldName[],
  text: string,
  signal: AbortSignal,
  change: () => T,
): Promise<T> {
  const mount = places[0]?.mount
  if (mount === undefined) throw new Error('no name to change')
  for (let waited = 0; ; waited += NAME_LOCK_STEP_MS) {
    // Before every try: a request that was given up no longer holds its descriptors.
    if (signal.aborted) throw new AuthorityError('E_CANCELLED', `${text}: cancelled before the names were changed`, { errno: 'EINTR' })
    const locked = sys.tryLock(mount.lock)
    if (locked.ok) break
    if (locked.errno !== 'EAGAIN') throw hostError(locked.errno, text)
    if (waited >= NAME_LOCK_DEADLINE_MS) {
      throw new AuthorityError('E_TIMEOUT', `${text}: another run holds the names of this mount for ${NAME_LOCK_DEADLINE_MS} ms`, {
        hint: 'See `authority runs ls` for what else uses the folder.',
      })
    }
    await new Promise((resolve) => setTimeout(resolve, NAME_LOCK_STEP_MS))
  }
  try {
    for (const place of places) {
      if (guestPathOf(sys, place.mount, place.parent, text) !== place.parentGuest)
        throw hostError('EAGAIN', text, 'Try again: its folder was moved meanwhile.')
      // Where names fold, something may have got another spelling of this one meanwhile.
      if (guestNameIn(place.mount, place.parentGuest, place.name, text) !== place.guest)
        throw hostError('EAGAIN', text, 'Try again: the name is another one’s meanwhile.')
    }
    return change()
  } finally {
    sys.unlock(mount.lock)
  }
}
