/** Opens an existing log for appending: checked, its torn tail copied aside and cut off, its last checkpoint held against it. */
import { CheckpointFile, type LastCheckpoint, lastCheckpoint } from './checkpoints.ts'
import { auditError, ioError } from './errors.ts'
import { checkFile, createFile, joinPath } from './files.ts'
import { sameBytes, sha256, toHex } from './hash.ts'
import { Log, type LogSettings, type LogState, removeUnfinished } from './log.ts'
import type { NoteVerifier } from './note.ts'
import { type OnRecord, type ScanResult, scanLog } from './scan.ts'
import { segmentName } from './segment.ts'

export interface Reopened {
  readonly log: Log
  readonly checkpoints: CheckpointFile
  /** Size of the tree at the last checkpoint; 0 when there is none. */
  readonly checkpointSize: number
  /** What was cut off, or null. */
  readonly cut: { readonly bytes: number; readonly sha256: string } | null
}

/** The caller holds the lock. `from` as in scanLog. Throws E_AUDIT when the log is damaged beyond what a crash does. */
export function reopenLog(settings: LogSettings, verifier: NoteVerifier, from: number, onRecord: OnRecord): Reopened {
  const { fs, folder } = settings
  const last = lastCheckpoint(fs, folder, verifier)
  let seen = last.checkpoint === null
  const scan = scanLog(fs, folder, from, (frame, size, root) => {
    if (size === last.checkpoint?.size) seen = agrees(last, root(), folder)
    onRecord(frame, size, root)
  })
  if (!seen) checkUnseen(last, scan.state, folder)
  if (last.checkpoint && last.checkpoint.origin !== scan.state.header.origin)
    throw auditError(`The checkpoints in ${folder} are of another log.`)
  const cut = cutTail(settings, scan, last)
  removeUnfinished(fs, folder)
  return {
    log: reopenSegment(settings, scan),
    checkpoints: openCheckpoints(settings, last),
    checkpointSize: last.checkpoint?.size ?? 0,
    cut,
  }
}

function agrees(last: LastCheckpoint, root: Uint8Array, folder: string): true {
  if (last.checkpoint && !sameBytes(last.checkpoint.root, root))
    throw auditError(
      `The audit log in ${folder} does not have the root its checkpoint of ${last.checkpoint.size} records signed.`,
      `Look with: authority audit verify ${folder}`,
    )
  return true
}

/** The checkpoint lies before what was scanned, or beyond the end. */
function checkUnseen(last: LastCheckpoint, state: LogState, folder: string): void {
  const size = last.checkpoint?.size ?? 0
  if (size > state.range.size)
    throw auditError(
      `The audit log in ${folder} has ${state.range.size} records, its checkpoint ${size}: records are missing.`,
      `Look with: authority audit verify ${folder}`,
    )
  if (size === state.header.firstSeq) agrees(last, state.header.range.root(), folder)
}

function cutTail(settings: LogSettings, scan: ScanResult, last: LastCheckpoint): Reopened['cut'] {
  const { fs, folder } = settings
  const bytes = scan.tailBytes.length + last.torn.length
  if (bytes === 0) return null
  const aside = new Uint8Array(bytes)
  aside.set(scan.tailBytes)
  aside.set(last.torn, scan.tailBytes.length)
  const digest = toHex(sha256(aside))
  const path = joinPath(folder, `tail-${scan.state.range.size}-${digest.slice(0, 16)}.bin`)
  try {
    // The same tail may have been copied by a recovery that crashed after it: an unfinished copy is made again.
    if (fs.lstat(path)) fs.remove(path)
    createFile(fs, path, aside)
    fs.syncFolder(folder)
  } catch (error) {
    throw ioError('copy the torn tail to', path, error)
  }
  return { bytes, sha256: digest }
}

function reopenSegment(settings: LogSettings, scan: ScanResult): Log {
  const { fs, folder } = settings
  const path = joinPath(folder, segmentName(scan.state.header.number))
  let fd = -1
  try {
    fd = fs.open(path, 'write')
    if (checkFile(fs, fd, path).size !== scan.state.offset) {
      fs.truncate(fd, scan.state.offset)
      fs.datasync(fd)
    }
    return Log.resume(settings, scan.state, fd)
  } catch (error) {
    if (fd >= 0) fs.close(fd)
    throw ioError('reopen', path, error)
  }
}

function openCheckpoints(settings: LogSettings, last: LastCheckpoint): CheckpointFile {
  const { fs, folder } = settings
  if (fs.lstat(joinPath(folder, 'checkpoints'))) return CheckpointFile.resume(fs, folder, last.end)
  const file = CheckpointFile.create(fs, folder)
  fs.syncFolder(folder)
  return file
}
