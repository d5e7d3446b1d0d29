import { AuthorityError, RENAME_FLAGS } from '@authority/protocol'
import type { PreparedEffect } from '../../contract.ts'
import { hostError, refused } from '../errno.ts'
import { assertLinksStay, entriesBelow, movedQuestions, moveQuestions, sameEntries } from '../moving.ts'
import { changeNames } from '../name-lock.ts'
import { askCrossed, assertReplaceable, assertWritableMount, effect, type FsContext, type NameRef } from '../object.ts'
import { isWithin, join } from '../path.ts'
import { type HeldName, type HeldObject, holdEntry } from '../resolve.ts'
import { done } from './names.ts'

/** One thing that gets another name, with all that is below it. */
interface Move {
  readonly what: HeldObject
  readonly from: HeldName
  readonly to: HeldName
  readonly below: ReturnType<typeof entriesBelow>
}
interface Ends {
  readonly from: HeldName
  readonly to: HeldName
  readonly moves: readonly Move[]
}

/**
 * Renames atomically within a mount. Decided for both ends and for everything below a directory; looked at again under the name lock, so that nothing can be
 * slipped into a directory between its decision and its move.
 */
export function rename(context: FsContext, from: NameRef, to: NameRef, flags: number): PreparedEffect {
  if (flags === (RENAME_FLAGS.NOREPLACE | RENAME_FLAGS.EXCHANGE))
    throw new AuthorityError('E_CONFLICT', `${from.text}: NOREPLACE and EXCHANGE exclude each other`, { errno: 'EINVAL' })
  const exchange = (flags & RENAME_FLAGS.EXCHANGE) !== 0
  const text = `${from.text} -> ${to.text}`
  const questions = (a: string, b: string) => [...moveQuestions(context, a, b), ...(exchange ? moveQuestions(context, b, a) : [])]
  const close = (moves: readonly Move[]): void => {
    for (const move of moves) context.sys.close(move.what.fd)
  }
  return effect<Ends>({
    text,
    requested: [...questions(from.object, to.object), ...askCrossed(from), ...askCrossed(to)],
    hold: () => {
      const source = from.hold()
      try {
        const target = to.hold()
        try {
          return { from: source, to: target, moves: movesOf(context, source, target, exchange, from.text, to.text) }
        } catch (error) {
          to.letGo(target)
          throw error
        }
      } catch (error) {
        from.letGo(source)
        throw error
      }
    },
    found: (ends) => ({
      questions: [
        ...questions(ends.from.guest, ends.to.guest),
        ...ends.moves.flatMap((move) => namesOf(move.to).flatMap((to) => movedQuestions(context, move.below, move.from.guest, to))),
      ],
      object: `${ends.from.guest} -> ${ends.to.guest}`,
    }),
    letGo: (ends) => {
      close(ends.moves)
      from.letGo(ends.from)
      to.letGo(ends.to)
    },
    run: (ends, permit) =>
      changeNames(context.sys, [ends.from, ends.to], from.text, permit.signal, () => {
        const now = movesOf(context, ends.from, ends.to, exchange, from.text, to.text)
        close(now)
        const unchanged = now.every((move, i) => isSame(move, ends.moves[i]))
        if (!unchanged) throw hostError('EAGAIN', from.text, 'Try again: something was put there meanwhile.')
        if (now.some((move) => move.what.stat.kind === 'directory')) ends.from.mount.spelling.forget()
        return done(context.sys.renameat2(ends.from.parent, ends.from.name, ends.to.parent, ends.to.name, flags), from.text)
      }),
  })
}

/** Where names fold, what has the new name already may be spelled otherwise. */
function namesOf(at: HeldName): readonly string[] {
  return [...new Set([at.guest, join(at.parentGuest, at.name)])]
}

function isSame(now: Move, decided: Move | undefined): boolean {
  return (
    decided !== undefined &&
    now.what.stat.ino === decided.what.stat.ino &&
    now.what.stat.kind === decided.what.stat.kind &&
    sameEntries(now.below, decided.below)
  )
}

/** What moves, held and checked; on a throw nothing stays held. */
function movesOf(context: FsContext, from: HeldName, to: HeldName, exchange: boolean, fromText: string, toText: string): readonly Move[] {
  assertWritableMount(from, fromText)
  assertWritableMount(to, toText)
  if (from.mount !== to.mount) throw hostError('EXDEV', toText, 'Both names must be on the same mount: copy and remove instead.')
  const moves: Move[] = []
  const add = (what: HeldObject, source: HeldName, target: HeldName, place: string): void => {
    try {
      moves.push({ what, from: source, to: target, below: checkedBelow(context, what, source, target, place) })
    } catch (error) {
      context.sys.close(what.fd)
      throw error
    }
  }
  try {
    const source = holdEntry(context.sys, context.mounts, from, fromText)
    if (source === null) throw hostError('ENOENT', fromText)
    add(source, from, to, fromText)
    const target = holdEntry(context.sys, context.mounts, to, toText)
    if (target !== null && exchange) add(target, to, from, toText)
    else if (target !== null) {
      context.sys.close(target.fd)
      assertReplaceable(context, target.stat, toText)
    } else if (exchange) throw hostError('ENOENT', toText)
    return moves
  } catch (error) {
    for (const move of moves) context.sys.close(move.what.fd)
    throw error
  }
}

function checkedBelow(context: FsContext, what: HeldObject, from: HeldName, to: HeldName, place: string): Move['below'] {
  assertReplaceable(context, what.stat, place)
  if (what.stat.kind === 'other')
    throw refused(
      place,
      'devices, fifos and sockets are never renamed',
      'Only regular files, directories and symbolic links pass the gate.',
    )
  if (context.mounts.list.some((mount) => mount !== from.mount && isWithin(mount.guest, from.guest)))
    throw hostError('EBUSY', place, 'Another mount lies below it.')
  const below = entriesBelow(context, what, place)
  assertLinksStay(context, what, below, to.parentGuest, to.guest, to.mount, place)
  return below
}
