/**
 * One installation key follows another (FORMAT.md "Keys that follow each other"): the old key certifies the new one, the new one signs that it is there, and the
 * installation log holds the certificate. The old private key is then gone. Every step can be the last before a crash: the next start finishes or undoes it.
 */
import type { CheckpointFile } from './checkpoints.ts'
import { auditError } from './errors.ts'
import { createFile, joinPath, readWhole } from './files.ts'
import type { AuditFs } from './fs.ts'
import type { InstallationRecord } from './installation-records.ts'
import { MAX_KEY_CHAIN_BYTES, MAX_KEY_FILE_BYTES } from './limits.ts'
import type { Log } from './log.ts'
import { checkpointText, type NoteSigner, parseSigner, signerText } from './note.ts'

/** Certificates from the first key to the one in force, beside key.pub; absent when the first is still in force. */
export const KEY_CHAIN_FILE = 'key.chain'
export const KEY_FILE = 'installation.key'
const NEXT_KEY_FILE = 'installation.key.next'
const PUBLIC_KEY_FILE = 'key.pub'

export interface KeyFolders {
  readonly fs: AuditFs
  /** HOME/keys */
  readonly keys: string
  /** HOME/installation */
  readonly log: string
}

/** A private key that waits to take over, or null. Throws RangeError for one that is not a key: half of it was written, and nothing knows it. */
export function nextKey({ fs, keys }: KeyFolders): NoteSigner | null {
  const bytes = readWhole(fs, joinPath(keys, NEXT_KEY_FILE), MAX_KEY_FILE_BYTES)
  return bytes === null ? null : parseSigner(new TextDecoder().decode(bytes).trimEnd())
}

export function readKeyChain(fs: AuditFs, folder: string): string | null {
  const bytes = readWhole(fs, joinPath(folder, KEY_CHAIN_FILE), MAX_KEY_CHAIN_BYTES)
  return bytes && new TextDecoder().decode(bytes)
}

/** First half: the new key and its certificate are durable, nothing uses them yet. Returns the key and the certificate. */
export function prepareKey(
  folders: KeyFolders,
  old: NoteSigner,
  seed: Uint8Array,
): { readonly next: NoteSigner; readonly certificate: string } {
  const { fs, keys, log } = folders
  dropNextKey(folders)
  const text = signerText(old.name, seed)
  const next = parseSigner(text)
  const before = readKeyChain(fs, log) ?? ''
  const certificate = certify(before.split('authority/key-rotation/v1\n').length, old, next)
  if (before.length + certificate.length >= MAX_KEY_CHAIN_BYTES) throw auditError('The key of this installation was rotated too often.')
  createFile(fs, joinPath(keys, NEXT_KEY_FILE), new TextEncoder().encode(`${text}\n`))
  fs.syncFolder(keys)
  replaceFile(fs, log, KEY_CHAIN_FILE, `${before}${certificate}\n`)
  return { next, certificate }
}

function certify(number: number, old: NoteSigner, next: NoteSigner): string {
  const text = `authority/key-rotation/v1\n${old.name.slice('authority/'.length)}\n${number}\n${old.verifierKey}\n${next.verifierKey}\n`
  return `${text}\n${old.signature(text)}${next.signature(text)}`
}

/** The checkpoint over KEY_ROTATED is the last of the old key and the first of the new one. */
export function signByBoth(log: Log, checkpoints: CheckpointFile, old: NoteSigner, next: NoteSigner): void {
  const text = checkpointText({ origin: log.origin, size: log.size, root: log.root() })
  checkpoints.add(`${text}\n${old.signature(text)}${next.signature(text)}`)
}

/** Second half: the certificate stands in the log. The old private key is overwritten by the rename. */
export function installNextKey(folders: KeyFolders, next: NoteSigner): void {
  const { fs, keys } = folders
  fs.rename(joinPath(keys, NEXT_KEY_FILE), joinPath(keys, KEY_FILE))
  fs.syncFolder(keys)
  writePublicKey(folders, next.verifierKey)
}

export function writePublicKey({ fs, log }: KeyFolders, verifierKey: string): void {
  const now = readWhole(fs, joinPath(log, PUBLIC_KEY_FILE), MAX_KEY_FILE_BYTES)
  if (now !== null && new TextDecoder().decode(now) === `${verifierKey}\n`) return
  replaceFile(fs, log, PUBLIC_KEY_FILE, `${verifierKey}\n`)
}

/** Undoes a first half whose certificate never reached the log. */
export function dropNextKey(folders: KeyFolders): void {
  const { fs, keys, log } = folders
  const path = joinPath(keys, NEXT_KEY_FILE)
  if (!fs.lstat(path)) return
  const chain = readKeyChain(fs, log)
  const next = waitingKey(folders)
  const start = chain?.lastIndexOf('authority/key-rotation/v1\n') ?? -1
  if (chain !== null && next !== null && start >= 0 && chain.slice(start).includes(`\n${next.verifierKey}\n`)) {
    if (start === 0) fs.remove(joinPath(log, KEY_CHAIN_FILE))
    else replaceFile(fs, log, KEY_CHAIN_FILE, chain.slice(0, start))
    fs.syncFolder(log)
  }
  fs.remove(path)
  fs.syncFolder(keys)
}

/** Null too when only half of it was written. */
export function waitingKey(folders: KeyFolders): NoteSigner | null {
  try {
    return nextKey(folders)
  } catch (error) {
    if (error instanceof RangeError) return null
    throw error
  }
}

/** Whether a record is the certificate of this key. */
export function introduces(record: InstallationRecord, key: NoteSigner): boolean {
  return record.type === 'KEY_ROTATED' && record.certificate.includes(`\n${key.verifierKey}\n`)
}

/** Whole or not at all: temporary file, rename, folder. */
function replaceFile(fs: AuditFs, folder: string, name: string, text: string): void {
  const temporary = joinPath(folder, `.new-${name}`)
  if (fs.lstat(temporary)) fs.remove(temporary)
  createFile(fs, temporary, new TextEncoder().encode(text))
  fs.rename(temporary, joinPath(folder, name))
  fs.syncFolder(folder)
}
