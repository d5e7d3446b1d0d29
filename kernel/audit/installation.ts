/** The installation: its key, its id, and the log that remembers every run (DESIGN 4.6). */
import type { Clock, Json, RandomBytes } from '../vocabulary/index.ts'
import { CheckpointFile } from './checkpoints.ts'
import { auditError, ioError } from './errors.ts'
import { createFile, ensureFolder, joinPath, readWhole } from './files.ts'
import type { AuditFs } from './fs.ts'
import { sha256, toHex } from './hash.ts'
import type { InstallationRecord } from './installation-records.ts'
import {
  dropNextKey,
  installNextKey,
  introduces,
  KEY_FILE,
  type KeyFolders,
  prepareKey,
  readKeyChain,
  signByBoth,
  waitingKey,
  writePublicKey,
} from './key-rotation.ts'
import { INSTALLATION_LOCK_MS, INSTALLATION_LOCK_RETRY_MS, INSTALLATION_SEGMENT_BYTES, MAX_KEY_FILE_BYTES } from './limits.ts'
import { waitForLock } from './lock.ts'
import { Log, type LogSettings } from './log.ts'
import {
  type Checkpoint,
  type NoteSigner,
  type NoteVerifier,
  parseSigner,
  parseVerifier,
  publicKeyOf,
  signCheckpoint,
  signerText,
} from './note.ts'
import { stampOf } from './payload.ts'
import { reopenLog } from './reopen.ts'
import { scanLog, segmentsIn } from './scan.ts'

/** Beside every log: the public key its checkpoints are signed with. */
export const PUBLIC_KEY_FILE = 'key.pub'
const ID_LABEL = 'authority/installation/v1'

export interface InstallationContext {
  readonly fs: AuditFs
  readonly clock: Clock
  readonly random: RandomBytes
  /** For people who look at a lock: pid, boot id, start time. */
  readonly owner: string
  readonly pause: (ms: number) => Promise<void>
}

/** Of a run: size and root (hex) of the last line about it. */
export interface LastNoted {
  readonly size: number
  readonly root: string
  readonly sealed: boolean
}

export interface Installation {
  /** 32 hex digits, made from the first public key. */
  readonly id: string
  readonly verifierKey: string
  readonly verifier: NoteVerifier
  /** The folder of the installation log. */
  readonly folder: string
  readonly context: InstallationContext
  originOf(run: string): string
  sign(checkpoint: Checkpoint): string
  /** Appends to the installation log under its lock, durably and covered by a checkpoint when it resolves. Rejects with E_AUDIT. */
  note(record: InstallationRecord): Promise<void>
  /**
   * Under the lock of the installation log: shows what it holds from segment `from` on, then appends what `decide` answers, durably. Resolves with the number
   * of the last segment, to begin with next time, and of the record appended. Rejects with E_AUDIT.
   */
  transact(
    from: number,
    see: (record: InstallationRecord, seq: number) => void,
    decide: () => InstallationRecord | null,
  ): Promise<{ readonly segment: number; readonly seq: number | null }>
  /** The last thing noted of a run, and whether it was sealed. Null: the run is unknown. */
  lastNoted(run: string): Promise<LastNoted | null>
  /** Certificates that lead from the installation's first key to this one, as key.chain holds them; null when it is the first. */
  readonly keyChain: string | null
  /** Replaces the key by a new one, certified by the old, which is erased. Refused while a run is not sealed. This object is of no more use then. Rejects with E_AUDIT. */
  rotate(): Promise<{ readonly from: string; readonly to: string; readonly certificate: string }>
}

/** `authority/HEX` is the key's name and the start of every origin. */
export function installationId(publicKey: Uint8Array): string {
  return toHex(sha256(Buffer.concat([Buffer.from(ID_LABEL), publicKey]))).slice(0, 32)
}

/**
 * The installation of this home, made when there is none: HOME/keys/installation.key and the log in HOME/installation.
 * The key is put in place last, so a key without its log is damage, never half a beginning. Throws E_AUDIT.
 */
export async function openInstallation(home: string, context: InstallationContext): Promise<Installation> {
  const keys = joinPath(home, 'keys')
  const folder = joinPath(home, 'installation')
  for (const path of [home, keys, folder]) ensureFolder(context.fs, path)
  const folders: KeyFolders = { fs: context.fs, keys, log: folder }
  const existing = readKey(context.fs, keys)
  if (existing && isSettled(folders, existing)) return withLog(existing, folders, context)
  const unlock = await lockInstallation(folder, context)
  try {
    const signer = readKey(context.fs, keys)
    return withLog(signer ? settleRotation(folders, signer, context) : create(keys, folder, context), folders, context)
  } finally {
    unlock()
  }
}

/** No rotation is under way: neither a key that waits nor a public key left behind. */
function isSettled({ fs, keys, log }: KeyFolders, signer: NoteSigner): boolean {
  const shown = readWhole(fs, joinPath(log, PUBLIC_KEY_FILE), MAX_KEY_FILE_BYTES)
  const current = shown === null || new TextDecoder().decode(shown) === `${signer.verifierKey}\n`
  return current && !fs.list(keys).some((name) => name.startsWith(`${KEY_FILE}.`))
}

/** Ends a rotation a crash interrupted: forwards when its certificate is in the log, else backwards. Returns the key then in force. */
function settleRotation(folders: KeyFolders, signer: NoteSigner, context: InstallationContext): NoteSigner {
  const next = waitingKey(folders)
  if (next === null || segmentsIn(context.fs, folders.log).length === 0) {
    dropNextKey(folders)
    writePublicKey(folders, signer.verifierKey)
    return signer
  }
  let introduced = false
  const decoder = new TextDecoder()
  const { log, checkpoints, checkpointSize, cut } = reopenLog(
    settingsOf(folders.log, context),
    parseVerifier(signer.verifierKey),
    0,
    (frame) => {
      introduced ||= introduces(JSON.parse(decoder.decode(frame.payload)) as InstallationRecord, next)
    },
  )
  try {
    if (introduced && checkpointSize < log.size) signByBoth(log, checkpoints, signer, next)
    if (!introduced && cut) commitRecord(log, checkpoints, signer, { type: 'RECOVERED', ...cut })
  } finally {
    log.close()
    checkpoints.close()
  }
  if (introduced) installNextKey(folders, next)
  else dropNextKey(folders)
  return introduced ? next : signer
}

function readKey(fs: AuditFs, keys: string): NoteSigner | null {
  const path = joinPath(keys, KEY_FILE)
  try {
    const bytes = readWhole(fs, path, MAX_KEY_FILE_BYTES)
    return bytes === null ? null : parseSigner(new TextDecoder().decode(bytes).trimEnd())
  } catch (error) {
    if (error instanceof RangeError)
      throw auditError(
        `The installation key ${path} cannot be used: ${error.message}.`,
        'Restore it from a backup; without it no log of this installation can be continued.',
      )
    throw ioError('read', path, error)
  }
}

function create(keys: string, folder: string, context: InstallationContext): NoteSigner {
  const { fs, random } = context
  const seed = random(32)
  const id = installationId(publicKeyOf(seed))
  const name = `authority/${id}`
  const text = signerText(name, seed)
  const signer = parseSigner(text)
  const temporary = joinPath(keys, `.new-${id}`)
  try {
    // What an unfinished beginning left is no one's: no key ever signed for it.
    for (const leftover of fs.list(folder)) if (leftover !== 'lock') fs.remove(joinPath(folder, leftover))
    createFile(fs, joinPath(folder, PUBLIC_KEY_FILE), new TextEncoder().encode(`${signer.verifierKey}\n`))
    const log = Log.create(settingsOf(folder, context), `${name}/installation`, Buffer.from(id, 'hex'))
    const checkpoints = CheckpointFile.create(fs, folder)
    commitRecord(log, checkpoints, signer, { type: 'INSTALLATION', installation: id, key: signer.verifierKey })
    log.close()
    checkpoints.close()
    fs.syncFolder(folder)
    createFile(fs, temporary, new TextEncoder().encode(`${text}\n`))
    fs.rename(temporary, joinPath(keys, KEY_FILE))
    fs.syncFolder(keys)
  } catch (error) {
    throw ioError('make the installation in', folder, error)
  }
  return signer
}

function settingsOf(folder: string, { fs, clock, random }: InstallationContext): LogSettings {
  return {
    fs,
    folder,
    random,
    stamp: stampOf(clock),
    segmentBytes: () => INSTALLATION_SEGMENT_BYTES,
    preallocate: false,
    maxBytes: Number.MAX_SAFE_INTEGER,
  }
}

function commitRecord(log: Log, checkpoints: CheckpointFile, signer: NoteSigner, record: InstallationRecord): void {
  log.append(record as unknown as { readonly [key: string]: Json })
  log.flush()
  checkpoints.add(signCheckpoint({ origin: log.origin, size: log.size, root: log.root() }, signer))
}

function lockInstallation(folder: string, { fs, clock, owner, pause }: InstallationContext): Promise<() => void> {
  return waitForLock(fs, folder, owner, {
    now: () => clock.monotonicMs(),
    pause,
    deadlineMs: INSTALLATION_LOCK_MS,
    retryMs: INSTALLATION_LOCK_RETRY_MS,
  })
}

function withLog(signer: NoteSigner, folders: KeyFolders, context: InstallationContext): Installation {
  const { fs } = context
  const { keys, log: folder } = folders
  const verifier = parseVerifier(signer.verifierKey)
  if (segmentsIn(fs, folder).length === 0)
    throw auditError(
      `The installation log in ${folder} is missing, and its key is there: someone removed it.`,
      'Restore it from a backup, or start a new home folder (AUTHORITY_HOME).',
    )
  return {
    id: signer.name.slice('authority/'.length),
    verifierKey: signer.verifierKey,
    verifier,
    folder,
    context,
    originOf: (run) => `${signer.name}/run/${run}`,
    sign: (checkpoint) => signCheckpoint(checkpoint, signer),
    note: async (record) => {
      const unlock = await lockInstallation(folder, context)
      try {
        // Another process may have rotated the key since: the installation log is always signed with the one in force.
        const now = readKey(fs, keys) ?? signer
        if (record.type === 'RUN_OPENED' && now.verifierKey !== signer.verifierKey)
          throw auditError('The installation key was rotated while this run was starting.', 'Start it again.')
        appendNote(record, folder, now, context)
      } finally {
        unlock()
      }
    },
    transact: async (from, see, decide) => {
      const unlock = await lockInstallation(folder, context)
      try {
        const decoder = new TextDecoder()
        scanLog(fs, folder, from, (frame) => see(JSON.parse(decoder.decode(frame.payload)) as InstallationRecord, frame.seq))
        const segment = Math.max(0, segmentsIn(fs, folder).length - 1)
        const record = decide()
        return { segment, seq: record === null ? null : appendNote(record, folder, readKey(fs, keys) ?? signer, context) }
      } finally {
        unlock()
      }
    },
    keyChain: readKeyChain(fs, folder),
    rotate: async () => {
      const unlock = await lockInstallation(folder, context)
      try {
        return rotateKey(folders, readKey(fs, keys) ?? signer, context)
      } catch (error) {
        throw ioError('rotate the key in', keys, error)
      } finally {
        unlock()
      }
    },
    lastNoted: async (run) => {
      const unlock = await lockInstallation(folder, context)
      try {
        return findRun(run, fs, folder)
      } finally {
        unlock()
      }
    },
  }
}

/** Other runs may have written since: the end is found again each time, from the last segment only. Returns the record's number. */
function appendNote(record: InstallationRecord, folder: string, signer: NoteSigner, context: InstallationContext): number {
  const segments = segmentsIn(context.fs, folder)
  const verifier = parseVerifier(signer.verifierKey)
  const { log, checkpoints, cut } = reopenLog(settingsOf(folder, context), verifier, Math.max(0, segments.length - 1), () => {})
  try {
    if (cut) commitRecord(log, checkpoints, signer, { type: 'RECOVERED', ...cut })
    commitRecord(log, checkpoints, signer, record)
    return log.size - 1
  } catch (error) {
    throw ioError('write', folder, error)
  } finally {
    log.close()
    checkpoints.close()
  }
}

/** The caller holds the lock. */
function rotateKey(
  folders: KeyFolders,
  signer: NoteSigner,
  context: InstallationContext,
): { from: string; to: string; certificate: string } {
  const running = unsealedRuns(context.fs, folders.log)
  const [first] = running
  if (first !== undefined)
    throw auditError(
      `${running.length} run(s) are not sealed, ${first} among them: a run ends under the key it began with.`,
      'Wait for them or stop them; a run that died is sealed by: authority runs ls',
    )
  const { next, certificate } = prepareKey(folders, signer, context.random(32))
  const verifier = parseVerifier(signer.verifierKey)
  const last = Math.max(0, segmentsIn(context.fs, folders.log).length - 1)
  const { log, checkpoints, cut } = reopenLog(settingsOf(folders.log, context), verifier, last, () => {})
  try {
    if (cut) commitRecord(log, checkpoints, signer, { type: 'RECOVERED', ...cut })
    log.append({ type: 'KEY_ROTATED', certificate })
    log.flush()
    signByBoth(log, checkpoints, signer, next)
  } finally {
    log.close()
    checkpoints.close()
  }
  installNextKey(folders, next)
  return { from: signer.verifierKey, to: next.verifierKey, certificate }
}

function unsealedRuns(fs: AuditFs, folder: string): readonly string[] {
  const open = new Set<string>()
  const decoder = new TextDecoder()
  scanLog(fs, folder, 0, (frame) => {
    const record = JSON.parse(decoder.decode(frame.payload)) as InstallationRecord
    if (record.type === 'RUN_OPENED') open.add(record.run)
    if (record.type === 'RUN_SEALED' || record.type === 'RUN_REMOVED') open.delete(record.run)
  })
  return [...open]
}

function findRun(run: string, fs: AuditFs, folder: string): LastNoted | null {
  let found: LastNoted | null = null
  const decoder = new TextDecoder()
  scanLog(fs, folder, 0, (frame) => {
    const record = JSON.parse(decoder.decode(frame.payload)) as InstallationRecord
    if (!('size' in record) || record.run !== run) return
    found = { size: record.size, root: record.root, sealed: record.type === 'RUN_SEALED' }
  })
  return found
}
