import { existsSync, realpathSync } from 'node:fs'
import { join, resolve, sep } from 'node:path'
import { fileFault, readBounded } from '../runs/bounded-file.ts'
import { CliError } from '../runs/errors.ts'
import { type Home, homePath, openHome } from '../runs/home.ts'
import type { Context } from './index.ts'

/** What several verbs need in the same way. Nothing heavy is imported here. */

export function homeOf(context: Context): Home {
  return openHome(homePath(context.env))
}

/** Bytes of a file the user named, at most one more than any such file may have; `what` says what it is for. */
export function readNamed(path: string, what: string, code: 'usage' | 'config' | 'policy' = 'usage'): Uint8Array {
  try {
    return readBounded(path, MAX_NAMED_BYTES)
  } catch (cause) {
    throw new CliError(code, `${what} ${path} cannot be read: ${fileFault(cause)}`, 'check the path', { cause })
  }
}

/** Policies may have 4 MiB, and nothing else that is named has more: one byte beyond tells that a file is too large. */
const MAX_NAMED_BYTES = 4 * 1024 * 1024 + 1

/** One of a few words, or the CliError that names them. */
export function oneOf<const Word extends string>(flag: string, value: string, words: readonly Word[]): Word {
  const found = words.find((word) => word === value)
  if (found === undefined) throw new CliError('usage', `--${flag} cannot be \`${value}\``, `it is one of ${words.join(', ')}`)
  return found
}

/** `--host NAME=ADDR`, as many as there are. */
export function hostPairs(given: readonly string[]): (readonly [name: string, address: string])[] {
  return given.map((text) => {
    const cut = text.indexOf('=')
    if (cut < 1 || cut === text.length - 1)
      throw new CliError(
        'usage',
        `\`${text}\` is not a name with an address`,
        'write it as --host NAME=ADDR, for example --host records.example=127.0.0.1',
      )
    return [text.slice(0, cut), text.slice(cut + 1)] as const
  })
}

/** Where a log is, and what else is known of it. */
export interface LogPlace {
  /** Folder of the run's log. */
  readonly path: string
  /** 32 hex digits when it is a run of this installation. */
  readonly run: string | null
  /** HOME/installation when the log is of this installation. */
  readonly installation: string | null
}

const WHOLE_ID = /^[0-9a-f]{32}$/

/** `RUN|PATH`: with a `/` a folder (a run's or its log's), else a run of this installation. A path makes no home folder. */
export async function findLog(given: string, context: Context): Promise<LogPlace> {
  if (given.includes('/') || given === '.' || given === '..') return logAt(resolve(context.cwd, given), context)
  const home = homeOf(context)
  const { findRun } = await import('../runs/registry.ts')
  const installation = join(home.path, 'installation')
  // Also for a run whose folder is gone: whether that is tampering, the installation log decides.
  if (WHOLE_ID.test(given)) return { path: join(home.runs, given, 'audit'), run: given, installation }
  const { record, folder } = findRun(home, given)
  return { path: join(folder, 'audit'), run: record.id, installation }
}

function logAt(path: string, context: Context): LogPlace {
  const log = existsSync(join(path, 'audit', 'key.pub')) ? join(path, 'audit') : path
  const home = homePath(context.env)
  const parts = isWithin(log, join(home, 'runs')) ? log.split(sep) : []
  const run = parts.find((part) => WHOLE_ID.test(part)) ?? null
  return { path: log, run, installation: run === null ? null : join(home, 'installation') }
}

function isWithin(path: string, folder: string): boolean {
  try {
    return realpathSync(path).startsWith(`${realpathSync(folder)}${sep}`)
  } catch {
    return false
  }
}
