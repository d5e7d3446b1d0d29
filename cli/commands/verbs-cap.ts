import type { Verb } from './arguments.ts'
import { JSON_FLAG, OUTPUT, RUN_NOTE } from './verb-flags.ts'

/** Verbs about tokens and budgets that came later, as data. */

const TOKEN_NOTE = 'FILE is `-` or left out: stdin. Tokens never stand on a command line.'

export const CAP_SEAL = {
  summary: 'a token that nobody can narrow further',
  positionals: ['FILE?'],
  flags: { output: OUTPUT },
  notes: [TOKEN_NOTE, 'It may be used as before. Any holder may seal, and no gate is asked.'],
} as const satisfies Verb

export const CAP_REVOKE = {
  summary: 'end a token block, and everything that was narrowed or opened under it',
  positionals: ['RUN', 'BLOCK?'],
  flags: { token: { kind: 'text', value: 'FILE', doc: 'revoke the last block of this open token instead' }, json: JSON_FLAG },
  notes: [
    RUN_NOTE,
    'BLOCK is an id as denials, `authority audit show` and `authority budget show` name it. When this returns, nothing more is allowed under it, and it is on record.',
  ],
} as const satisfies Verb

export const CAP_WHY = {
  summary: 'would this token allow this, and which block decides?',
  positionals: ['FILE', 'PERMISSION', 'OBJECT'],
  flags: { policy: { kind: 'text', value: 'FILE', doc: 'the policy of the run, for tokens that grant what it grants' }, json: JSON_FLAG },
  notes: [
    'For example: authority cap why token fs.read /work/a.txt',
    'FILE holds the token; `-` is stdin. Whether it is genuine, unrevoked and has uses left only the gate knows; policy and budget decide too.',
    'Exit code: 0 allowed, 1 refused.',
  ],
} as const satisfies Verb

export const BUDGET_TOP = {
  summary: 'budgets of a run, the fullest first, while it goes',
  positionals: ['RUN'],
  flags: { once: { kind: 'switch', doc: 'print it once, as in a pipe' }, json: JSON_FLAG },
  notes: [RUN_NOTE],
} as const satisfies Verb

export const BUDGET_LIMIT = {
  summary: 'what all runs of this installation may use together',
  positionals: [],
  flags: {
    budget: {
      kind: 'list',
      value: 'KEY=N',
      doc: 'calls, tool_calls, tokens[_in|_out], cost, bytes[_in|_out|_written], wall_time, cpu or concurrency, of one class as net.calls; together they replace what was set',
    },
    none: { kind: 'switch', doc: 'no shared limits from now on' },
    json: JSON_FLAG,
  },
  notes: [
    'Without flags: what is set, spent, and held by runs. Limits hold for runs that start afterwards. For example: authority budget limit --budget cost=$50',
  ],
} as const satisfies Verb

export const BUDGET_ADJUST = {
  summary: 'take back what an effect was charged beyond what it used',
  positionals: ['RUN', 'EFFECT?'],
  flags: {
    actual: { kind: 'list', value: 'KEY=N', doc: 'what the effect really used: cost=$0.12, calls=0, …; what is not named stays as it is' },
    reason: { kind: 'text', value: 'TEXT', doc: 'why, for the record' },
    json: JSON_FLAG,
  },
  notes: [
    RUN_NOTE,
    'Without EFFECT: those that may be adjusted, and what they are charged. An effect whose outcome is not known, or that used more than was reserved, is charged in full; who learns what it really used may lower that, and never raise it.',
    'The run must be over. Its log stays as it is: the adjustment is a signed record of the installation log, which `authority audit verify` proves.',
  ],
} as const satisfies Verb
