/** Whole-file operations and the checks a path must pass before the log trusts it. */
import { auditError, ioError } from './errors.ts'
import type { AuditFs, FileFacts } from './fs.ts'
import { SECTOR_BYTES } from './limits.ts'

const GROUP_OR_OTHERS = 0o077
const WRITABLE_BY_OTHERS = 0o022
const STICKY = 0o1000
const WORLD_WRITABLE = 0o002

export function joinPath(folder: string, name: string): string {
  return folder.endsWith('/') ? folder + name : `${folder}/${name}`
}

export function parentOf(path: string): string {
  const cut = path.replace(/\/+$/, '').lastIndexOf('/')
  return cut < 0 ? '.' : cut === 0 ? '/' : path.slice(0, cut)
}

/**
 * A folder is trusted with logs and keys when it is a real folder (no symbolic link), ours, closed to everyone else, and nobody else may
 * rename the folders above it (world-writable without the sticky bit). Throws E_AUDIT.
 */
export function checkFolder(fs: AuditFs, path: string): void {
  const facts = fs.lstat(path)
  if (!facts) throw auditError(`The folder ${path} does not exist.`)
  if (facts.kind !== 'folder')
    throw auditError(
      `${path} is ${facts.kind === 'symlink' ? 'a symbolic link' : 'not a folder'}: the audit log does not follow it.`,
      'Set AUTHORITY_HOME to the real folder.',
    )
  if (facts.uid !== fs.uid)
    throw auditError(`The folder ${path} belongs to uid ${facts.uid}, not to ${fs.uid}.`, 'Set AUTHORITY_HOME to a folder of your own.')
  if (facts.mode & GROUP_OR_OTHERS)
    throw auditError(`The folder ${path} is open to others (mode ${facts.mode.toString(8)}).`, `Run: chmod 700 ${path}`)
  for (let above = parentOf(fs.realPath(path)); ; above = parentOf(above)) {
    const mode = fs.lstat(above)?.mode ?? 0
    if (mode & WORLD_WRITABLE && !(mode & STICKY))
      throw auditError(
        `The folder ${above} above the audit log may be changed by everyone (mode ${mode.toString(8)}).`,
        `Run: chmod o-w ${above}`,
      )
    if (above === '/' || above === '.') return
  }
}

/** The same for an open file: regular, ours, one name, writable by nobody else. */
export function checkFile(fs: AuditFs, fd: number, path: string): FileFacts {
  const facts = fs.stat(fd)
  if (facts.kind !== 'file') throw auditError(`${path} is not a regular file.`)
  if (facts.uid !== fs.uid) throw auditError(`${path} belongs to uid ${facts.uid}, not to ${fs.uid}.`)
  if (facts.links !== 1) throw auditError(`${path} has ${facts.links} names: someone linked it elsewhere.`)
  if (facts.mode & WRITABLE_BY_OTHERS)
    throw auditError(`${path} may be changed by others (mode ${facts.mode.toString(8)}).`, `Run: chmod 600 ${path}`)
  return facts
}

/** Makes the folder if it is not there, then checks it. */
export function ensureFolder(fs: AuditFs, path: string): void {
  try {
    if (!fs.lstat(path)) {
      fs.makeFolder(path)
      fs.syncFolder(parentOf(path))
    }
  } catch (error) {
    // Another process was first: the check below decides.
    if ((error as { code?: unknown }).code !== 'EEXIST') throw ioError('make', path, error)
  }
  checkFolder(fs, path)
}

/** Bytes [from, to), all of them, at `position` of the file. A short write is continued; a write of nothing is an error. */
export function writeFully(fs: AuditFs, fd: number, bytes: Uint8Array, position: number, from = 0, to = bytes.length): void {
  for (let done = from; done < to; ) {
    const n = fs.write(fd, bytes, done, to, position + done - from)
    if (n <= 0) throw new RangeError('the system wrote nothing')
    done += n
  }
}

/** Bytes [from, to) of an open file; shorter when it ends before. */
export function readRange(fs: AuditFs, fd: number, from: number, to: number): Uint8Array {
  const bytes = new Uint8Array(Math.max(0, to - from))
  let done = 0
  while (done < bytes.length) {
    const n = fs.read(fd, bytes.subarray(done), from + done)
    if (n <= 0) break
    done += n
  }
  return bytes.subarray(0, done)
}

/** A file of ours as a whole, null when there is none. Throws E_AUDIT when larger than `max`. */
export function readWhole(fs: AuditFs, path: string, max: number): Uint8Array | null {
  if (!fs.lstat(path)) return null
  const fd = fs.open(path, 'read')
  try {
    const { size } = checkFile(fs, fd, path)
    if (size > max) throw auditError(`${path} has ${size} bytes; at most ${max} are expected.`)
    return readRange(fs, fd, 0, size)
  } finally {
    fs.close(fd)
  }
}

/** A new file whose bytes are on stable storage; the caller syncs the folder. Throws when it exists. */
export function createFile(fs: AuditFs, path: string, bytes: Uint8Array): void {
  const fd = fs.open(path, 'create')
  try {
    writeFully(fs, fd, bytes, 0)
    fs.datasync(fd)
  } finally {
    fs.close(fd)
  }
}

/** Whether a sector's share of the bytes at `offset` of a file reads as zeros: what a torn write leaves. No whole frame or note has one. */
export function hasLostSector(bytes: Uint8Array, offset: number): boolean {
  for (let from = 0; from < bytes.length; ) {
    const to = Math.min(bytes.length, from + SECTOR_BYTES - ((offset + from) % SECTOR_BYTES))
    if (bytes.subarray(from, to).every((b) => b === 0)) return true
    from = to
  }
  return false
}
