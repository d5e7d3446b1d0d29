import { realpathSync, statSync } from 'node:fs'
import { sep } from 'node:path'
import { CliError } from './errors.ts'
import type { RunSpec } from './run-spec.ts'

/** Guest paths to mount at, by what is mounted there. */
export interface MountPoints {
  readonly folders: readonly string[]
  readonly files: readonly string[]
}

/**
 * Refuses mounts that cannot be, before anything is built or begun, and tells folders from files. The gate looks again at what it opens: this is for the
 * message's sake. Throws CliError `mount`.
 */
export function checkMounts(mounts: RunSpec['mounts'], home: string): MountPoints {
  const kept = realpathSync(home)
  const files: string[] = []
  for (const { host, guest } of mounts) {
    const { real, file } = resolved(host)
    if (real === kept || isWithin(real, kept) || isWithin(kept, real))
      throw new CliError(
        'mount',
        `${host} overlaps AUTHORITY_HOME (${home})`,
        'the agent could rewrite keys and logs: mount another folder, or set AUTHORITY_HOME to one outside of it',
      )
    if (file) files.push(guest)
  }
  return { folders: mounts.map((mount) => mount.guest).filter((guest) => !files.includes(guest)), files }
}

/** In a machine no mount point lies in another mount: making it would ask the gate before the machine is armed. Throws CliError `mount`. */
export function assertSideBySide(mounts: RunSpec['mounts']): void {
  for (const { guest } of mounts) {
    const outer = mounts.find((other) => isWithin(guest, other.guest))
    if (outer !== undefined)
      throw new CliError('mount', `${guest} lies in ${outer.guest}, which is mounted too`, 'choose a guest path outside of it')
  }
}

function resolved(host: string): { readonly real: string; readonly file: boolean } {
  try {
    const real = realpathSync(host)
    const stat = statSync(real)
    if (stat.isDirectory() || stat.isFile()) return { real, file: stat.isFile() }
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code
    if (code === 'ENOENT')
      throw new CliError('mount', `there is no folder or file ${host} to mount`, 'make it first: a mount never makes one', { cause })
    throw new CliError('mount', `${host} cannot be mounted: ${code ?? String(cause)}`, 'check the path and its permissions', { cause })
  }
  throw new CliError('mount', `${host} is neither a folder nor a regular file`, 'devices, fifos and sockets are never mounted')
}

function isWithin(path: string, folder: string): boolean {
  return path.startsWith(folder === '/' ? '/' : `${folder}${sep}`)
}
