/** Starts the log of a run. */
import { CheckpointFile } from './checkpoints.ts'
import { COMMITMENT_KEY_BYTES, COMMITMENT_KEY_FILE, Commitments } from './commitments.ts'
import { auditError, ioError } from './errors.ts'
import { checkFolder, createFile, ensureFolder, joinPath, parentOf } from './files.ts'
import { type Installation, PUBLIC_KEY_FILE } from './installation.ts'
import { KEY_CHAIN_FILE } from './key-rotation.ts'
import { CHECKPOINT_MS, CHECKPOINT_RECORDS, DEFAULT_LOG_BYTES } from './limits.ts'
import { tryLock } from './lock.ts'
import { Log, type LogSettings } from './log.ts'
import { stampOf } from './payload.ts'
import { runSegmentBytes } from './segment.ts'
import { RunLog } from './stage.ts'
import type { RecordBody } from './types.ts'

export interface RunLogTuning {
  /** Size at which segment `number` is cut. */
  readonly segmentBytes?: (number: number) => number
  readonly preallocate?: boolean
  /** Bytes of all frames: a budget, past which nothing new is allowed. */
  readonly maxBytes?: number
  readonly checkpointRecords?: number
  /** 0: no checkpoints by time. */
  readonly checkpointMs?: number
  readonly schedule?: (flush: () => void, alone: boolean) => void
}

export interface OpenRunLogOptions extends RunLogTuning {
  /** Folder of the log, made here: it must not exist, its parent must (0700, ours). */
  readonly path: string
  readonly installation: Installation
  /** First record. `run` is 32 hex digits; the stage adds the commitment key's id and the public key to `detail`. */
  readonly start: Extract<RecordBody, { type: 'RUN_START' }>
}

/** When it resolves, RUN_START is durable, covered by a signed checkpoint, and the run stands in the installation log. Throws E_AUDIT; then nothing may start. */
export async function openRunLog(options: OpenRunLogOptions): Promise<RunLog> {
  const { path, installation, start } = options
  const { fs, owner } = installation.context
  if (!/^[0-9a-f]{32}$/.test(start.run)) throw auditError(`A run id has 32 hexadecimal digits, not ${JSON.stringify(start.run)}.`)
  if (start.installation !== installation.id) throw auditError('The first record names another installation.')
  checkFolder(fs, parentOf(path))
  if (fs.lstat(path)) throw auditError(`There is something at ${path} already: every run has a log of its own.`)
  ensureFolder(fs, path)
  const unlock = tryLock(fs, path, owner)
  if (!unlock) throw auditError(`The log ${path} is being written by another process.`)
  let run: RunLog | undefined
  try {
    run = makeRunLog(options, unlock)
    await run.begin({ ...start, detail: { ...start.detail, commitment_key: run.commitmentKeyId, key: installation.verifierKey } })
    return run
  } catch (error) {
    if (run) run.abandon()
    else unlock()
    throw ioError('start in', path, error)
  }
}

function makeRunLog(options: OpenRunLogOptions, unlock: () => void): RunLog {
  const { path, installation, start } = options
  const { fs, random } = installation.context
  const key = random(COMMITMENT_KEY_BYTES)
  createFile(fs, joinPath(path, COMMITMENT_KEY_FILE), key)
  createFile(fs, joinPath(path, PUBLIC_KEY_FILE), new TextEncoder().encode(`${installation.verifierKey}\n`))
  if (installation.keyChain !== null) createFile(fs, joinPath(path, KEY_CHAIN_FILE), new TextEncoder().encode(installation.keyChain))
  const checkpoints = CheckpointFile.create(fs, path)
  const settings = runLogSettings({ ...options, budgetBytes: logBudget(start) })
  const log = Log.create(settings, installation.originOf(start.run), Buffer.from(start.run, 'hex'))
  return new RunLog({
    path,
    run: start.run,
    log,
    maxBytes: settings.maxBytes,
    checkpoints,
    installation,
    commitments: new Commitments(key),
    checkpointRecords: options.checkpointRecords ?? CHECKPOINT_RECORDS,
    checkpointMs: options.checkpointMs ?? CHECKPOINT_MS,
    schedule: options.schedule ?? scheduleFlush,
    unlock,
  })
}

/** The first immediate runs before sockets are looked at again, the second after: requests that came meanwhile share the flush. */
function scheduleFlush(flush: () => void, alone: boolean): void {
  if (alone) queueMicrotask(flush)
  else setImmediate(() => setImmediate(flush))
}

/** The log's own budget: bytes of its records, as RUN_START limits them. */
function logBudget({ limits }: OpenRunLogOptions['start']): number {
  const own = limits.filter(({ account, dimension }) => account === 'run' && dimension === 'log_bytes')
  return Math.min(Number.MAX_SAFE_INTEGER, ...own.map(({ limit }) => limit))
}

export function runLogSettings(
  options: RunLogTuning & Pick<OpenRunLogOptions, 'path' | 'installation'> & { readonly budgetBytes?: number },
): LogSettings {
  const { fs, clock, random } = options.installation.context
  return {
    fs,
    folder: options.path,
    random,
    stamp: stampOf(clock),
    segmentBytes: options.segmentBytes ?? runSegmentBytes,
    preallocate: options.preallocate ?? true,
    maxBytes: Math.min(options.maxBytes ?? DEFAULT_LOG_BYTES, options.budgetBytes ?? Number.MAX_SAFE_INTEGER),
  }
}
