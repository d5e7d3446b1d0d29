import type { OperatorOperation } from '@authority/kernel/gate'
import { AuthorityError, type OperationName } from '@authority/protocol'
import type { RunRecord } from '../run-record.ts'
import { type GateCore, runSpending } from './core.ts'

export interface OperatorSubject {
  /** Known only after the gate's parts are made: asked for at each call. */
  readonly core: () => GateCore
  readonly record: () => RunRecord
  readonly stop: (reason: string) => void
}

/** What control.sock can ask of a run, with a machine or without. */
export function operatorOperations({ core, record, stop }: OperatorSubject): ReadonlyMap<OperationName, OperatorOperation> {
  return new Map<OperationName, OperatorOperation>([
    [
      'run.status',
      async () => [
        JSON.stringify({
          run: record(),
          statistics: core().pipeline.statistics,
          spent: runSpending(core().budget),
          limits: core().limits,
          rows: core().budget.rows(),
        }),
      ],
    ],
    [
      'run.stop',
      async ([reason]) => {
        // After the reply is on its way: the end closes this connection too.
        setImmediate(() => stop(String(reason)))
        return []
      },
    ],
    [
      'cap.mint',
      async ([grant, notBefore, expires]) => [
        core().capability.mint(grantOf(String(grant)), { notBefore: Number(notBefore), expires: Number(expires) }),
      ],
    ],
    [
      'cap.revoke',
      async ([block]) => {
        const id = Buffer.from(block as Uint8Array).toString('hex')
        const { audit, capability } = core()
        audit.append({ type: 'REVOKE', block: id, by: 'operator' })
        // Dead before it is durable, acknowledged after: no moment at which an acknowledged revocation does not hold.
        capability.revoke(id)
        await audit.durable()
        return []
      },
    ],
  ])
}

/** Keys and ranges are the capability stage's to check. */
function grantOf(text: string): Parameters<GateCore['capability']['mint']>[0] {
  try {
    return JSON.parse(text) as Parameters<GateCore['capability']['mint']>[0]
  } catch {
    throw new AuthorityError('E_CAP_INVALID', 'the grant is not JSON')
  }
}
