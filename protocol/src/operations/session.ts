import { MAX_BUDGET_ROWS, MAX_HISTORY_POINTS, MAX_MARK_ROWS, MAX_TOKEN_BYTES } from '../limits.ts'
import { bytes, field as f, list, optional, text, tuple, uint } from '../schema.ts'
import type { OperationRows, Via } from './row.ts'

const S: readonly Via[] = ['session']

/** The session itself: no effect on the world. */
export const SESSION_OPERATIONS = {
  'session.ping': {
    code: 0x0001,
    class: 'control',
    via: S,
    action: null,
    args: [f('payload', bytes(1024), 'echoed')],
    result: [f('payload', bytes(1024), 'as sent')],
    doc: 'Proves the session answers; performs nothing.',
  },
  'session.approvals': {
    code: 0x0030,
    class: 'control',
    via: S,
    action: null,
    args: [f('mode', text(8), '`wait` (how a session begins) or `refuse`')],
    result: [],
    doc: 'Whether later requests that a person must approve wait for it, or are answered `E_APPROVAL_REQUIRED` at once and may be sent again.',
  },
  'cap.bind': {
    code: 0x0010,
    class: 'control',
    via: S,
    action: null,
    args: [f('token', text(MAX_TOKEN_BYTES), '`cap1_…`')],
    result: [f('handle', uint(0xffffffff), 'valid on this session only')],
    doc: 'Verifies a token once and exchanges it for a handle.',
  },
  'cap.release': {
    code: 0x0011,
    class: 'control',
    via: S,
    action: null,
    args: [f('handle', uint(0xffffffff), 'from cap.bind')],
    result: [],
    doc: 'Gives a handle up.',
  },
  'cap.self': {
    code: 0x0012,
    class: 'control',
    via: S,
    action: null,
    args: [],
    result: [f('token', text(MAX_TOKEN_BYTES), 'an open token of the run, to attenuate offline')],
    doc: 'The run capability this session acts under, as a token bound to the run.',
  },
  'budget.status': {
    code: 0x0020,
    class: 'control',
    via: S,
    action: null,
    args: [],
    result: [
      f(
        'rows',
        list(
          tuple(
            f('account', text(128), 'account name'),
            f('dimension', text(32), 'e.g. `calls`, `bytes`'),
            f('limit', optional(uint()), 'in the unit of the dimension; null is unlimited'),
            f('captured', uint(), 'spent'),
            f('reserved', uint(), 'held for effects under way'),
          ),
          MAX_BUDGET_ROWS,
        ),
        'one row per account and dimension',
      ),
    ],
    doc: 'What is left of each budget this session is charged to. Of account `installation`, what runs share, `limit` is what this run has leased of it so far: there may be more.',
  },
  'budget.history': {
    code: 0x0021,
    class: 'control',
    via: S,
    action: null,
    args: [f('account', text(128), 'one that budget.status names to this session, or any other it is charged to')],
    result: [
      f(
        'rows',
        list(
          tuple(
            f('dimension', text(32), 'e.g. `calls`, `bytes`'),
            f(
              'points',
              list(
                tuple(
                  f('time_ms', uint(), 'since the epoch: the start of a stretch in which something was spent'),
                  f('captured', uint(), 'spent before the next point; of the last point, until now'),
                ),
                MAX_HISTORY_POINTS,
              ),
              'oldest first; the older, the wider their stretches',
            ),
          ),
          32,
        ),
        'one row per dimension of which something was spent',
      ),
    ],
    doc: 'How the spending of one account this session is charged to went since this process of the gate began; `E_NOT_FOUND` for every other account.',
  },
  'budget.marks': {
    code: 0x0022,
    class: 'control',
    via: S,
    action: null,
    args: [f('after', uint(), 'number of the last mark the client was told; 0 for all there were')],
    result: [
      f(
        'rows',
        list(
          tuple(
            f('number', uint(), 'grows from mark to mark, with gaps'),
            f('account', text(128), 'account name'),
            f('dimension', text(32), 'e.g. `calls`, `bytes`'),
            f('percent', uint(100), 'of the limit: 50, 80 or 95'),
            f('captured', uint(), 'spent when it was passed'),
            f('limit', uint(), 'in the unit of the dimension'),
          ),
          MAX_MARK_ROWS,
        ),
        'oldest first, at least one; where there are more, the next request answers them',
      ),
    ],
    doc: 'Soft marks (50, 80, 95 % of a limit spent) of the run, of classes of operations and of the token: waits until one is passed, or for its deadline. Of those of tokens the gate keeps the last 4,096 of the run. What runs share has marks for the operator only.',
  },
} as const satisfies OperationRows
