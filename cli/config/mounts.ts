import { posix, resolve } from 'node:path'
import { ConfigError } from './errors.ts'

/** `-v HOST:GUEST[:ro]`. */
export interface MountArgument {
  /** Absolute host path, not yet looked at. */
  readonly host: string
  /** Absolute guest path in normal form. */
  readonly guest: string
  readonly readonly: boolean
}

const FORM = 'write it as HOST:GUEST or HOST:GUEST:ro, for example -v ./src:/workspace:ro'
/** Mounting over these would take the machine apart. */
const RESERVED = ['/', '/proc', '/dev', '/sys', '/run', '/ak', '/app'] as const

/** Relative host paths count from `cwd`. A colon in the host path is fine: the last ones separate. Throws ConfigError. */
export function parseMount(text: string, cwd: string): MountArgument {
  const match = /^(.+?):(\/[^:]*?)(?::(ro|rw))?$/.exec(text)
  if (match === null) {
    const mode = /^.+:\/[^:]*:([^:/]*)$/.exec(text)?.[1]
    throw new ConfigError(
      undefined,
      mode === undefined ? `${JSON.stringify(text)} is not a mount` : `${JSON.stringify(mode)} is not a way to mount`,
      FORM,
    )
  }
  const [, host, guest, mode] = match
  return { host: resolve(cwd, host ?? ''), guest: checkGuestPath(guest ?? '', text), readonly: mode === 'ro' }
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
