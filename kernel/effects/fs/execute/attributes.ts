import type { EffectResult, PreparedEffect } from '../../contract.ts'
import { hostError } from '../errno.ts'
import type { FileHandle } from '../handle.ts'
import { ask, askCrossed, assertChangeable, assertPlainMode, effect, type FsContext, isMissing, type ObjectRef } from '../object.ts'
import type { HeldObject, Missing } from '../resolve.ts'
import { O, type Sys, type TimeChange } from '../syscalls.ts'

const NOTHING: EffectResult = { result: [] }

/** Sets a regular file's length; through an open handle when there is one, whose right to write does not depend on the mode any more. */
export function truncate(context: FsContext, ref: ObjectRef, size: number, through?: FileHandle): PreparedEffect {
  return change(context, ref, (held) => {
    if (held.stat.kind !== 'file') throw hostError(held.stat.kind === 'directory' ? 'EISDIR' : 'EINVAL', ref.text)
    if (through !== undefined) {
      through.truncate(size)
      return { ok: true, value: 0 }
    }
    const fd = context.sys.reopen(held.fd, O.WRONLY)
    if (!fd.ok) return fd
    const done = context.sys.truncate(fd.value, size)
    context.sys.close(fd.value)
    return done
  })
}

/** Sets permission bits of a file or directory. */
export function chmod(context: FsContext, ref: ObjectRef, mode: number): PreparedEffect {
  assertPlainMode(mode, ref.text)
  return change(context, ref, (held) => {
    if (held.stat.kind === 'symlink') throw hostError('EOPNOTSUPP', ref.text)
    return context.sys.chmod(held.fd, mode)
  })
}

/** Sets times, of a symbolic link itself too. */
export function utimens(context: FsContext, ref: ObjectRef, atime: TimeChange, mtime: TimeChange): PreparedEffect {
  return change(context, ref, (held) => context.sys.utimens(held.fd, atime, mtime))
}

function change(context: FsContext, ref: ObjectRef, act: (held: HeldObject) => Sys<number>): PreparedEffect {
  return effect<HeldObject | Missing>({
    text: ref.text,
    requested: [...ask(['fs.write'], ref.object), ...askCrossed(ref)],
    hold: () => {
      const held = ref.hold('change')
      if (isMissing(held)) return held
      try {
        assertChangeable(context, held, ref.text)
        return held
      } catch (error) {
        ref.letGo(held)
        throw error
      }
    },
    found: (held) => ({ questions: ask(['fs.write'], held.guest), object: held.guest }),
    letGo: (held) => {
      if (!isMissing(held)) ref.letGo(held)
    },
    run: (held) => {
      if (isMissing(held)) throw hostError(held.missing, ref.text)
      const done = act(held)
      if (!done.ok) throw hostError(done.errno, ref.text)
      return NOTHING
    },
  })
}
