import { MAX_TOKEN_BYTES } from '../limits.ts'
import { bytes, field as f, list, text, tuple, uint } from '../schema.ts'
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
  'approvals.list': {
    code: 0x0804,
    class: 'control',
    via: OPERATOR,
    action: null,
    args: [],
    result: [f('json', text(524288), 'the requests that wait for a person, as JSON')],
    doc: 'What waits for approval.',
  },
  'approvals.decide': {
    code: 0x0805,
    class: 'control',
    via: OPERATOR,
    action: null,
    args: [
      f('id', text(64), 'the beginning of the request’s digest'),
      f('decision', text(8), '`once`, `run` (every identical request of this run) or `deny`'),
      f('by', text(128), 'who decided; recorded'),
    ],
    result: [f('json', text(65536), 'the request that was decided, as JSON')],
    doc: 'Approves or refuses one request; durable before the reply and before the effect goes on.',
  },
  'policy.reload': {
    code: 0x0806,
    class: 'control',
    via: OPERATOR,
    action: null,
    args: [
      f('source', text(4096), 'where the policy came from'),
      f(
        'files',
        list(tuple(f('name', text(255), 'empty for the policy itself'), f('content', bytes(1048576), 'as it stands in the file')), 64),
        'the policy, then what it includes; none: what `policy.part` sent for this source',
      ),
      f('by', text(128), 'who reloaded; recorded'),
    ],
    result: [
      f('policy', text(64), 'id of the policy that now decides'),
      f('changes', text(65536), 'as JSON: limits that were lowered and kept, published ports that were closed'),
    ],
    doc: 'Lets another policy decide from the next decision on; durable before the reply. One that does not load changes nothing.',
  },
  'policy.part': {
    code: 0x0807,
    class: 'control',
    via: OPERATOR,
    action: null,
    args: [
      f('source', text(4096), 'as policy.reload will say it'),
      f('name', text(255), 'empty for the policy itself'),
      f('offset', uint(), 'bytes of this file sent before'),
      f('content', bytes(524288), 'the next bytes'),
    ],
    result: [],
    doc: 'A piece of a policy that does not fit one message. The first piece of a policy forgets what was sent before; at most 4 MiB.',
  },
} as const satisfies OperationRows
