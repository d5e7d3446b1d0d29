/**
 * What each operation asks policy and capability: reading asks `fs.read`, everything that changes asks `fs.write`, looking asks `fs.look`. The path as requested
 * and the path of the object found must both be allowed.
 */
import { OPEN_FLAGS } from '@authority/protocol'
import type { Charges, Dimension, Question } from '../../vocabulary/index.ts'
import type { EffectResult, Permit, PreparedEffect, ResolvedObject } from '../contract.ts'
import { refused } from './errno.ts'
import type { Mounts } from './mounts.ts'
import type { HeldName, HeldObject, Missing } from './resolve.ts'
import type { Stat, Syscalls } from './syscalls.ts'

/** What every builder in execute/ works with. */
export interface FsContext {
  readonly sys: Syscalls
  readonly mounts: Mounts
  /**
   * What the policy would say, without a record. Never allows anything; it only spares questions nobody asked: reading the source of a move whose target cannot
   * be read anyway, and attributes of listed names that are out of reach. Left out: the first is always asked, the second left to the guest.
   */
  readonly peek?: (question: Question) => boolean
  /** Told of each folder the run makes (canonical guest path): policy treats a repository made during the run otherwise than one that was there. */
  readonly madeFolder?: (guest: string) => void
}

/** An existing object somebody names: by a path (SDK) or by a node of a FUSE mount. */
export interface ObjectRef {
  /** As the agent named it. */
  readonly text: string
  /** Canonical form of the request, for its questions. */
  readonly object: string
  readonly crossed: readonly string[]
  /** `change`: symbolic links on the way are refused. Throws AuthorityError. */
  hold(intent: 'look' | 'read' | 'change'): HeldObject | Missing
  letGo(held: HeldObject): void
}

/** A name in a directory, existing or not. */
export interface NameRef {
  readonly text: string
  readonly object: string
  readonly crossed: readonly string[]
  hold(): HeldName
  letGo(held: HeldName): void
}

export type FsAction = 'fs.look' | 'fs.read' | 'fs.write'

export const reads = (flags: number): boolean => (flags & OPEN_FLAGS.READ) !== 0
export const writes = (flags: number): boolean => (flags & ~OPEN_FLAGS.READ) !== 0

/** READ asks fs.read; every other bit asks fs.write. */
export function openActions(flags: number): readonly FsAction[] {
  return [...(reads(flags) ? (['fs.read'] as const) : []), ...(writes(flags) ? (['fs.write'] as const) : [])]
}

export function ask(actions: readonly FsAction[], object: string): Question[] {
  return actions.map((action) => ({ action, object }))
}

export function askReach(object: string): Question[] {
  return ask(['fs.look'], object)
}

/** A mount point itself may always be looked at: the operator put it there, and the guest's kernel asks for it before anything below. */
export function askLook(context: FsContext, object: string): Question[] {
  return context.mounts.list.some((mount) => mount.guest === object) ? [] : askReach(object)
}

/** Directories a `..` of the request steps out of must at least be within reach. */
export function askCrossed(ref: { readonly crossed: readonly string[] }): Question[] {
  return ref.crossed.flatMap((object) => askReach(object))
}

export function isMissing(held: HeldObject | Missing): held is Missing {
  return 'missing' in held
}

/** A read-only mount refuses every change, whatever the policy says. */
export function assertWritableMount(held: { readonly mount: { readonly readonly: boolean } }, place: string): void {
  if (held.mount.readonly) throw refused(place, 'the mount is read-only', 'Mount it without :ro to let the agent change it.', 'EROFS')
}

/** Contents and attributes of this object may change: its mount, its kind, its other names and its special bits allow it. */
export function assertChangeable(context: FsContext, held: HeldObject, place: string): void {
  assertWritableMount(held, place)
  assertReplaceable(context, held.stat, place)
  if (held.stat.kind === 'other')
    throw refused(place, 'devices, fifos and sockets are never opened', 'Only regular files, directories and symbolic links pass the gate.')
  if (held.stat.kind !== 'file') return
  if (held.stat.nlink > 1)
    throw refused(
      place,
      `the file has ${held.stat.nlink} hard links: a change would reach it under its other names, perhaps outside the mount`,
      'Copy it and rename the copy over it.',
    )
  if ((held.stat.mode & 0o6000) !== 0)
    throw refused(place, 'the file has the set-user-ID or set-group-ID bit', 'Clear the bit on the host first.')
}

/** Policy and config files in use are neither changed nor replaced. */
export function assertReplaceable(context: FsContext, stat: Stat, place: string): void {
  if (context.mounts.isProtected(stat))
    throw refused(place, 'this file decides what the run may do', 'Change it on the host, then `authority policy reload RUN`.')
}

/** Mode bits an agent may set: permissions only. */
export function assertPlainMode(mode: number, place: string): void {
  if ((mode & 0o7000) !== 0)
    throw refused(place, 'set-user-ID, set-group-ID and sticky bits are never set', 'Use permission bits only, for example 0755.', 'EPERM')
}

/** The parts of one effect; `effect` makes the contract's object of them. */
export interface Steps<H> {
  readonly text: string
  readonly requested: readonly Question[]
  readonly unasked?: string
  hold(): H
  found(held: H): ResolvedObject
  charges?(held: H, available: (dimension: Dimension) => number): Charges
  run(held: H, permit: Permit): EffectResult | Promise<EffectResult>
  letGo(held: H): void
}

/** One effect: holds in resolve, uses only what is held in execute, lets go exactly once. */
export function effect<H>(steps: Steps<H>): PreparedEffect {
  let held: { readonly value: H } | null = null
  return {
    requested: steps.requested,
    ...(steps.unasked === undefined ? {} : { unasked: steps.unasked }),
    requestedText: steps.text,
    resolve() {
      const value = steps.hold()
      held = { value }
      return steps.found(value)
    },
    worstCase: (available) => (held !== null && steps.charges !== undefined ? steps.charges(held.value, available) : {}),
    execute(permit) {
      if (held === null) throw new Error('executed before it was resolved')
      return steps.run(held.value, permit)
    },
    release() {
      const last = held
      held = null
      if (last !== null) steps.letGo(last.value)
    },
  }
}
