import { FS_OPERATIONS } from './operations/fs.ts'
import { GUEST_OPERATIONS } from './operations/guest.ts'
import { LATER_OPERATIONS } from './operations/later.ts'
import { NET_OPERATIONS } from './operations/net.ts'
import { OPERATOR_OPERATIONS } from './operations/operator.ts'
import type { OperationRow } from './operations/row.ts'
import { SESSION_OPERATIONS } from './operations/session.ts'

export { OPEN_FLAGS, RENAME_FLAGS } from './operations/fs.ts'
export type { Action, EffectClassName, OperationRow, Via } from './operations/row.ts'
export type { Field, FieldType } from './schema.ts'

/**
 * The one declaration of every operation. The gate's argument checks, both SDKs, SPEC.md's table and the vectors follow from it.
 * Arguments and results are positional; in a later generation fields may be appended, never changed.
 *
 * `class` says what one effect is (SPEC.md, "What one effect is"):
 *   change  a named change or opening: INTENT durable before, OUTCOME durable before the reply
 *   bytes   bytes on an open handle or stream: spends the lease its opening reserved
 *   look    looking: decided every time, counted, recorded coalesced without waiting
 *   control about the session itself: no effect on the world
 * `via` says who may send it: `session` (an SDK on a session), `fuse` and `init` (the gate's own translation of guest questions), `operator` (control.sock).
 */
export const OPERATIONS = {
  ...SESSION_OPERATIONS,
  ...FS_OPERATIONS,
  ...NET_OPERATIONS,
  ...LATER_OPERATIONS,
  ...GUEST_OPERATIONS,
  ...OPERATOR_OPERATIONS,
} as const

export type OperationName = keyof typeof OPERATIONS

const BY_CODE: ReadonlyMap<number, OperationName> = new Map(
  (Object.entries(OPERATIONS) as [OperationName, OperationRow][]).map(([name, row]) => [row.code, name]),
)

/** The operation of a wire number, or undefined when this build does not know it. */
export function operationOf(code: number): OperationName | undefined {
  return BY_CODE.get(code)
}

/** The row with its general type, for code that walks the table. */
export function operationRow(name: OperationName): OperationRow {
  return OPERATIONS[name]
}
