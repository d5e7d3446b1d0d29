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
    witness: { kind: 'list', value: 'KEY|FILE', doc: 'a witness whose cosignature on a checkpoint given by --anchor counts' },
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
    decision: { kind: 'text', value: 'WHICH', doc: 'only what was allowed, denied or asked' },
    since: { kind: 'text', value: 'TIME', doc: 'from this time on, UTC: 2026-11-23T04:15 or any beginning of one' },
    until: { kind: 'text', value: 'TIME', doc: 'before this time' },
    object: { kind: 'text', value: 'TEXT', doc: 'effects and denials whose object has this in it' },
    rule: { kind: 'text', value: 'TEXT', doc: 'decided by a rule that has this in it, e.g. /fs/read/0' },
    subject: { kind: 'text', value: 'WHO', doc: 'a session, a capability block, an approver, or the program the guest claims' },
    type: { kind: 'list', value: 'TYPE', doc: 'only records of this type, e.g. INTENT, DENY, RUN_END' },
    follow: { kind: 'switch', short: 'f', doc: 'go on until the run ends' },
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

export const AUDIT_PROVE = {
  summary: 'a proof about a log that others can check without it',
  positionals: ['RUN|PATH', 'SEQ?'],
  flags: {
    since: { kind: 'text', value: 'CHECKPOINT', doc: 'prove that the log still begins with what this checkpoint signed' },
    output: OUTPUT,
    json: JSON_FLAG,
  },
  notes: [
    LOG_NOTE,
    'With SEQ: a c2sp.org/tlog-proof that this record is in the log. With --since: the consistency proof a c2sp.org/tlog-witness takes.',
    'Proofs come from tiles kept beside the log (made when first asked for) and are held against the signed root.',
  ],
} as const satisfies Verb

export const AUDIT_CHECKPOINT = {
  summary: 'the last signed checkpoint of a log: keep it where its owner cannot reach it',
  positionals: ['RUN|PATH'],
  flags: { output: OUTPUT, json: JSON_FLAG },
  notes: [LOG_NOTE, 'Later, `authority audit verify --anchor FILE` shows whether the history was written anew.'],
} as const satisfies Verb

export const AUDIT_EXPORT = {
  summary: 'a log as JSON lines, or as spans to an OpenTelemetry collector',
  positionals: ['RUN|PATH'],
  flags: {
    otlp: { kind: 'text', value: 'URL', doc: 'send it to this collector by OTLP over HTTP, e.g. http://127.0.0.1:4318' },
    output: OUTPUT,
    json: JSON_FLAG,
  },
  notes: [
    LOG_NOTE,
    'Without --otlp: one record a line, the bytes that were hashed. With it: a span for the run, one for each effect, denials as events.',
    'Only the collector named here is spoken to; proxies and OTEL_ variables of the environment have no say. It proves nothing: verify the log.',
  ],
} as const satisfies Verb

export const KEY_ROTATE = {
  summary: 'replace the key of this installation; the old key certifies the new one',
  positionals: [],
  flags: { json: JSON_FLAG },
  notes: [
    'The installation keeps its id; logs of before and after verify. The old private key is erased, so no run may be under way.',
    'Whoever pinned the old key goes on trusting logs made under the new one, by the certificate beside them.',
  ],
} as const satisfies Verb
