import type { Question } from '../../../vocabulary/index.ts'
import type { EffectResult, PreparedEffect } from '../../contract.ts'
import { hostError, refused } from '../errno.ts'
import { escapesMount, readsOnward } from '../moving.ts'
import { changeNames } from '../name-lock.ts'
import {
  ask,
  askCrossed,
  assertPlainMode,
  assertReplaceable,
  assertWritableMount,
  effect,
  type FsContext,
  isMissing,
  type NameRef,
  type ObjectRef,
} from '../object.ts'
import { type HeldName, type HeldObject, holdEntry, type Missing } from '../resolve.ts'
import type { Sys } from '../syscalls.ts'

const NOTHING: EffectResult = { result: [] }

export function mkdir(context: FsContext, ref: NameRef, mode: number): PreparedEffect {
  assertPlainMode(mode, ref.text)
  const act = (at: HeldName): Sys<number> => {
    const made = context.sys.mkdirat(at.parent, at.name, 0o700)
    if (!made.ok) return made
    context.madeFolder?.(at.guest)
    // The umask of the gate is not the agent's: the mode is the one asked for.
    const there = holdEntry(context.sys, context.mounts, at, ref.text)
    if (there === null) return { ok: false, errno: 'ENOENT' }
    const done = there.stat.kind === 'directory' ? context.sys.chmod(there.fd, mode) : made
    context.sys.close(there.fd)
    return done
  }
  return nameChange(context, ref, false, act, 'directory')
}

export function rmdir(context: FsContext, ref: NameRef): PreparedEffect {
  // Only an empty directory goes this way: like a fresh one it carries nothing that was not decided.
  return nameChange(context, ref, true, (at) => context.sys.unlinkat(at.parent, at.name, true), 'directory')
}

export function unlink(context: FsContext, ref: NameRef): PreparedEffect {
  return nameChange(context, ref, true, (at) => context.sys.unlinkat(at.parent, at.name, false))
}

/** The link's text must lead to a place inside the mount, for whoever follows it later, on the host too. */
export function symlink(context: FsContext, ref: NameRef, target: string): PreparedEffect {
  return nameChange(context, ref, false, (at) => {
    if (escapesMount(target, at.mount, at.parentGuest)) {
      throw refused(
        ref.text,
        'a symbolic link must not lead out of the mount',
        'Use a relative target inside the mount, with `..` only at its start; or mount the folder under its own path (-v DIR:DIR).',
        'EPERM',
      )
    }
    return context.sys.symlinkat(target, at.parent, at.name)
  })
}

/** A second name for a regular file of the same mount; both ends are decided, and the new name must not make readable what was not. */
export function link(context: FsContext, from: ObjectRef, to: NameRef): PreparedEffect {
  interface Ends {
    readonly from: HeldObject | Missing
    readonly to: HeldName
  }
  const questions = (source: string, target: string): Question[] => [
    ...ask(['fs.write'], source),
    ...ask(['fs.write'], target),
    ...readsOnward(context, source, target),
  ]
  return effect<Ends>({
    text: `${from.text} -> ${to.text}`,
    requested: [...questions(from.object, to.object), ...askCrossed(from), ...askCrossed(to)],
    hold: () => {
      const source = from.hold('change')
      try {
        const name = to.hold()
        try {
          if (!isMissing(source)) assertLinkable(context, source, name, from.text, to.text)
          return { from: source, to: name }
        } catch (error) {
          to.letGo(name)
          throw error
        }
      } catch (error) {
        if (!isMissing(source)) from.letGo(source)
        throw error
      }
    },
    found: (ends) => ({ questions: questions(ends.from.guest, ends.to.guest), object: `${ends.from.guest} -> ${ends.to.guest}` }),
    letGo: (ends) => {
      if (!isMissing(ends.from)) from.letGo(ends.from)
      to.letGo(ends.to)
    },
    run: (ends, permit) => {
      const source = ends.from
      if (isMissing(source)) throw hostError(source.missing, from.text)
      return changeNames(context.sys, [ends.to], to.text, permit.signal, () =>
        done(context.sys.linkat(source.fd, ends.to.parent, ends.to.name), to.text),
      )
    },
  })
}

function assertLinkable(context: FsContext, source: HeldObject, to: HeldName, fromText: string, toText: string): void {
  assertWritableMount(source, fromText)
  assertWritableMount(to, toText)
  if (source.mount !== to.mount) throw hostError('EXDEV', toText, 'Both names must be on the same mount: copy the file.')
  if (source.stat.kind !== 'file') throw hostError('EPERM', fromText, 'Only regular files can have a second name.')
  if ((source.stat.mode & 0o6000) !== 0)
    throw refused(fromText, 'the file has the set-user-ID or set-group-ID bit', 'Clear the bit on the host first.')
  assertReplaceable(context, source.stat, fromText)
}

/**
 * @param mustExist removes a name: ENOENT is told before anything is recorded as intended, and protected files stay
 * @param makes that the name is an empty directory's, made or removed, is part of the question, since policy guards some names of files only
 */
function nameChange(
  context: FsContext,
  ref: NameRef,
  mustExist: boolean,
  act: (at: HeldName) => Sys<number>,
  makes?: 'directory',
): PreparedEffect {
  const asked = (object: string): Question[] =>
    ask(['fs.write'], object).map((question) => (makes === undefined ? question : { ...question, makes }))
  const check = (at: HeldName): void => {
    const there = holdEntry(context.sys, context.mounts, at, ref.text)
    if (there === null) throw hostError('ENOENT', ref.text)
    context.sys.close(there.fd)
    assertReplaceable(context, there.stat, ref.text)
  }
  return effect<HeldName>({
    text: ref.text,
    requested: [...asked(ref.object), ...askCrossed(ref)],
    hold: () => {
      const at = ref.hold()
      try {
        assertWritableMount(at, ref.text)
        if (mustExist) check(at)
        return at
      } catch (error) {
        ref.letGo(at)
        throw error
      }
    },
    found: (at) => ({ questions: asked(at.guest), object: at.guest }),
    letGo: (at) => ref.letGo(at),
    run: (at, permit) =>
      changeNames(context.sys, [at], ref.text, permit.signal, () => {
        if (mustExist) check(at)
        return done(act(at), ref.text)
      }),
  })
}

export function done(answer: Sys<number>, place: string): EffectResult {
  if (!answer.ok) throw hostError(answer.errno, place)
  return NOTHING
}
