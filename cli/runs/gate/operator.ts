import type { ApprovalDecision } from '@authority/kernel/approvals'
import type { OperatorOperation } from '@authority/kernel/gate'
import { AuthorityError, type OperationName, type WireValue } from '@authority/protocol'
import type { RunRecord } from '../run-record.ts'
import type { GateCore } from './core.ts'
import type { PolicyFileSet } from './policy-source.ts'
import { PolicyUpload } from './policy-upload.ts'
import { runSpending } from './run-spending.ts'

export interface OperatorSubject {
  /** Known only after the gate's parts are made: asked for at each call. */
  readonly core: () => GateCore
  readonly record: () => RunRecord
  readonly stop: (reason: string) => void
}

/** What control.sock can ask of a run, with a machine or without. */
export function operatorOperations({ core, record, stop }: OperatorSubject): ReadonlyMap<OperationName, OperatorOperation> {
  const upload = new PolicyUpload()
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
    ['approvals.list', async () => [JSON.stringify(core().approvals.list())]],
    [
      'approvals.decide',
      async ([id, decision, by]) => [JSON.stringify(await core().approvals.decide(String(id), decisionOf(decision), byOperator(by)))],
    ],
    [
      'policy.reload',
      async ([source, files, by]) => {
        const sent = (files as readonly WireValue[]).length === 0 ? upload.take(String(source)) : files
        const { policy, ...changes } = await core().reload(fileSetOf(String(source), sent), byOperator(by))
        return [policy, JSON.stringify(changes)]
      },
    ],
    [
      'policy.part',
      async ([source, name, offset, content]) => {
        upload.add(String(source), String(name), Number(offset), content as Uint8Array)
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
        await core().pipeline.endWithdrawn()
        await audit.durable()
        return []
      },
    ],
  ])
}

/** The socket is the operator's alone (0600): its uid is this process's own. */
function byOperator(words: WireValue | undefined): string {
  return `uid ${process.getuid?.() ?? 0}: ${String(words)}`
}

function decisionOf(value: WireValue | undefined): ApprovalDecision {
  if (value === 'once' || value === 'run' || value === 'deny') return value
  throw new AuthorityError('E_PROTOCOL', 'a decision is `once`, `run` or `deny`')
}

/** Shapes were checked against the operations table: a list of (name, bytes). */
function fileSetOf(source: string, value: WireValue | undefined): PolicyFileSet {
  const files = (value as readonly (readonly [string, Uint8Array])[]).map(([name, content]) => ({ name, content }))
  const [own, ...included] = files
  if (own === undefined || own.name !== '') throw new AuthorityError('E_PROTOCOL', 'the first file of a policy has an empty name')
  return {
    source,
    bytes: own.content,
    includes: included.map(({ name, content }) => ({ name, base64: Buffer.from(content).toString('base64') })),
  }
}

/** Keys and ranges are the capability stage's to check. */
function grantOf(text: string): Parameters<GateCore['capability']['mint']>[0] {
  try {
    return JSON.parse(text) as Parameters<GateCore['capability']['mint']>[0]
  } catch {
    throw new AuthorityError('E_CAP_INVALID', 'the grant is not JSON')
  }
}
