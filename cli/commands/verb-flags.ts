import type { Flag } from './arguments.ts'

/** Flags and sentences that several verbs share. */

export const JSON_FLAG = { kind: 'switch', doc: 'print JSON instead of text' } as const satisfies Flag
export const CONFIG = {
  kind: 'text',
  short: 'c',
  value: 'FILE',
  doc: 'config.json: Program, Args, Env, Dirs, Files, MapDirs, Policy, Memory, Cpus, Resolver, Ca',
} as const
export const MOUNT = {
  kind: 'list',
  short: 'v',
  value: 'HOST:GUEST[:ro,cache=TIME]',
  doc: 'give the agent a host folder or file; what it may do there is the policy’s',
} as const
export const HOST = { kind: 'list', value: 'NAME=ADDR', doc: 'this name is that address; counts as the rule for the address' } as const
export const PUBLISH = {
  kind: 'list',
  short: 'p',
  value: '[ADDRESS:]HOST:GUEST',
  doc: 'publish a port of the agent on this machine (loopback without an address; the policy must allow net.listen)',
} as const
export const RESOLVER = {
  kind: 'list',
  value: 'WHO',
  doc: 'whom the gate asks for addresses: system (the default), ADDRESS[:PORT] of a DNS server (several: again), or https://NAME/PATH=ADDRESS',
} as const
export const CA = {
  kind: 'list',
  value: 'FILE',
  doc: 'certificate authorities (PEM) that net.fetch and DNS over HTTPS trust beside the public ones; programs inside trust what their image holds',
} as const
export const BUDGET = {
  kind: 'list',
  value: 'KEY=N',
  doc: 'a limit: calls=100, bytes=10MiB, cost=$5, wall_time=5m, cpu=30s …; the lower of this and the policy’s holds',
} as const
export const OUTPUT = { kind: 'text', short: 'o', value: 'FILE', doc: 'write it to FILE instead of stdout' } as const
export const RUN_NOTE = 'RUN is the beginning of a run’s id as `authority runs ls` shows it, or `last`.'
export const LOG_NOTE = 'RUN|PATH is a run of this installation, or (with a / in it) the folder of a log from anywhere.'
