import { bytes, field as f, text } from '../schema.ts'
import type { OperationRows, Via } from './row.ts'

const OPERATOR: readonly Via[] = ['operator']

/** What the operator asks over control.sock. */
export const OPERATOR_OPERATIONS = {
  'run.status': {
    code: 0x0800,
    class: 'control',
    via: OPERATOR,
    action: null,
    args: [],
    result: [f('json', text(65536), 'status of the run as JSON')],
    doc: 'What the run is doing.',
  },
  'run.stop': {
    code: 0x0801,
    class: 'control',
    via: OPERATOR,
    action: null,
    args: [f('reason', text(256), 'recorded')],
    result: [],
    doc: 'Stops the VM and seals the log.',
  },
  'cap.revoke': {
    code: 0x0802,
    class: 'control',
    via: OPERATOR,
    action: null,
    args: [f('block', bytes(16, 16), 'block id')],
    result: [],
    doc: 'Revokes a block and all its descendants; durable before the reply.',
  },
} as const satisfies OperationRows
