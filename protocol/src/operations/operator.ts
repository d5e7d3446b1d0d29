import { MAX_TOKEN_BYTES } from '../limits.ts'
import { bytes, field as f, text, uint } from '../schema.ts'
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
  'cap.mint': {
    code: 0x0803,
    class: 'control',
    via: OPERATOR,
    action: null,
    args: [
      f('grant', text(65536), 'what the token grants, as JSON'),
      f('not_before', uint(), 'ms since the epoch'),
      f('expires', uint(), 'ms since the epoch'),
    ],
    result: [f('token', text(MAX_TOKEN_BYTES), '`cap1_…`, open: whoever holds it may narrow it')],
    doc: 'A token of the run with grants of its own: only the gate has the key. Policy still decides every effect.',
  },
} as const satisfies OperationRows
