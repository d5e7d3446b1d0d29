import type { RecordBody } from '@authority/kernel/audit'

export const AUDIT_RUN = 'ab'.repeat(16)
/** Made once, as in the gate: a text repeated for each record would be time of the benchmark's own. */
const POLICY = Buffer.alloc(32, 0xab).toString('hex')
const ARGS = Buffer.alloc(32, 0xcd).toString('hex')

export function auditStart(installation: string, limit: number): Extract<RecordBody, { type: 'RUN_START' }> {
  return {
    type: 'RUN_START',
    run: AUDIT_RUN,
    installation,
    build: 'bench',
    operator_uid: 1000,
    policy: POLICY,
    policy_source: '--policy',
    isolation: 'kvm',
    limits: [{ account: 'run', dimension: 'calls', limit }],
    detail: {},
  }
}

/** As the gate writes it for a file. */
export function auditIntent(i: number): Extract<RecordBody, { type: 'INTENT' }> {
  const object = `/workspace/src/module-${i % 97}/file-${i % 977}.ts`
  return {
    type: 'INTENT',
    op: 'fs.open',
    session: 'effects:3',
    action: 'fs.read',
    object,
    requested: object,
    rule: '/fs/read/0',
    policy: POLICY,
    blocks: ['0123456789abcdef0123456789abcdef'],
    accounts: ['run', 'block:0123456789abcdef0123456789abcdef'],
    reserve: { calls: 1, concurrency: 1, bytes: 1_048_576 },
    args: ARGS,
  }
}
