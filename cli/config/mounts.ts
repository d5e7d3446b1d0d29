import { posix, resolve } from 'node:path'
import { ConfigError } from './errors.ts'
import { parseDuration } from './units.ts'

/** `-v HOST:GUEST[:ro,cache=TIME]`. */
export interface MountArgument {
  /** Absolute host path, not yet looked at. */
  readonly host: string
  /** Absolute guest path in normal form. */
  readonly guest: string
  readonly readonly: boolean
  /** Seconds the guest may keep attributes and names; absent: what the mount does by itself. */
  readonly cacheSeconds?: number
}

const FORM = 'write it as HOST:GUEST, HOST:GUEST:ro or HOST:GUEST:ro,cache=30s, for example -v ./src:/workspace:ro'
/** A change on the host may be seen that much later. */
const MAX_CACHE_MS = 3_600_000
/** Mounting over these would take the machine apart. */
const RESERVED = ['/', '/proc', '/dev', '/sys', '/run', '/ak', '/app'] as const

/** Relative host paths count from `cwd`. A colon in the host path is fine: the last ones separate. Throws ConfigError. */
export function parseMount(text: string, cwd: string): MountArgument {
  const match = /^(.+?):(\/[^:]*?)(?::([^:/]*))?$/.exec(text)
  if (match === null) throw new ConfigError(undefined, `${JSON.stringify(text)} is not a mount`, FORM)
  const [, host, guest, ways] = match
  const { readonly, cacheSeconds } = waysOf(ways)
  return {
    host: resolve(cwd, host ?? ''),
    guest: checkGuestPath(guest ?? '', text),
    readonly,
    ...(cacheSeconds === null ? {} : { cacheSeconds }),
  }
}

function waysOf(text: string | undefined): { readonly readonly: boolean; readonly cacheSeconds: number | null } {
  let access: string | null = null
  let cacheSeconds: number | null = null
  for (const way of text === undefined ? [] : text.split(',')) {
    const time = /^cache=(.+)$/.exec(way)?.[1]
    if ((way === 'ro' || way === 'rw') && access === null) access = way
    else if (time !== undefined && cacheSeconds === null) cacheSeconds = cacheTime(time)
    else throw new ConfigError(undefined, `${JSON.stringify(way)} is not a way to mount`, FORM)
  }
  return { readonly: access === 'ro', cacheSeconds }
}

function cacheTime(text: string): number {
  const ms = parseDuration(text)
  if (ms % 1000 !== 0 || ms > MAX_CACHE_MS)
    throw new ConfigError(
      undefined,
      `cache=${text} is not a time to keep what a mount tells`,
      'whole seconds up to 1h, for example cache=30s',
    )
  return ms / 1000
}

function checkGuestPath(guest: string, text: string): string {
  const parts = guest.split('/')
  if (parts.includes('..') || guest.includes('\0'))
    throw new ConfigError(undefined, `the guest path of ${JSON.stringify(text)} must not contain ..`, FORM)
  const normal = posix.normalize(guest).replace(/(.)\/$/, '$1')
  const reserved = RESERVED.find((dir) => normal === dir || (dir !== '/' && normal.startsWith(`${dir}/`)))
  if (reserved !== undefined)
    throw new ConfigError(
      undefined,
      `nothing can be mounted at ${normal}: ${reserved} belongs to the machine`,
      'use /workspace, /data or a folder below /mnt',
    )
  return normal
}

/** Two mounts must not cover one another: what a path means would depend on their order. Throws ConfigError naming both. */
export function checkMountOverlap(mounts: readonly MountArgument[]): void {
  for (const [index, one] of mounts.entries())
    for (const other of mounts.slice(index + 1))
      if (one.guest === other.guest)
        throw new ConfigError(undefined, `two mounts at ${one.guest}: ${one.host} and ${other.host}`, 'give each its own guest path')
}

/** `-e K=V`, or `-e K` for the value the host's environment has. Throws ConfigError when the host has none: an empty one would hide the mistake. */
export function parseEnvArgument(
  text: string,
  hostEnv: Readonly<Record<string, string | undefined>>,
): readonly [name: string, value: string] {
  const cut = text.indexOf('=')
  const name = cut < 0 ? text : text.slice(0, cut)
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
    throw new ConfigError(undefined, `${JSON.stringify(name)} is not a name of an environment variable`, 'write it as -e NAME=VALUE')
  const value = cut < 0 ? hostEnv[name] : text.slice(cut + 1)
  if (value === undefined) throw new ConfigError(undefined, `the environment has no ${name}`, `set it, or give a value: -e ${name}=VALUE`)
  if (value.includes('\0')) throw new ConfigError(undefined, `the value of ${name} contains NUL`)
  return [name, value]
}
