import { lstatSync, readdirSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { dirEntry, type Entry, fileEntry, fileTime, hostFile, symlinkEntry } from '../entries.ts'
import { ImageError } from '../errors.ts'

/** What an agent never reads: documentation, translations, and files for package managers, linters and menus. */
const TRIMMED: readonly RegExp[] = [
  /^\/usr\/share\/(doc|man|info|locale|lintian|bug|menu|applications|pixmaps|doc-base|gcc|bash-completion|binfmts|gdb)(\/|$)/,
  /^\/usr\/lib\/(debug|valgrind)(\/|$)/,
  /^\/var(\/|$)/,
  /^\/etc\/(cron\.|init\.d|logrotate\.d|apt|dpkg|default|alternatives)/,
  /\/__pycache__(\/|$)/,
]

/**
 * An unpacked Debian package set as entries: symlinks as they are (absolute ones are right in the image), owner root, modes and times kept.
 * setuid and setgid bits go: nothing in an agent's machine may gain rights. Devices and sockets are refused: Debian ships none.
 */
export function* debEntries(root: string): Generator<Entry> {
  yield* walk(root, '')
}

function* walk(root: string, dir: string): Generator<Entry> {
  for (const raw of readdirSync(join(root, dir), { encoding: 'buffer' }).sort(Buffer.compare)) {
    const name = raw.toString('utf8')
    // a handful of CA certificate packages have such names in test data; no program needs them
    if (!Buffer.from(name).equals(raw)) continue
    const path = `${dir}/${name}`
    if (TRIMMED.some((pattern) => pattern.test(path))) continue
    const host = join(root, path)
    const stat = lstatSync(host, { bigint: true })
    if (stat.isDirectory()) {
      // a folder's time says when it was unpacked here
      yield dirEntry(path)
      yield* walk(root, path)
    } else if (stat.isSymbolicLink()) yield symlinkEntry(path, readlinkSync(host), fileTime(stat.mtimeNs))
    else if (stat.isFile()) {
      const file = hostFile(host)
      yield fileEntry(path, file.content, file.mode & 0o755, file.mtime)
    } else throw new ImageError('bad-input', `a package holds ${path}, which is a device, socket or FIFO`)
  }
}
