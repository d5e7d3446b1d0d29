import { AuthorityError } from '@authority/protocol'
import { CliError } from '../runs/errors.ts'

/** Tells a person what went wrong, why and what to do; returns the exit code. */
export function reportError(error: unknown): number {
  if (error instanceof CliError) return print(error.message, error.hint, error.exitCode)
  if (error instanceof AuthorityError) return print(error.message, error.hint ?? 'see `authority doctor`', 125)
  const message = error instanceof Error ? error.message : String(error)
  return print(`a fault in authority: ${message}`, 'please report it', 70)
}

function print(message: string, hint: string, code: number): number {
  process.stderr.write(`authority: ${message}\n  ${hint}\n`)
  return code
}
