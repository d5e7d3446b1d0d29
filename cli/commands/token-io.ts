import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { type Located, parseLocated } from '../config/json.ts'
import { CliError } from '../runs/errors.ts'
import type { Context } from './index.ts'
import { readNamed } from './shared.ts'
import { writeNew } from './write-new.ts'

const STDIN = 0
/** Bytes of a file with a token, a grant or a restriction. */
const MAX_BYTES = 256 * 1024
const PREFIX = 'cap1_'

/** Text of a file, or of stdin for `-`. A token itself on the command line is refused: the process list shows it to everybody. */
export function readText(given: string, what: string, cwd: string): string {
  if (given.startsWith(PREFIX))
    throw new CliError('usage', 'a token must not stand on a command line', 'others can read it there: put it into a file, or pipe it in')
  const bytes = given === '-' ? readFileSync(STDIN) : readNamed(resolve(cwd, given), what)
  if (bytes.length > MAX_BYTES) throw new CliError('usage', `${what} is larger than ${MAX_BYTES} bytes`, 'is it the right file?')
  return new TextDecoder().decode(bytes)
}

export function readToken(given: string | undefined, cwd: string): string {
  return readText(given ?? '-', 'the token', cwd).trim()
}

/** An object of JSON, strictly: a key that stands twice could hide a restriction. Throws ConfigError with line and column. */
export function readObject(given: string, what: string, cwd: string): Record<string, unknown> {
  const value = plain(parseLocated(readText(given, what, cwd), given === '-' ? 'stdin' : given))
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new CliError('usage', `${what} is not an object`, 'for example {"fs":{"read":["/work/**"]},"uses":10}')
  return value as Record<string, unknown>
}

function plain(node: Located): unknown {
  if (node.kind === 'object') return Object.fromEntries(node.members.map(({ key, value }) => [key, plain(value)]))
  if (node.kind === 'array') return node.items.map(plain)
  return node.kind === 'null' ? null : node.value
}

/** A token goes to stdout or into a file only its owner reads. */
export function writeToken(token: string, output: string | undefined, { cwd, terminal }: Context): void {
  if (output === undefined) terminal.out(token)
  else writeNew(resolve(cwd, output), `${token}\n`, 0o600)
}
