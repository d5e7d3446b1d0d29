/** Proofs that need neither us nor the log: a record is in it (c2sp.org/tlog-proof), and an earlier checkpoint is its beginning (the request a c2sp.org/tlog-witness takes). */
import { lastCheckpoint } from './checkpoints.ts'
import { crc32c } from './crc32c.ts'
import { auditError, ioError } from './errors.ts'
import { joinPath, readRange, readWhole, writeFully } from './files.ts'
import { claimedPayload, frameBytes, readFrame } from './frame.ts'
import type { AuditFs } from './fs.ts'
import { hostFs } from './fs-host.ts'
import { toBase64 } from './hash.ts'
import { FRAME_HEADER_BYTES, MAX_KEY_FILE_BYTES, MAX_NOTE_BYTES, MAX_PAYLOAD_BYTES, SEGMENT_HEADER_BYTES } from './limits.ts'
import { leafHash, verifyConsistency, verifyInclusion } from './merkle.ts'
import { type Checkpoint, type NoteVerifier, openCheckpoint, parseVerifier } from './note.ts'
import { segmentsIn } from './scan.ts'
import { decodeHeader, segmentName } from './segment.ts'
import { readPayloads } from './show.ts'
import { TILES_FOLDER, TileReader, TileWriter } from './tiles.ts'

const NOTE_FILE = 'checkpoint'
const PROOF_HEADER = 'c2sp.org/tlog-proof@v1'

export interface SignedHead {
  /** The signed note, byte for byte. */
  readonly note: string
  readonly checkpoint: Checkpoint
  readonly key: NoteVerifier
}

/** The last checkpoint of a log, its signature checked. Throws E_AUDIT. */
export function signedHead(path: string, fs: AuditFs = hostFs): SignedHead {
  const key = keyOf(path, fs)
  const { checkpoint, note } = lastCheckpoint(fs, path, key)
  if (!checkpoint || note === null) throw auditError(`The log in ${path} has no checkpoint yet: nothing of it is signed.`)
  return { note, checkpoint, key }
}

function keyOf(path: string, fs: AuditFs): NoteVerifier {
  if (fs.lstat(path)?.kind !== 'folder') throw auditError(`There is no audit log in ${path}.`)
  const file = joinPath(path, 'key.pub')
  const bytes = readWhole(fs, file, MAX_KEY_FILE_BYTES)
  if (!bytes) throw auditError(`The public key ${file} is missing.`)
  try {
    return parseVerifier(new TextDecoder().decode(bytes).trimEnd())
  } catch (error) {
    throw auditError(`The public key ${file} is not one.`, undefined, error)
  }
}

export interface InclusionProof {
  readonly head: SignedHead
  readonly index: number
  readonly record: Uint8Array
  readonly leaf: Uint8Array
  readonly hashes: readonly Uint8Array[]
  /** The `.tlog-proof` file. */
  readonly text: string
  /** False when the tiles had to be made first. */
  readonly fromStoredTiles: boolean
}

/** Proves against the last checkpoint that record `seq` is in the log. Throws E_AUDIT. */
export function proveRecord(path: string, seq: number, fs: AuditFs = hostFs): InclusionProof {
  const head = signedHead(path, fs)
  const { checkpoint, note } = head
  if (!Number.isSafeInteger(seq) || seq < 0 || seq >= checkpoint.size)
    throw auditError(
      `Record ${seq} is not covered: the last checkpoint has ${checkpoint.size} records, 0 to ${checkpoint.size - 1}.`,
      'A run that goes on signs more every minute; a sealed one is signed to its end.',
    )
  const record = recordAt(path, seq, fs)
  const leaf = leafHash(record)
  const { value: hashes, stored } = fromTiles(path, head, fs, (tiles) => {
    const proof = tiles.inclusion(seq)
    return verifyInclusion(seq, checkpoint.size, leaf, proof, checkpoint.root) ? proof : null
  })
  if (hashes === null) throw altered(path, seq)
  const text = `${PROOF_HEADER}\nindex ${seq}\n${lines(hashes)}\n${note}`
  return { head, index: seq, record, leaf, hashes, text, fromStoredTiles: stored }
}

export interface ConsistencyProof {
  readonly head: SignedHead
  readonly since: Checkpoint
  readonly hashes: readonly Uint8Array[]
  /** `old SIZE`, hashes, an empty line, the checkpoint: the body of a witness's add-checkpoint request. */
  readonly text: string
  readonly fromStoredTiles: boolean
}

/** Proves that the log still begins with what an earlier checkpoint of it signed. Throws E_AUDIT; `rewritten` in the message when it does not. */
export function proveSince(path: string, earlier: string, fs: AuditFs = hostFs): ConsistencyProof {
  const head = signedHead(path, fs)
  const { checkpoint, note, key } = head
  const since = openEarlier(earlier, key)
  if (since.origin !== checkpoint.origin)
    throw auditError(`The checkpoint is of the log ${since.origin}; this one is ${checkpoint.origin}.`)
  if (since.size > checkpoint.size)
    throw auditError(
      `The checkpoint has ${since.size} records and the log has signed ${checkpoint.size}: records are missing.`,
      `Look with: authority audit verify --anchor FILE ${path}`,
    )
  const { value: hashes, stored } = fromTiles(path, head, fs, (tiles) => {
    const proof = tiles.consistency(since.size)
    return verifyConsistency(since.size, checkpoint.size, proof, since.root, checkpoint.root) ? proof : null
  })
  if (hashes === null)
    throw auditError(
      `This log does not begin with the ${since.size} records of that checkpoint: its history was rewritten.`,
      `Look with: authority audit verify --anchor FILE ${path}`,
    )
  return { head, since, hashes, text: `old ${since.size}\n${lines(hashes)}\n${note}`, fromStoredTiles: stored }
}

function openEarlier(note: string, key: NoteVerifier): Checkpoint {
  try {
    return openCheckpoint(note, key)
  } catch (error) {
    throw auditError(
      `That is no checkpoint of this log: ${error instanceof Error ? error.message : String(error)}.`,
      'Give a file that `authority audit checkpoint` wrote for this run.',
    )
  }
}

const lines = (hashes: readonly Uint8Array[]): string => hashes.map((hash) => `${toBase64(hash)}\n`).join('')

/**
 * What `use` makes of the stored tiles, or null when even new ones do not serve: `use` answers null where a proof does not hold.
 * Stored tiles that are of another size, incomplete or wrong are made again once.
 */
function fromTiles<T>(
  path: string,
  head: SignedHead,
  fs: AuditFs,
  use: (tiles: TileReader) => T | null,
): { readonly value: T | null; readonly stored: boolean } {
  const folder = joinPath(path, TILES_FOLDER)
  const attempt = (): T | null => {
    try {
      return use(new TileReader(fs, folder, head.checkpoint.size))
    } catch (error) {
      if (error instanceof RangeError) return null
      throw error
    }
  }
  const value = storedNote(fs, folder) === head.note ? attempt() : null
  if (value !== null) return { value, stored: true }
  makeTiles(path, head, fs)
  return { value: attempt(), stored: false }
}

function storedNote(fs: AuditFs, folder: string): string | null {
  if (fs.lstat(folder)?.kind !== 'folder') return null
  const bytes = readWhole(fs, joinPath(folder, NOTE_FILE), MAX_NOTE_BYTES)
  return bytes && new TextDecoder().decode(bytes)
}

/** Makes the tiles anew from the records, the note last: without it they count as unfinished. Throws E_AUDIT. */
export function makeTiles(path: string, { checkpoint, note }: SignedHead, fs: AuditFs = hostFs): void {
  const folder = joinPath(path, TILES_FOLDER)
  try {
    if (fs.lstat(folder)) removeAll(fs, folder)
    fs.makeFolder(folder)
    const writer = new TileWriter(fs, folder)
    for (const payload of readPayloads(path, fs)) {
      if (writer.size === checkpoint.size) break
      writer.add(payload)
    }
    if (writer.size < checkpoint.size) throw altered(path, writer.size)
    writer.finish()
    const fd = fs.open(joinPath(folder, NOTE_FILE), 'create')
    try {
      writeFully(fs, fd, new TextEncoder().encode(note), 0)
    } finally {
      fs.close(fd)
    }
  } catch (error) {
    throw ioError('make the tiles in', folder, error)
  }
}

/** Only what `makeTiles` makes is removed: a link or anything foreign in there stops it. */
function removeAll(fs: AuditFs, path: string): void {
  const kind = fs.lstat(path)?.kind
  if (kind === 'file') return fs.remove(path)
  if (kind !== 'folder') throw auditError(`${path} is neither a file nor a folder: it is no tile.`, `Remove it by hand.`)
  for (const name of fs.list(path)) removeAll(fs, joinPath(path, name))
  fs.removeFolder(path)
}

/** The payload of one record: its segment by the headers, its frame by the lengths. Throws E_AUDIT. */
export function recordAt(path: string, seq: number, fs: AuditFs = hostFs): Uint8Array {
  const segments = segmentsIn(fs, path)
  let [low, high] = [0, segments.length - 1]
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (firstSeqOf(fs, path, segments[middle] as number).firstSeq <= seq) low = middle
    else high = middle - 1
  }
  const { firstSeq, saltCrc } = firstSeqOf(fs, path, segments[low] ?? 0)
  const file = joinPath(path, segmentName(segments[low] ?? 0))
  const fd = fs.open(file, 'read')
  try {
    const { size } = fs.stat(fd)
    let at = SEGMENT_HEADER_BYTES
    const window = 1024 * 1024
    let start = at
    let bytes = new Uint8Array(0)
    for (let n = firstSeq; ; n++) {
      if (at + FRAME_HEADER_BYTES + MAX_PAYLOAD_BYTES > start + bytes.length && start + bytes.length < size) {
        start = at
        bytes = readRange(fs, fd, at, Math.min(size, at + window)) as Uint8Array<ArrayBuffer>
      }
      const payload = claimedPayload(bytes, at - start)
      if (payload === null) throw altered(path, seq)
      if (n === seq) {
        const frame = readFrame(bytes, at - start, saltCrc)
        if (!frame || frame.seq !== seq) throw altered(path, seq)
        return frame.payload.slice()
      }
      at += frameBytes(payload)
    }
  } catch (error) {
    throw ioError('read', file, error)
  } finally {
    fs.close(fd)
  }
}

function firstSeqOf(fs: AuditFs, path: string, number: number): { readonly firstSeq: number; readonly saltCrc: number } {
  const file = joinPath(path, segmentName(number))
  const fd = fs.open(file, 'read')
  try {
    const { firstSeq, salt } = decodeHeader(readRange(fs, fd, 0, SEGMENT_HEADER_BYTES))
    return { firstSeq, saltCrc: crc32c(salt) }
  } catch (error) {
    throw auditError(`${file} is not a segment of an audit log: ${error instanceof Error ? error.message : String(error)}.`)
  } finally {
    fs.close(fd)
  }
}

function altered(path: string, seq: number | null): Error {
  return auditError(
    `${seq === null ? 'The records' : `Record ${seq}`} of the log in ${path} ${seq === null ? 'are' : 'is'} not what its last checkpoint signed.`,
    `Look with: authority audit verify ${path}`,
  )
}
