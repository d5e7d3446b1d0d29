import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Installation, type RecordType, readRecords, tryLock } from '@authority/kernel/audit'
import { type LoggedRecord, replay } from '@authority/kernel/budget'
import type { Charges, Dimension } from '@authority/kernel/vocabulary'
import { readAdjustments } from '../adjustments.ts'
import { CliError } from '../errors.ts'
import { makeDurableFolder, writeFileAtomic } from '../home.ts'

/** What outlives one process of a gate with a name: its key, and from its logs what was revoked, used and spent. */
export interface KeptGate {
  /** 32 hex digits: the run tokens are minted for, the same in every process of this gate. */
  readonly tokens: string
  readonly secret: Uint8Array
  readonly revoked: ReadonlySet<string>
  /** Uses of blocks that count them; null: it died before it could say. */
  readonly uses: ReadonlyMap<string, number | null>
  /** Of accounts of token blocks. */
  readonly spent: ReadonlyMap<string, Charges>
  /** Lets the next process have it. */
  release(): void
}

const FILE = 'gate.json'
const SECRET_BYTES = 32
/** Processes of one gate whose logs are read at each start. */
const MAX_RUNS = 1000
const RUN_ID = /^[0-9a-f]{32}$/

interface Stored {
  readonly format: 1
  readonly tokens: string
  /** Hex. */
  readonly secret: string
  /** Every run of this gate, oldest first. */
  readonly runs: readonly string[]
}

/**
 * Opens the gate of this folder for a new run, alone: a second process of it is refused. What it may not forget stands in the logs of its runs; where one of
 * them is missing or not sealed, nothing starts. Throws CliError.
 */
export async function openKeptGate(options: {
  readonly folder: string
  readonly runs: string
  readonly run: string
  readonly installation: Installation
}): Promise<KeptGate> {
  const { folder, runs, run, installation } = options
  makeDurableFolder(folder)
  const { fs, owner, random } = installation.context
  const release = tryLock(fs, folder, owner)
  if (release === null)
    throw new CliError('usage', 'a gate of this name is running already', 'stop it first, or choose another --keep NAME')
  try {
    const stored = readStored(folder) ?? { format: 1, tokens: hexOf(random(16)), secret: hexOf(random(SECRET_BYTES)), runs: [] }
    if (stored.runs.length >= MAX_RUNS) throw unusable(folder, `it was started ${MAX_RUNS} times`)
    const past = await pastOf(stored.runs, folder, runs, installation)
    // Before anything is served: a run that is not in the list would be forgotten.
    const listed: Stored = { ...stored, runs: [...stored.runs, run] }
    writeFileAtomic(join(folder, FILE), `${JSON.stringify(listed)}\n`)
    return { tokens: stored.tokens, secret: Uint8Array.from(Buffer.from(stored.secret, 'hex')), ...past, release }
  } catch (error) {
    release()
    throw error
  }
}

const READ: readonly RecordType[] = ['RUN_START', 'INTENT', 'LEASE', 'OUTCOME', 'CLOSE', 'RECOVERED', 'REVOKE', 'USES']

async function pastOf(
  earlier: readonly string[],
  folder: string,
  runs: string,
  installation: Installation,
): Promise<Pick<KeptGate, 'revoked' | 'uses' | 'spent'>> {
  const revoked = new Set<string>()
  const uses = new Map<string, number | null>()
  const spent = new Map<string, Charges>()
  const adjustments = readAdjustments(installation.folder, earlier)
  for (const run of earlier) {
    const noted = await installation.lastNoted(run)
    // It never began, so it did nothing.
    if (noted === null) continue
    const log = join(runs, run, 'audit')
    if (!noted.sealed || !existsSync(log)) throw unusable(folder, `the log of its run ${run} is ${noted.sealed ? 'gone' : 'not sealed'}`)
    const records: LoggedRecord[] = []
    for await (const record of readRecords(log, { types: READ })) {
      if (record.type === 'REVOKE') revoked.add(record.block)
      else if (record.type === 'USES') uses.set(record.block, record.used)
      else records.push(record)
    }
    for (const [account, charges] of replay(records, adjustments.get(run)?.lowered).spent)
      if (account.startsWith('block:')) spent.set(account, sum(spent.get(account), charges))
  }
  return { revoked, uses, spent }
}

function sum(a: Charges | undefined, b: Charges): Charges {
  const total: Partial<Record<Dimension, number>> = { ...a }
  for (const [dimension, amount] of Object.entries(b) as [Dimension, number][])
    total[dimension] = Math.min(Number.MAX_SAFE_INTEGER, (total[dimension] ?? 0) + amount)
  return total
}

function readStored(folder: string): Stored | null {
  const path = join(folder, FILE)
  if (!existsSync(path)) return null
  let value: unknown
  try {
    value = JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    throw unusable(folder, 'its file cannot be read')
  }
  if (!isStored(value)) throw unusable(folder, 'its file is not one this version knows')
  return value
}

function isStored(value: unknown): value is Stored {
  if (typeof value !== 'object' || value === null) return false
  const { format, tokens, secret, runs } = value as Record<string, unknown>
  const isRun = (text: unknown): boolean => typeof text === 'string' && RUN_ID.test(text)
  return (
    format === 1 && isRun(tokens) && typeof secret === 'string' && /^[0-9a-f]{64}$/.test(secret) && Array.isArray(runs) && runs.every(isRun)
  )
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

function unusable(folder: string, why: string): CliError {
  return new CliError(
    'io',
    `the kept gate in ${folder} cannot go on: ${why}, so what it revoked is not known`,
    'look with `authority runs ls`; or remove that folder: then it has a new key, and all its tokens are dead',
  )
}
