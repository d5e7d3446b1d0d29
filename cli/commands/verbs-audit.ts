import type { Verb } from './arguments.ts'
import { JSON_FLAG, LOG_NOTE, OUTPUT } from './verb-flags.ts'

/** Verbs about logs and keys. */

export const AUDIT_VERIFY = {
  summary: 'prove that a log is whole and unchanged',
  positionals: ['RUN|PATH'],
  flags: {
    key: { kind: 'text', value: 'KEY|FILE', doc: 'the key it must be signed with, as `authority key show` prints it' },
    anchor: { kind: 'list', value: 'FILE', doc: 'a checkpoint you kept: shows a history written anew' },
    require: { kind: 'text', value: 'LEVEL', doc: 'least trust basis: self-attested, pinned-key, remembered-checkpoint or witnessed' },
    installation: { kind: 'text', value: 'DIR', doc: 'folder of the installation log to compare with' },
    json: JSON_FLAG,
  },
  notes: [
    LOG_NOTE,
    'Exit code: 0 intact and sealed; 1 tampered; 2 intact, tail recovered after a crash; 3 intact but not sealed, or --require not met; 4 cannot be read, or an unknown version.',
  ],
} as const satisfies Verb

export const AUDIT_SHOW = {
  summary: 'the records of a log, readable',
  positionals: ['RUN|PATH'],
  flags: {
    denied: { kind: 'switch', doc: 'only what was refused, with rule, fix and count' },
    op: { kind: 'text', value: 'NAME', doc: 'only this operation, e.g. fs.open' },
    from: { kind: 'text', value: 'SEQ', doc: 'first record' },
    to: { kind: 'text', value: 'SEQ', doc: 'last record' },
    json: { kind: 'switch', doc: 'one JSON object per line' },
  },
  notes: [LOG_NOTE, 'Proves nothing: that is `authority audit verify`.'],
} as const satisfies Verb

export const KEY_SHOW = {
  summary: 'the public key of this installation',
  positionals: [],
  flags: { json: JSON_FLAG },
} as const satisfies Verb
export const KEY_EXPORT = {
  summary: 'the public key as a file for whoever verifies',
  positionals: [],
  flags: { output: OUTPUT },
  notes: ['The line `authority audit verify --key` takes. The private key is never printed.'],
} as const satisfies Verb
