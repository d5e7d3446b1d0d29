import { resolve } from 'node:path'
import { isatty } from 'node:tty'
import { type Config, parseConfig, parseCount, parseDuration, parseEnvArgument, parseResolver, parseSize } from '../config/index.ts'
import { CliError } from '../runs/errors.ts'
import { isProgramPath, type RunRequest } from '../runs/prepare.ts'
import type { Arguments } from './arguments.ts'
import { authoritiesOf } from './authorities.ts'
import { parseBudgets } from './budgets.ts'
import type { Context } from './index.ts'
import { mountsOf } from './mounts.ts'
import { publishedPorts } from './published.ts'
import { hostPairs, oneOf, readNamed } from './shared.ts'
import type { RUN } from './verbs.ts'

const MIB = 1 << 20
const MIN_MEMORY_MIB = 64
const MAX_MEMORY_MIB = 1024 * 1024
const MAX_CPUS = 255
/** What the agent's terminal is called where ours has no name. */
const DEFAULT_TERM = 'xterm'
const POLICY_ID = /^[0-9a-f]{64}$/

/** Command line and config file as one request; the command line wins. Throws CliError and ConfigError. */
export function runRequest({ flags, positionals, rest }: Arguments<typeof RUN>, context: Context): RunRequest {
  const tty = wantsTerminal(flags)
  const config = flags.config === undefined ? null : readConfig(flags.config, context.cwd)
  const target = positionals[0] ?? config?.program
  if (target === undefined)
    throw new CliError(
      'usage',
      'IMAGE|./PROGRAM is missing',
      'name an image or a program, or give a config with Program: `authority help run`',
    )
  if (config !== null && config.extras.length > 0 && !isProgramPath(target))
    throw new CliError(
      'config',
      `${config.file} has Dirs, Files or MapDirs, and ${target} is an image already`,
      'they take effect when an image is built: `authority build PATH -c FILE`',
    )
  return {
    target,
    args: rest ?? [],
    configArgs: config?.args ?? [],
    env: [
      ...(tty ? [['TERM', context.env['TERM'] ?? DEFAULT_TERM]] : []),
      ...Object.entries(config?.env ?? {}),
      ...flags.env.map((text) => parseEnvArgument(text, context.env)),
    ].map((pair) => pair.join('=')),
    extras: config?.extras ?? [],
    mounts: mountsOf(flags.volume, context.cwd),
    policyPath: flags.policy === undefined ? (config?.policy ?? null) : resolve(context.cwd, flags.policy),
    configPath: flags.config === undefined ? null : resolve(context.cwd, flags.config),
    acceptPolicy: acceptedPolicy(flags['accept-policy']),
    budgets: parseBudgets(flags.budget),
    hosts: hostPairs(flags.host),
    resolver: flags.resolver.length > 0 ? parseResolver(flags.resolver) : (config?.resolver ?? { kind: 'system' }),
    authorities: authoritiesOf(flags.ca, config?.authorities ?? [], context.cwd),
    published: publishedPorts(flags.publish),
    timeoutMs: flags.timeout === undefined ? null : parseDuration(flags.timeout),
    memoryMib: memoryMib(flags.memory, config),
    cpus: flags.cpus === undefined ? (config?.cpus ?? 1) : cpus(flags.cpus),
    accel: flags.accel === undefined ? 'auto' : oneOf('accel', flags.accel, ['auto', 'kvm', 'hvf', 'tcg']),
    require: flags.require === undefined ? null : oneOf('require', flags.require, ['kvm', 'hvf']),
    kernelFile: flags.kernel === undefined ? null : resolve(context.cwd, flags.kernel),
    timing: flags.timing,
    console: flags.console,
    tty,
  }
}

/** `-it`: a terminal of the agent's own, with ours behind it. Throws CliError where we have none. */
function wantsTerminal(flags: Arguments<typeof RUN>['flags']): boolean {
  if (!flags.interactive && !flags.tty) return false
  if (flags['no-tty']) throw new CliError('usage', '-it and --no-tty contradict each other', 'give one of them')
  if (!flags.interactive || !flags.tty)
    throw new CliError('usage', '-i and -t are given together: -it', 'without them stdin, stdout and stderr are passed as they are')
  const missing = ['stdin', 'stdout'].find((_, fd) => !isatty(fd))
  if (missing !== undefined)
    throw new CliError(
      'usage',
      `-it needs a terminal, and ${missing} is none`,
      'leave -it out; stdin, stdout and stderr are passed as they are, also through pipes',
    )
  return true
}

export function readConfig(path: string, cwd: string): Config {
  return parseConfig(readNamed(resolve(cwd, path), 'the config', 'config'), path)
}

function acceptedPolicy(id: string | undefined): string | null {
  if (id === undefined) return null
  if (!POLICY_ID.test(id))
    throw new CliError(
      'usage',
      `\`${id}\` is not a policy id`,
      'it has 64 hex digits: `authority inspect IMAGE --policy` shows the policy and its id',
    )
  return id
}

function memoryMib(flag: string | undefined, config: Config | null): number | null {
  const bytes = flag === undefined ? config?.memoryBytes : parseSize(flag)
  if (bytes === undefined) return null
  const mib = Math.ceil(bytes / MIB)
  if (mib < MIN_MEMORY_MIB || mib > MAX_MEMORY_MIB) throw new CliError('usage', `--memory ${flag} is out of range`, 'from 64MiB to 1024GiB')
  return mib
}

function cpus(text: string): number {
  const number = parseCount(text)
  if (number < 1 || number > MAX_CPUS) throw new CliError('usage', `--cpus ${text} is out of range`, `from 1 to ${MAX_CPUS}`)
  return number
}
