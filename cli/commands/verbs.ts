import type { Verb } from './arguments.ts'
import { BUDGET, CA, CONFIG, HOST, JSON_FLAG, MOUNT, OUTPUT, PUBLISH, RESOLVER, RUN_NOTE } from './verb-flags.ts'
import { AUDIT_CHECKPOINT, AUDIT_EXPORT, AUDIT_PROVE, AUDIT_SHOW, AUDIT_VERIFY, KEY_EXPORT, KEY_ROTATE, KEY_SHOW } from './verbs-audit.ts'
import { BUDGET_ADJUST, BUDGET_LIMIT, BUDGET_TOP, CAP_REVOKE, CAP_SEAL, CAP_WHY } from './verbs-cap.ts'
import {
  APPROVALS_ALLOW,
  APPROVALS_DENY,
  APPROVALS_LS,
  POLICY_CHECK,
  POLICY_CONTAINS,
  POLICY_DIFF,
  POLICY_LEARN,
  POLICY_RELOAD,
  POLICY_SHOW,
  POLICY_SUGGEST,
  POLICY_TEST,
  POLICY_WHY,
} from './verbs-policy.ts'

export * from './verbs-audit.ts'
export * from './verbs-policy.ts'

/** Every verb there is, as data: names, flags and words of help. Loaded for each command line, so it imports nothing that costs. */

const APPROVE_WITH = {
  kind: 'text',
  value: 'CMD',
  doc: 'let this command decide what the policy asks about: the request as JSON on its stdin, exit code 0 allows once',
} as const

export const INIT = {
  summary: 'write a small agent with its policy and config',
  positionals: ['DIR?'],
  flags: { template: { kind: 'text', value: 'NAME', doc: 'python (the default), typescript or static (C)' }, json: JSON_FLAG },
  notes: ['Existing files are never overwritten.'],
} as const satisfies Verb

export const BUILD = {
  summary: 'make an image of a program',
  positionals: ['PATH?'],
  flags: {
    config: CONFIG,
    name: { kind: 'text', short: 'n', value: 'NAME', doc: 'name of the image (otherwise made from PATH)' },
    policy: { kind: 'text', value: 'FILE', doc: 'the policy the image asks for' },
    arch: { kind: 'text', value: 'ARCH', doc: 'x86_64 or aarch64 (otherwise the program’s own)' },
    json: JSON_FLAG,
  },
  notes: [
    'PATH is a static or dynamic Linux program, a Python file or folder, or a TypeScript or JavaScript file. Left out: Program of the config.',
    'Nothing secret belongs in an image.',
  ],
} as const satisfies Verb

export const RUN = {
  summary: 'run an image or a program in a machine of its own',
  positionals: ['IMAGE|./PROGRAM?'],
  rest: 'ARGS…',
  flags: {
    config: CONFIG,
    volume: MOUNT,
    env: { kind: 'list', short: 'e', value: 'K[=V]', doc: 'environment of the agent; without =V the value of this shell' },
    publish: PUBLISH,
    policy: { kind: 'text', value: 'FILE', doc: 'what the agent may do (JSON or TOML)' },
    learn: {
      kind: 'text',
      value: 'FILE',
      doc: 'at the end, add what was refused to this policy, .json or .toml (asks first; made when it is not there)',
    },
    yes: { kind: 'switch', short: 'y', doc: 'with --learn: write without asking' },
    'approve-with': APPROVE_WITH,
    'accept-policy': { kind: 'text', value: 'ID', doc: 'accept the policy an image from elsewhere asks for' },
    budget: BUDGET,
    timeout: { kind: 'text', value: 'TIME', doc: 'end the run after 90s, 5m, 2h (exit code 124)' },
    memory: { kind: 'text', value: 'SIZE', doc: 'memory of the machine, e.g. 256MiB' },
    cpus: { kind: 'text', value: 'N', doc: 'processors of the machine (1)' },
    accel: { kind: 'text', value: 'HOW', doc: 'auto (the default), kvm, hvf or tcg' },
    require: { kind: 'text', value: 'HOW', doc: 'kvm or hvf: refuse to start with anything weaker' },
    kernel: { kind: 'text', value: 'FILE', doc: 'boot this kernel instead of Debian’s' },
    host: HOST,
    resolver: RESOLVER,
    ca: CA,
    timing: { kind: 'switch', doc: 'print when each step happened' },
    console: { kind: 'switch', doc: 'show the guest kernel’s log on stderr' },
    interactive: { kind: 'switch', short: 'i', doc: 'with -t: see there' },
    tty: { kind: 'switch', short: 't', doc: '-it: give the agent a terminal of its own; keys and control sequences pass unfiltered' },
    'no-tty': { kind: 'switch', doc: 'plain streams, control sequences shown as text (this is how it is without -it)' },
    json: { kind: 'switch-or-text', value: 'FILE', doc: 'the facts of start and end as one JSON object: last line of stderr, or in FILE' },
  },
  notes: [
    'A bare name is an image; anything with a / or an extension is a program, which is built into the cache first.',
    'Which policy holds: --policy, else Policy of the config, else the one in the image if this installation built it or --accept-policy names it, else everything outside is denied.',
    'stdout is the agent’s alone. With --json the object is the last line of stderr and begins on a line of its own: `2>&1 >/dev/null | tail -n 1`. `ended_by` in it decides; an exit code can be imitated by the guest.',
    'Exit code: the agent’s own; 124 time is up; 125 authority failed or the guest died; 126 not executable; 127 no such image or program; 128+n signal; 64 wrong usage.',
  ],
} as const satisfies Verb

export const INSPECT = {
  summary: 'show what is in an image',
  positionals: ['IMAGE'],
  flags: {
    tree: { kind: 'switch', doc: 'every file' },
    cat: { kind: 'text', value: 'PATH', doc: 'the bytes of one file' },
    policy: { kind: 'switch', doc: 'the policy it asks for' },
    json: JSON_FLAG,
  },
} as const satisfies Verb

export const IMAGES_LS = { summary: 'list images', positionals: [], flags: { json: JSON_FLAG } } as const satisfies Verb
export const IMAGES_RM = { summary: 'remove images', positionals: ['IMAGE…'], flags: { json: JSON_FLAG } } as const satisfies Verb
export const RUNS_LS = { summary: 'list runs, newest first', positionals: [], flags: { json: JSON_FLAG } } as const satisfies Verb
export const RUNS_SHOW = {
  summary: 'what is known of a run',
  positionals: ['RUN'],
  flags: { json: JSON_FLAG },
  notes: [RUN_NOTE],
} as const satisfies Verb
export const RUNS_RM = {
  summary: 'remove ended runs with their logs',
  positionals: ['RUN…'],
  flags: { json: JSON_FLAG },
  notes: [RUN_NOTE, 'The installation log keeps a line that says the run was removed, and by whom.'],
} as const satisfies Verb

export const LOGS = {
  summary: 'what happened in a run, as far as it was recorded',
  positionals: ['RUN'],
  flags: { json: JSON_FLAG },
  notes: [
    RUN_NOTE,
    'What the agent writes goes to your stdout and stderr and is not kept: the log holds its byte counts and digests. This shows those, the life of the machine and the summary; `authority audit show` shows every effect.',
  ],
} as const satisfies Verb

export const STOP = {
  summary: 'stop a run and seal its log',
  positionals: ['RUN'],
  flags: { reason: { kind: 'text', value: 'TEXT', doc: 'recorded' }, json: JSON_FLAG },
  notes: [RUN_NOTE],
} as const satisfies Verb

export const PRUNE = {
  summary: 'remove old runs and what can be made again',
  positionals: [],
  flags: {
    'dry-run': { kind: 'switch', doc: 'only say what would go' },
    'older-than': { kind: 'text', value: 'TIME', doc: 'runs that ended this long ago (7d)' },
    json: JSON_FLAG,
  },
  notes: [
    'Goes: ended runs older than that with their logs, and derived images and programs in the cache. Stays: images, running runs, the guest kernel and runtimes that need the network to come back.',
  ],
} as const satisfies Verb

export const CAP_MINT = {
  summary: 'a token of a running run, with grants of its own',
  positionals: ['RUN'],
  flags: {
    grant: { kind: 'text', value: 'FILE', doc: 'what it grants, as JSON (`-`: stdin): {"fs":{"read":["/in/**"]},"uses":10}' },
    for: { kind: 'text', value: 'TIME', doc: 'valid this long from now (1h)' },
    output: OUTPUT,
  },
  notes: [RUN_NOTE, 'Only the gate of that run has its key, and policy still decides every effect. Tokens never stand on a command line.'],
} as const satisfies Verb
export const CAP_ATTENUATE = {
  summary: 'narrow a token, offline',
  positionals: [],
  flags: {
    token: { kind: 'text', value: 'FILE', doc: 'the token (`-` or left out: stdin)' },
    restrict: { kind: 'text', value: 'FILE', doc: 'what is left of it, as JSON: {"fs":{"read":["/in/a.txt"]},"uses":1,"expires":…}' },
    for: { kind: 'text', value: 'TIME', doc: 'valid at most this long from now' },
    uses: { kind: 'text', value: 'N', doc: 'at most this many effects' },
    output: OUTPUT,
  },
} as const satisfies Verb
export const CAP_SHOW = {
  summary: 'what a token says about itself; nothing is verified',
  positionals: ['FILE?'],
  flags: { json: JSON_FLAG },
  notes: ['FILE is `-` or left out: stdin. Tokens never stand on a command line.'],
} as const satisfies Verb

export const BUDGET_SHOW = {
  summary: 'limits and spending of a run, and what refused it',
  positionals: ['RUN'],
  flags: { json: JSON_FLAG },
  notes: [RUN_NOTE, 'A budget all runs share is shown as it is now, where it refused this run.'],
} as const satisfies Verb

export const GATE_SERVE = {
  summary: 'the same gate without a machine, for development',
  positionals: [],
  rest: 'CMD…',
  flags: {
    policy: { kind: 'text', value: 'FILE', doc: 'what clients may do (needed)' },
    socket: { kind: 'text', value: 'PATH', doc: 'where to listen (otherwise in the run’s folder)' },
    keep: { kind: 'text', value: 'NAME', doc: 'tokens, revocations and counts of this gate outlive a restart under the same NAME' },
    volume: MOUNT,
    publish: PUBLISH,
    host: HOST,
    resolver: RESOLVER,
    ca: CA,
    'approve-with': APPROVE_WITH,
    budget: BUDGET,
    json: { kind: 'switch-or-text', value: 'FILE', doc: 'as with `authority run`' },
  },
  notes: [
    'CMD finds the gate by AUTHORITY_SOCKET and AUTHORITY_TOKEN_FILE. It runs on this host with all your rights: only what it sends to the gate is mediated.',
    'Exit code: CMD’s own; without CMD the gate serves until it is interrupted.',
  ],
} as const satisfies Verb

export const DOCTOR = {
  summary: 'what this machine has and lacks for running agents',
  positionals: [],
  flags: { fix: { kind: 'switch', doc: 'fetch the guest kernel, try acceleration anew, tighten the home folder' }, json: JSON_FLAG },
  notes: ['Exit code: 0 runs can start; 1 they cannot.'],
} as const satisfies Verb

export const VERSION = { summary: 'version and build', positionals: [], flags: { json: JSON_FLAG } } as const satisfies Verb

export const VERBS = {
  init: INIT,
  build: BUILD,
  run: RUN,
  inspect: INSPECT,
  'images ls': IMAGES_LS,
  'images rm': IMAGES_RM,
  'runs ls': RUNS_LS,
  'runs show': RUNS_SHOW,
  'runs rm': RUNS_RM,
  logs: LOGS,
  stop: STOP,
  prune: PRUNE,
  'audit verify': AUDIT_VERIFY,
  'audit show': AUDIT_SHOW,
  'audit prove': AUDIT_PROVE,
  'audit checkpoint': AUDIT_CHECKPOINT,
  'audit export': AUDIT_EXPORT,
  'key show': KEY_SHOW,
  'key export': KEY_EXPORT,
  'key rotate': KEY_ROTATE,
  'policy check': POLICY_CHECK,
  'policy show': POLICY_SHOW,
  'policy why': POLICY_WHY,
  'policy suggest': POLICY_SUGGEST,
  'policy test': POLICY_TEST,
  'policy diff': POLICY_DIFF,
  'policy learn': POLICY_LEARN,
  'policy contains': POLICY_CONTAINS,
  'policy reload': POLICY_RELOAD,
  'approvals ls': APPROVALS_LS,
  'approvals allow': APPROVALS_ALLOW,
  'approvals deny': APPROVALS_DENY,
  'cap mint': CAP_MINT,
  'cap attenuate': CAP_ATTENUATE,
  'cap show': CAP_SHOW,
  'cap seal': CAP_SEAL,
  'cap revoke': CAP_REVOKE,
  'cap why': CAP_WHY,
  'budget show': BUDGET_SHOW,
  'budget top': BUDGET_TOP,
  'budget limit': BUDGET_LIMIT,
  'budget adjust': BUDGET_ADJUST,
  'gate serve': GATE_SERVE,
  doctor: DOCTOR,
  version: VERSION,
} as const satisfies Readonly<Record<string, Verb>>

export type VerbName = keyof typeof VERBS

/** Verbs that are planned: answered with «later», shown nowhere. */
export const LATER: readonly string[] = [
  'cache ls',
  'cache prune',
  'guest-kernel build',
  'guest-kernel ls',
  'guest-kernel use',
  'guest-kernel rm',
]

/** What people of other tools try, and why it is not there. */
export const NEVER: Readonly<Record<string, string>> = {
  exec: 'there is no way into a running machine: no shell, no login, no second program. The agent’s own streams are its stdin and stdout; what it does is in `authority audit show RUN`',
  ssh: 'a machine has no network card, no login and no shell. The agent’s own streams are its stdin and stdout; what it does is in `authority audit show RUN`',
  attach: 'the agent’s streams belong to the `authority run` that started it',
  shell: 'a machine holds one program and no shell. `authority gate serve --policy FILE -- CMD` tries a policy on this host',
  ps: '`authority runs ls` lists runs',
}
