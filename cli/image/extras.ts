import { lstatSync } from 'node:fs'
import { basename } from 'node:path'
import { type Entry, fileEntry, hostFile } from './entries.ts'
import { errnoOf, ImageError } from './errors.ts'
import { folderEntries } from './host-folder.ts'

/** A host file or folder that is copied into the image. */
export interface Extra {
  readonly host: string
  /** Absolute path in the image it gets. */
  readonly guest: string
}

/** Where nothing of the user's may go: what init mounts over, and what the image says about itself. */
const RESERVED = ['/proc', '/dev', '/sys', '/run', '/tmp', '/ak'] as const

/** Entries of all extras, in the order given. Symlinks that leave a folder, devices and sockets are refused. */
export function extraEntries(extras: readonly Extra[]): readonly Entry[] {
  return extras.flatMap(({ host, guest }) => {
    const reserved = RESERVED.find((dir) => guest === dir || guest.startsWith(`${dir}/`))
    if (guest === '/' || reserved !== undefined)
      throw new ImageError('bad-input', `${basename(host)} cannot go to ${guest} in the image: ${reserved ?? '/'} is not for files`, {
        hint: 'choose a path such as /data or /app',
      })
    const stat = statOf(host)
    if (stat.isDirectory()) return [...folderEntries(host, guest, { what: 'the folder' })]
    const file = hostFile(host)
    return [fileEntry(guest, file.content, (file.mode & 0o111) !== 0 ? 0o755 : 0o644, file.mtime)]
  })
}

function statOf(path: string) {
  try {
    return lstatSync(path)
  } catch (error) {
    throw new ImageError('not-found', `${path} cannot be put into the image: ${errnoOf(error)}`, {
      hint: 'check the path; relative ones count from the config file',
      cause: error,
    })
  }
}
