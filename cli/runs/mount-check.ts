import { realpathSync, statSync } from 'node:fs'
import { sep } from 'node:path'
import { CliError } from './errors.ts'
import type { RunSpec } from './run-spec.ts'

/**
 * Refuses mounts that cannot be, before anything is built or begun. The gate looks again at what it opens: this is for the message's sake.
 * Throws CliError `mount`.
 */
export function assertMounts(mounts: RunSpec['mounts'], home: string): void {
  const kept = realpathSync(home)
  for (const { host } of mounts) {
    const real = resolved(host)
    if (real === kept || isWithin(real, kept) || isWithin(kept, real))
      throw new CliError(
        'mount',
        `${host} overlaps AUTHORITY_HOME (${home})`,
        'the agent could rewrite keys and logs: mount another folder, or set AUTHORITY_HOME to one outside of it',
      )
  }
}

function resolved(host: string): string {
  try {
    const real = realpathSync(host)
    if (statSync(real).isDirectory()) return real
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code
    if (code === 'ENOENT')
      throw new CliError('mount', `there is no folder ${host} to mount`, 'make it first: a mount never makes one', { cause })
    throw new CliError('mount', `${host} cannot be mounted: ${code ?? String(cause)}`, 'check the path and its permissions', { cause })
  }
  throw new CliError('mount', `${host} is not a folder`, 'mount the folder it is in')
}

function isWithin(path: string, folder: string): boolean {
  return path.startsWith(folder === '/' ? '/' : `${folder}${sep}`)
}
