import { AuthorityError, type ErrorCode } from '@authority/protocol'
import { CliError, type CliErrorCode } from '../runs/errors.ts'
import type { Terminal } from './terminal.ts'
import { safeLines } from './text.ts'

export interface ReportOptions {
  readonly terminal: Terminal
  /** Shows the stack trace too. */
  readonly debug: boolean
  /** The verb that failed; null when it was not even found. */
  readonly verb: string | null
  readonly json: boolean
}

interface Report {
  readonly code: string
  readonly message: string
  readonly hint: string
  readonly exitCode: number
}

const EXIT_USAGE = 64
const EXIT_INTERNAL = 70
const EXIT_FAILED = 125
const EXIT_UNREADABLE = 4

/** Tells a person (or with --json a program) what went wrong, why and what to do; answers the exit code. */
export function reportError(error: unknown, { terminal, debug, verb, json }: ReportOptions): number {
  const report = describe(error, verb)
  if (json)
    terminal.note(JSON.stringify({ error: { code: report.code, message: report.message, hint: report.hint }, exit_code: report.exitCode }))
  else {
    const { red, dim } = terminal.style
    terminal.note(`${red('authority:')} ${safeLines(report.message).replaceAll('\n', '\n  ')}`)
    terminal.note(dim(`  ${safeLines(report.hint).replaceAll('\n', '\n  ')}`))
  }
  if (debug) for (let at = error; at instanceof Error; at = at.cause) terminal.note(safeLines(at.stack ?? at.message))
  return report.exitCode
}

function describe(error: unknown, verb: string | null): Report {
  const startsRuns = verb === 'run' || verb === 'gate serve'
  if (error instanceof CliError) {
    const { code, message, hint } = error
    return { code, message, hint, exitCode: startsRuns || MISTAKES.has(code) ? atMost(error.exitCode, startsRuns) : EXIT_INTERNAL }
  }
  if (error instanceof AuthorityError) return describeAuthorityError(error, verb, startsRuns)
  const message = error instanceof Error ? error.message : String(error)
  return {
    code: 'internal',
    message: `a fault in authority: ${message}`,
    hint: 'please report it; --debug shows where it happened',
    exitCode: startsRuns ? EXIT_FAILED : EXIT_INTERNAL,
  }
}

/** What the user can put right on the command line or in the files named there. */
const MISTAKES: ReadonlySet<CliErrorCode> = new Set([
  'usage',
  'not_found',
  'not_executable',
  'wrong_architecture',
  'config',
  'policy',
  'mount',
])

/** 125…127 mean something only where a run was to start. */
function atMost(exitCode: number, startsRuns: boolean): number {
  return startsRuns || exitCode < EXIT_FAILED ? exitCode : EXIT_USAGE
}

const MISTAKEN_CODES: ReadonlySet<ErrorCode> = new Set([
  'E_NOT_FOUND',
  'E_EXISTS',
  'E_CONFLICT',
  'E_POLICY_DENY',
  'E_CAP_INVALID',
  'E_CAP_EXPIRED',
  'E_CAP_RUN',
])

/** By name, not by class: the class would load its whole library for every other error. */
function describeAuthorityError(error: AuthorityError, verb: string | null, startsRuns: boolean): Report {
  const { code, message, name } = error
  const hint = error.hint ?? '`authority doctor` checks this machine'
  if (name === 'ConfigError') return { code: 'config', message, hint: error.hint ?? 'see `authority help`', exitCode: EXIT_USAGE }
  if (name === 'PolicyLoadError')
    return { code: 'policy', message, hint: '`authority policy check FILE` checks it again after the change', exitCode: EXIT_USAGE }
  if (name === 'ImageError') {
    const fault = (error as AuthorityError & { readonly fault?: string }).fault ?? ''
    return { code: fault, message, hint, exitCode: imageExit(fault, startsRuns) }
  }
  if (verb === 'audit verify' || verb === 'audit show') return { code, message, hint, exitCode: EXIT_UNREADABLE }
  return { code, message, hint, exitCode: startsRuns ? EXIT_FAILED : MISTAKEN_CODES.has(code) ? EXIT_USAGE : EXIT_INTERNAL }
}

function imageExit(fault: string, startsRuns: boolean): number {
  if (startsRuns) return fault === 'not-found' ? 127 : fault === 'not-executable' ? 126 : EXIT_FAILED
  return fault === 'corrupt' || fault === 'unavailable' || fault === 'host-io' ? EXIT_INTERNAL : EXIT_USAGE
}
