import { resolve } from 'node:path'
import { MAX_AUTHORITIES, parseAuthorities } from '../config/index.ts'
import { CliError } from '../runs/errors.ts'
import { readNamed } from './shared.ts'

/** Files of `--ca`, and those a config names, as certificates. Throws CliError and ConfigError. */
export function authoritiesOf(flags: readonly string[], configured: readonly string[], cwd: string): string[] {
  const all = [...configured, ...flags.map((path) => resolve(cwd, path))].flatMap((path) =>
    parseAuthorities(readNamed(path, 'the certificates'), path),
  )
  if (all.length > MAX_AUTHORITIES)
    throw new CliError('usage', `${all.length} certificate authorities are named`, `${MAX_AUTHORITIES} at most`)
  return all
}
