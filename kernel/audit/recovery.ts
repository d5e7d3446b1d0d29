/** Finishes the log of a run whose gate died: cuts a torn tail off, says so, charges what is unknown in full, and seals. */
import type { Json } from '../vocabulary/index.ts'
import { CHECKPOINTS_FILE } from './checkpoints.ts'
import { auditError, ioError } from './errors.ts'
import { checkFolder, joinPath, readWhole } from './files.ts'
import { toHex } from './hash.ts'
import { type Installation, PUBLIC_KEY_FILE } from './installation.ts'
import { Ledger } from './ledger.ts'
import { MAX_KEY_FILE_BYTES, SEGMENT_HEADER_BYTES } from './limits.ts'
import { tryLock } from './lock.ts'
import { type RunLogTuning, runLogSettings } from './open.ts'
import { type Reopened, reopenLog } from './reopen.ts'
import { segmentsIn } from './scan.ts'
import { segmentName } from './segment.ts'
import type { RecordBody } from './types.ts'

/** As a run that failed: `authority` answers 125 when the gate died (DESIGN 5). */
const CRASH_EXIT_CODE = 125

export type Recovery =
  /** It was sealed already, or only the last steps of sealing were missing and were done. */
  | { readonly state: 'sealed'; readonly size: number; readonly root: string }
  | {
      readonly state: 'recovered'
      readonly size: number
      readonly root: string
      readonly cutBytes: number
      readonly unknownEffects: number
    }
  /** The crash came before the first record was durable: nothing had happened, the folder can be removed. */
  | { readonly state: 'never-started' }
  /** Its gate still writes it. */
  | { readonly state: 'live' }

export interface RecoverOptions extends RunLogTuning {
  readonly path: string
  readonly installation: Installation
}

/** Throws E_AUDIT when the log is damaged in a way no crash explains: then nothing was changed, and `authority audit verify` says where. */
export async function recoverRun(options: RecoverOptions): Promise<Recovery> {
  const { path, installation } = options
  const { fs, owner } = installation.context
  checkFolder(fs, path)
  const unlock = tryLock(fs, path, owner)
  if (!unlock) return { state: 'live' }
  try {
    if (neverStarted(options)) return await forget(options)
    if (!sameKey(options)) return await underEarlierKey(options)
    return await finish(options)
  } catch (error) {
    throw ioError('recover', path, error)
  } finally {
    unlock()
  }
}

function neverStarted({ path, installation: { context } }: RecoverOptions): boolean {
  const { fs } = context
  const segments = segmentsIn(fs, path)
  if (segments.length === 0) return true
  const first = fs.lstat(joinPath(path, segmentName(0)))
  const checkpoints = fs.lstat(joinPath(path, CHECKPOINTS_FILE))
  return segments.length === 1 && (checkpoints?.size ?? 0) === 0 && ((first?.size ?? 0) < SEGMENT_HEADER_BYTES || isBlank(fs, path))
}

/** Header or first record never became durable. */
function isBlank(fs: RecoverOptions['installation']['context']['fs'], path: string): boolean {
  const fd = fs.open(joinPath(path, segmentName(0)), 'read')
  try {
    const head = new Uint8Array(SEGMENT_HEADER_BYTES + 8)
    const n = fs.read(fd, head, 0)
    return n < head.length || head.subarray(0, 8).every((b) => b === 0) || head.subarray(SEGMENT_HEADER_BYTES).every((b) => b === 0)
  } finally {
    fs.close(fd)
  }
}

/** Whether the log is signed with the key in force. */
function sameKey({ path, installation }: RecoverOptions): boolean {
  const bytes = readWhole(installation.context.fs, joinPath(path, PUBLIC_KEY_FILE), MAX_KEY_FILE_BYTES)
  return bytes === null || new TextDecoder().decode(bytes) === `${installation.verifierKey}\n`
}

/** The key was rotated since, which waits for every run that stands in the installation log: this one is sealed, or its start was never noted and nothing ran. */
async function underEarlierKey(options: RecoverOptions): Promise<Recovery> {
  const { path, installation } = options
  const run = runOfFolder(installation, path)
  const noted = run === null ? null : await installation.lastNoted(run)
  if (!noted) return { state: 'never-started' }
  if (!noted.sealed)
    throw auditError(
      `The log in ${path} is signed with another key than that of this installation.`,
      `Look with: authority audit verify ${path}`,
    )
  return { state: 'sealed', size: noted.size, root: noted.root }
}

async function forget({ path, installation }: RecoverOptions): Promise<Recovery> {
  const run = runOfFolder(installation, path)
  const noted = run === null ? null : await installation.lastNoted(run)
  if (noted)
    throw auditError(
      `The log of run ${run} in ${path} is empty, and the installation log knows ${noted.size} records of it.`,
      'Restore it from a backup; someone shortened it.',
    )
  return { state: 'never-started' }
}

/** The run a folder belongs to, from its segment header when it is whole. */
function runOfFolder(installation: Installation, path: string): string | null {
  const { fs } = installation.context
  if (!fs.lstat(joinPath(path, segmentName(0)))) return runNamedIn(path)
  const fd = fs.open(joinPath(path, segmentName(0)), 'read')
  try {
    const id = new Uint8Array(16)
    return fs.read(fd, id, 24) === 16 && id.some((b) => b !== 0) ? toHex(id) : runNamedIn(path)
  } finally {
    fs.close(fd)
  }
}

function runNamedIn(path: string): string | null {
  return path.split('/').find((part) => /^[0-9a-f]{32}$/.test(part)) ?? null
}

async function finish(options: RecoverOptions): Promise<Recovery> {
  const { path, installation } = options
  const ledger = new Ledger()
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let opening: Extract<RecordBody, { type: 'RUN_START' }> | null = null
  const reopened = reopenLog(
    runLogSettings({ ...options, preallocate: false, maxBytes: Number.MAX_SAFE_INTEGER }),
    installation.verifier,
    0,
    (frame) => {
      const body = JSON.parse(decoder.decode(frame.payload)) as RecordBody
      if (body.type === 'RUN_START') opening = body
      ledger.note(frame.seq, body)
    },
  )
  try {
    return await finishReopened(reopened, ledger, opening, path, installation)
  } finally {
    reopened.log.close()
    reopened.checkpoints.close()
  }
}

async function finishReopened(
  reopened: Reopened,
  ledger: Ledger,
  opening: Extract<RecordBody, { type: 'RUN_START' }> | null,
  path: string,
  installation: Installation,
): Promise<Recovery> {
  const { log } = reopened
  if (log.size === 0 && reopened.checkpointSize === 0) return forget({ path, installation })
  if (!opening) throw auditError(`The log in ${path} does not begin with RUN_START.`)
  const { run, operator_uid, build, policy } = opening
  const noted = await installation.lastNoted(run)
  if (noted && noted.size > log.size)
    throw auditError(
      `The log of run ${run} has ${log.size} records; the installation log knows ${noted.size}.`,
      'Restore it from a backup; someone shortened it.',
    )
  // After RUN_END only a note can be torn: nothing of the run is missing.
  const wasEnded = ledger.last === 'RUN_END'
  const unknownEffects = wasEnded ? 0 : appendEnding(reopened, ledger)
  const head = { run, size: log.size, root: toHex(log.root()), chain: toHex(log.chain) }
  if (reopened.checkpointSize < log.size)
    reopened.checkpoints.add(installation.sign({ origin: log.origin, size: log.size, root: log.root() }))
  if (!noted) await installation.note({ type: 'RUN_OPENED', origin: log.origin, operator_uid, build, policy, ...head })
  if (!noted?.sealed) await installation.note({ type: 'RUN_SEALED', ended_by: wasEnded ? 'seal finished by recovery' : 'crash', ...head })
  return wasEnded
    ? { state: 'sealed', size: head.size, root: head.root }
    : { state: 'recovered', size: head.size, root: head.root, cutBytes: reopened.cut?.bytes ?? 0, unknownEffects }
}

function appendEnding({ log, cut }: Reopened, ledger: Ledger): number {
  const append = (body: RecordBody): void => {
    ledger.note(log.append(body as unknown as { readonly [key: string]: Json }), body)
  }
  append({ type: 'RECOVERED', bytes: cut?.bytes ?? 0, sha256: cut?.sha256 ?? '' })
  const closings = ledger.closings('the gate died')
  for (const closing of closings) append(closing)
  append({
    type: 'RUN_END',
    ended_by: 'crash',
    exit_code: CRASH_EXIT_CODE,
    effects: ledger.effects,
    denials: ledger.denials,
    spent: ledger.spent,
  })
  log.flush()
  return closings.length
}
