import { chmodSync, closeSync, fsyncSync, lstatSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import { CliError } from './errors.ts'

/** Version of the layout below. A newer one is refused; an older one is migrated in `openHome`. */
export const HOME_FORMAT = 1
const FORMAT_FILE = 'format'
/** What `writeFileAtomic` calls it until it is whole. */
const FORMAT_BEING_WRITTEN = /^format\.\d+\.tmp$/
const FORMAT_LINE = /^authority-home (\d{1,6})\n$/

/** Everything the product keeps: folders 0700, files 0600. */
export interface Home {
  readonly path: string
  /** `images/NAME/` */
  readonly images: string
  /** `runs/ID/` */
  readonly runs: string
  /** Kernels, layers, derived images: may be deleted at any time. */
  readonly cache: string
}

/** `$AUTHORITY_HOME`, else the platform's state folder. */
export function homePath(env: Readonly<Record<string, string | undefined>>): string {
  const chosen = env.AUTHORITY_HOME
  if (chosen !== undefined && chosen !== '') return resolve(chosen)
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Application Support', 'authority')
  const state = env.XDG_STATE_HOME
  return join(state !== undefined && isAbsolute(state) ? state : join(homedir(), '.local', 'state'), 'authority')
}

/** Opens the home folder, making it when absent. Throws CliError `home` for one that is foreign, writable by others, corrupt or newer. */
export function openHome(path: string): Home {
  try {
    makeDurableFolder(path)
  } catch (cause) {
    throw new CliError('home', `the home folder ${path} cannot be made: ${reason(cause)}`, 'set AUTHORITY_HOME to a folder you may write', {
      cause,
    })
  }
  assertPrivate(path)
  const format = readFormat(path)
  if (format === null) writeFileAtomic(join(path, FORMAT_FILE), `authority-home ${HOME_FORMAT}\n`)
  else if (format > HOME_FORMAT)
    throw new CliError(
      'home',
      `${path} was made by a newer authority (format ${format}; this one knows ${HOME_FORMAT})`,
      'use the newer program, or set AUTHORITY_HOME to another folder',
    )
  const home: Home = { path, images: join(path, 'images'), runs: join(path, 'runs'), cache: join(path, 'cache') }
  for (const folder of [home.images, home.runs, home.cache]) makeDurableFolder(folder)
  return home
}

function assertPrivate(path: string): void {
  const stat = lstatSync(path)
  if (!stat.isDirectory()) throw new CliError('home', `${path} is not a folder`, 'set AUTHORITY_HOME to a folder')
  const uid = process.getuid?.()
  if (uid !== undefined && stat.uid !== uid)
    throw new CliError('home', `${path} belongs to another user (uid ${stat.uid})`, 'set AUTHORITY_HOME to a folder of your own')
  if ((stat.mode & 0o022) !== 0) throw new CliError('home', `${path} can be written by other users`, `chmod 700 ${path}`)
  if ((stat.mode & 0o077) !== 0) chmodSync(path, 0o700)
}

/** The format number, or null for a folder that is still empty: another process may be making it at this moment. */
function readFormat(path: string): number | null {
  const text = readFormatFile(path)
  if (text === null) {
    const there = readdirSync(path)
    if (there.includes(FORMAT_FILE)) return readFormat(path)
    if (there.every((name) => FORMAT_BEING_WRITTEN.test(name))) return null
    throw new CliError(
      'home',
      `${path} is not empty and has no \`${FORMAT_FILE}\` file: it is not a home folder of authority`,
      'set AUTHORITY_HOME to an empty folder',
    )
  }
  const match = FORMAT_LINE.exec(text)
  if (match === null)
    throw new CliError(
      'home',
      `${join(path, FORMAT_FILE)} is corrupt`,
      'restore the folder from a backup, or set AUTHORITY_HOME to another one',
    )
  return Number(match[1])
}

function readFormatFile(path: string): string | null {
  try {
    return readFileSync(join(path, FORMAT_FILE), 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw new CliError('home', `${join(path, FORMAT_FILE)} cannot be read: ${reason(cause)}`, 'check its permissions', { cause })
  }
}

/** Whole or not at all, also after a power cut: temporary file, flush, rename, flush of the folder. Mode 0600. */
export function writeFileAtomic(path: string, content: string | Uint8Array): void {
  const temporary = `${path}.${process.pid}.tmp`
  const file = openSync(temporary, 'w', 0o600)
  try {
    const bytes = typeof content === 'string' ? Buffer.from(content) : content
    for (let written = 0; written < bytes.length; ) written += writeSync(file, bytes, written)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(temporary, path)
  syncFolder(dirname(path))
}

/** Makes what is missing of the path, 0700; its names survive a power cut. */
export function makeDurableFolder(path: string): void {
  const first = mkdirSync(path, { recursive: true, mode: 0o700 })
  if (first === undefined) return
  for (let made = path; made.length >= first.length; made = dirname(made)) syncFolder(dirname(made))
}

/** The names in a folder are on the disk when it returns. */
export function syncFolder(path: string): void {
  const folder = openSync(path, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

export function syncFolderIfReadable(path: string): void {
  try {
    syncFolder(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error
  }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
