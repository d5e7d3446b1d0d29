import type { Verb } from './arguments.ts'
import { HOST, JSON_FLAG, LOG_NOTE, OUTPUT, RUN_NOTE } from './verb-flags.ts'

/** Verbs about policies. */

const SOUND_NOTE =
  'A log that was tampered with (exit code 1) or cannot be read (4) is refused; of one that is not sealed yet that is said.'

export const POLICY_CHECK = {
  summary: 'does a policy load? what is wrong, and where?',
  positionals: ['FILE'],
  flags: { host: HOST, json: JSON_FLAG },
} as const satisfies Verb
export const POLICY_SHOW = {
  summary: 'a policy in full: expanded, with what is always denied',
  positionals: ['FILE'],
  flags: { host: HOST, json: JSON_FLAG },
} as const satisfies Verb
export const POLICY_WHY = {
  summary: 'would this be allowed, and by which rule?',
  positionals: ['PERMISSION', 'OBJECT'],
  flags: { policy: { kind: 'text', value: 'FILE', doc: 'the policy to ask' }, host: HOST, json: JSON_FLAG },
  notes: [
    'For example: authority policy why fs.write /workspace/out/a.txt --policy policy.json',
    'PERMISSION is fs.look, fs.read, fs.write, net.dns, net.connect, net.listen, tools or infer. Without --policy: `policy.json` here.',
    'Exit code: 0 allowed, 1 denied.',
  ],
} as const satisfies Verb
export const POLICY_SUGGEST = {
  summary: 'one policy that allows what a run was refused',
  positionals: ['RUN|PATH'],
  flags: { output: OUTPUT, json: JSON_FLAG },
  notes: [
    LOG_NOTE,
    SOUND_NOTE,
    'It is the policy of the run with what was refused added, literally; where that file has changed since or is gone, only what was refused. Read it first: the agent chose what it tried.',
  ],
} as const satisfies Verb

export const POLICY_TEST = {
  summary: 'expected verdicts, checked; which rules they cover',
  positionals: ['FILE'],
  flags: { policy: { kind: 'text', value: 'FILE', doc: 'the policy to test' }, host: HOST, json: JSON_FLAG },
  notes: [
    'FILE (JSON or TOML): {"version": "1.0", "allow": ["fs.read /work/a"], "ask": [], "deny": ["net.connect example.com:443"]}; an entry may be {"effect": "tools http.get", "args": {…}, "rule": "/tools/allow/0"}.',
    'Without --policy: `policy.json` here. Exit code: 0 all as expected, 1 not.',
  ],
} as const satisfies Verb
export const POLICY_DIFF = {
  summary: 'what the second policy newly allows and denies',
  positionals: ['BEFORE', 'AFTER'],
  flags: {
    run: { kind: 'text', value: 'RUN|PATH', doc: 'also: what AFTER would have decided differently in this run' },
    host: HOST,
    json: JSON_FLAG,
  },
  notes: [SOUND_NOTE],
} as const satisfies Verb
export const POLICY_LEARN = {
  summary: 'add to a policy what a run was refused, after asking',
  positionals: ['RUN|PATH'],
  flags: {
    policy: { kind: 'text', value: 'FILE', doc: 'the policy to add to, .json or .toml; made when it is not there (policy.json)' },
    level: { kind: 'text', value: 'HOW', doc: 'literal (exactly what was refused), folder or glob where several share a place' },
    yes: { kind: 'switch', short: 'y', doc: 'write without asking' },
    json: JSON_FLAG,
  },
  notes: [
    LOG_NOTE,
    SOUND_NOTE,
    'What would make the host run something later is never proposed. Read what it shows: the agent chose what it tried.',
  ],
} as const satisfies Verb
export const POLICY_CONTAINS = {
  summary: 'does one policy lie inside another?',
  positionals: ['PARENT', 'CHILD'],
  flags: { host: HOST, json: JSON_FLAG },
  notes: ['Exit code: 0 yes (proved), 1 no (with an effect that shows it), 2 it cannot tell.'],
} as const satisfies Verb

export const POLICY_RELOAD = {
  summary: 'put a running run under another policy',
  positionals: ['RUN', 'FILE'],
  flags: { json: JSON_FLAG },
  notes: [
    RUN_NOTE,
    'It decides from the next effect on; what is open and no longer allowed is closed at once: connections, files, published ports. Budgets can be lowered, never raised, and not below what is spent. A file that does not load changes nothing.',
  ],
} as const satisfies Verb
export const APPROVALS_LS = {
  summary: 'what waits for a person',
  positionals: ['RUN'],
  flags: { json: JSON_FLAG },
  notes: [RUN_NOTE],
} as const satisfies Verb
export const APPROVALS_ALLOW = {
  summary: 'approve one request of a run',
  positionals: ['RUN', 'ID'],
  flags: { 'for-run': { kind: 'switch', doc: 'also every identical request until the run ends' }, json: JSON_FLAG },
  notes: [RUN_NOTE, 'ID is the beginning of the one `authority approvals ls` shows: exactly that request, with exactly its arguments.'],
} as const satisfies Verb
export const APPROVALS_DENY = {
  summary: 'refuse one request of a run',
  positionals: ['RUN', 'ID'],
  flags: { json: JSON_FLAG },
  notes: [RUN_NOTE],
} as const satisfies Verb
