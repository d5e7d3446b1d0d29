import { dirname, isAbsolute, posix, resolve } from 'node:path'
import type { ResolverChoice } from '@authority/kernel/effects/net/resolver-choice'
import { ConfigError, type Place } from './errors.ts'
import { type Located, parseLocated } from './json.ts'
import { MAX_ARG_BYTES, MAX_ARGS, MAX_CONFIG_BYTES, MAX_CPUS, MAX_ENV, MAX_EXTRAS, MAX_MEMORY_BYTES, MIN_MEMORY_BYTES } from './limits.ts'
import { nearest } from './nearest.ts'
import { OPS_KEYS } from './ops-keys.ts'
import { parseResolver } from './resolver.ts'
import { parseSize } from './units.ts'

/** What a config file says; paths are absolute on the host, guest paths in the image. Absent keys are undefined or empty. */
export interface Config {
  /** The file itself, as given. */
  readonly file: string
  readonly program: string | undefined
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** From Dirs, Files and MapDirs: what is copied into the image, and where to. */
  readonly extras: readonly { readonly host: string; readonly guest: string }[]
  readonly policy: string | undefined
  readonly memoryBytes: number | undefined
  readonly cpus: number | undefined
  /** Whom the gate asks for addresses. */
  readonly resolver: ResolverChoice | undefined
  /** Files of certificate authorities. */
  readonly authorities: readonly string[]
}

const KEYS = ['Program', 'Args', 'Env', 'Dirs', 'Files', 'MapDirs', 'Policy', 'Memory', 'Cpus', 'Resolver', 'Ca'] as const
type Key = (typeof KEYS)[number]

/**
 * Reads a config file. `file` is its path; relative paths inside count from its folder, whatever the working directory is.
 * Strict: unknown and duplicate keys, wrong types and values out of range are ConfigErrors with line and column.
 */
export function parseConfig(bytes: Uint8Array, file: string): Config {
  const start = { file, line: 1, column: 1 }
  if (bytes.length > MAX_CONFIG_BYTES) throw new ConfigError(start, `the file is larger than ${MAX_CONFIG_BYTES} bytes`)
  const root = parseLocated(decode(bytes, start), file)
  if (root.kind !== 'object') throw new ConfigError(root.at, `a config is an object, not ${named(root)}`, 'start it with {')
  const found = new Map<Key, Located>()
  for (const { key, at, value } of root.members) found.set(knownKey(key, at), value)

  const dir = resolve(dirname(file))
  const get = <T>(key: Key, read: (value: Located, key: Key) => T): T | undefined => {
    const value = found.get(key)
    return value === undefined ? undefined : read(value, key)
  }
  const path = (value: Located, key: Key) => hostPath(text(value, key), dir, value.at, key)
  const extras = [
    ...(get('Dirs', (value, key) => list(value, key).map((each) => copied(each, key, dir))) ?? []),
    ...(get('Files', (value, key) => list(value, key).map((each) => copied(each, key, dir))) ?? []),
    ...(get('MapDirs', (value, key) => mapped(value, key, dir)) ?? []),
  ]
  if (extras.length > MAX_EXTRAS)
    throw new ConfigError(root.at, `more than ${MAX_EXTRAS} files and folders`, 'put them into one folder and name that in Dirs')
  return {
    file,
    program: get('Program', path),
    args: get('Args', args) ?? [],
    env: get('Env', env) ?? {},
    extras,
    policy: get('Policy', path),
    memoryBytes: get('Memory', memory),
    cpus: get('Cpus', cpus),
    resolver: get('Resolver', resolver),
    authorities: get('Ca', (value, key) => oneOrMore(value, key).map((each) => path(each, key))) ?? [],
  }
}

function decode(bytes: Uint8Array, start: Place): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new ConfigError(start, 'the file is not UTF-8 text', 'save it as UTF-8')
  }
}

function knownKey(key: string, at: Place): Key {
  const known = KEYS.find((each) => each === key)
  if (known !== undefined) return known
  const instead = OPS_KEYS.get(key)
  if (instead !== undefined) throw new ConfigError(at, `Authority has no ${key}`, instead)
  const near = nearest(key, KEYS)
  throw new ConfigError(
    at,
    `unknown key ${JSON.stringify(key)}`,
    near === undefined ? `the keys are ${KEYS.join(', ')}` : `did you mean ${near}?`,
  )
}

function wrong(value: Located, key: Key, wanted: string): ConfigError {
  return new ConfigError(value.at, `${key} must be ${wanted}, not ${named(value)}`)
}

function named(value: Located): string {
  return { object: 'an object', array: 'a list', string: 'text', number: 'a number', boolean: 'true or false', null: 'null' }[value.kind]
}

function text(value: Located, key: Key): string {
  if (value.kind !== 'string') throw wrong(value, key, 'text')
  if (value.value === '' && key !== 'Args' && key !== 'Env') throw new ConfigError(value.at, `${key} must not be empty`)
  if (value.value.includes('\0')) throw new ConfigError(value.at, `${key} contains NUL`)
  if (Buffer.byteLength(value.value) > MAX_ARG_BYTES) throw new ConfigError(value.at, `${key} is longer than ${MAX_ARG_BYTES} bytes`)
  return value.value
}

function list(value: Located, key: Key): readonly Located[] {
  if (value.kind !== 'array') throw wrong(value, key, 'a list')
  return value.items
}

function args(value: Located, key: Key): readonly string[] {
  const items = list(value, key)
  if (items.length > MAX_ARGS) throw new ConfigError(value.at, `more than ${MAX_ARGS} arguments`)
  return items.map((item) => text(item, key))
}

function env(value: Located, key: Key): Readonly<Record<string, string>> {
  if (value.kind !== 'object') throw wrong(value, key, 'an object of texts')
  if (value.members.length > MAX_ENV) throw new ConfigError(value.at, `more than ${MAX_ENV} variables`)
  return Object.fromEntries(
    value.members.map((member) => {
      if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(member.key))
        throw new ConfigError(member.at, `${JSON.stringify(member.key)} is not a name of an environment variable`)
      return [member.key, text(member.value, key)]
    }),
  )
}

function hostPath(given: string, dir: string, at: Place, key: Key): string {
  if (given.startsWith('~'))
    throw new ConfigError(at, `${key}: ~ means nothing in a file`, 'write the whole path, or one relative to this file')
  return resolve(dir, given)
}

/** Dirs and Files keep their relative path: `static/css` becomes /static/css in the image. */
function copied(value: Located, key: Key, dir: string): { host: string; guest: string } {
  const given = text(value, key)
  const guest = posix.normalize(given).replace(/(.)\/$/, '$1')
  if (isAbsolute(given) || guest === '.' || guest === '..' || guest.startsWith('../'))
    throw new ConfigError(
      value.at,
      `${key}: ${JSON.stringify(given)} is not below the folder of this file, so it has no place in the image`,
      `say where it goes: "MapDirs": { ${JSON.stringify(given)}: "/data" }`,
    )
  return { host: hostPath(given, dir, value.at, key), guest: `/${guest}` }
}

/** MapDirs: host folder (a trailing `/*` says the same) to guest folder. */
function mapped(value: Located, key: Key, dir: string): readonly { host: string; guest: string }[] {
  if (value.kind !== 'object') throw wrong(value, key, 'an object of host folder to image folder')
  return value.members.map((member) => {
    const guest = text(member.value, key)
    if (!guest.startsWith('/') || guest.split('/').includes('..'))
      throw new ConfigError(
        member.value.at,
        `${key}: ${JSON.stringify(guest)} is not an absolute path in the image`,
        `write ${JSON.stringify(`/${guest.replaceAll(/^(?:\.{0,2}\/)+/g, '')}`)}`,
      )
    const from = member.key.replace(/\/\*$/, '')
    if (from === '' || /[*?[\]]/.test(from))
      throw new ConfigError(
        member.at,
        `${key}: ${JSON.stringify(member.key)} is a pattern; only whole folders can be mapped`,
        'name the folder, or end it with /*',
      )
    return { host: hostPath(from, dir, member.at, key), guest: posix.normalize(guest).replace(/(.)\/$/, '$1') }
  })
}

function memory(value: Located, key: Key): number {
  if (value.kind === 'number') throw new ConfigError(value.at, `${key} needs a unit`, `write ${JSON.stringify(`${value.value}MiB`)}`)
  const given = text(value, key)
  let bytes: number
  try {
    bytes = parseSize(given)
  } catch (error) {
    throw error instanceof ConfigError ? new ConfigError(value.at, `${key}: ${error.message}`, error.hint) : error
  }
  if (bytes < MIN_MEMORY_BYTES || bytes > MAX_MEMORY_BYTES)
    throw new ConfigError(value.at, `${key}: ${given} is out of range`, 'from 64MiB to 1024GiB')
  return bytes
}

/** One text, or a list of DNS servers. */
function resolver(value: Located, key: Key): ResolverChoice {
  const items = oneOrMore(value, key)
  if (items.length === 0) throw new ConfigError(value.at, `${key} is empty`, 'leave it out for the resolver of this machine')
  try {
    return parseResolver(items.map((item) => text(item, key)))
  } catch (error) {
    throw error instanceof ConfigError && error.place === undefined
      ? new ConfigError(value.at, `${key}: ${error.message}`, error.hint)
      : error
  }
}

function cpus(value: Located, key: Key): number {
  if (value.kind !== 'number') throw wrong(value, key, 'a number')
  if (!Number.isInteger(value.value) || value.value < 1 || value.value > MAX_CPUS)
    throw new ConfigError(value.at, `${key}: ${value.value} is out of range`, `from 1 to ${MAX_CPUS}`)
  return value.value
}

function oneOrMore(value: Located, key: Key): readonly Located[] {
  return value.kind === 'string' ? [value] : list(value, key)
}
