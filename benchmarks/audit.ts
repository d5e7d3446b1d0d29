import { Database } from 'bun:sqlite'
import { closeSync, fdatasyncSync, mkdirSync, openSync, readdirSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { ensureInstallation, openRunLog, type RunLog } from '@authority/kernel/audit'
import { scratchFolder } from './server-process.ts'
import { auditIntent, auditStart } from './servers/audit-records.ts'
import { atLeast, atMost, median, type Row } from './statistics.ts'

const RECORDS = 1_000_000
const ROUNDS = 5
const SAMPLES = 200
const FLOOD = 4_000
const FLOODS = 15
const CLIENTS = 64
const MAX_VERIFY_MIB = 150
const MAX_PROVE_MS = 50
const MIB = 1024 * 1024

/** The audit log: a million records verified against sha256sum of the same bytes, proofs from them, and durable appends against a bare flush and against SQLite. */
export async function auditSuite(): Promise<readonly Row[]> {
  const scratch = scratchFolder()
  try {
    return [...reading(join(scratch.path, 'large')), ...(await appending(scratch.path))]
  } finally {
    scratch.remove()
  }
}

interface Ran {
  readonly ms: number
  readonly rssMiB: number
  readonly stdout: string
}

function run(command: readonly string[]): Ran {
  const started = performance.now()
  const child = Bun.spawnSync([...command], { stdout: 'pipe', stderr: 'inherit' })
  if (child.exitCode !== 0) throw new Error(`${command.join(' ')} ended with ${child.exitCode}`)
  return { ms: performance.now() - started, rssMiB: child.resourceUsage.maxRSS / MIB, stdout: child.stdout.toString().trim() }
}

const program = (name: string): string => join(import.meta.dirname, 'servers', name)
const reader = (...args: readonly string[]): Ran => run([process.execPath, program('audit-reader.ts'), ...args])

function reading(home: string): Row[] {
  mkdirSync(home, { mode: 0o700 })
  const records = Number(run([process.execPath, program('audit-log.ts'), home, String(RECORDS)]).stdout)
  const folder = join(home, 'run')
  const segments = readdirSync(folder)
    .filter((name) => name.startsWith('seg-'))
    .map((name) => join(folder, name))
  const [verify, sums, proofs, nothing]: [Ran[], Ran[], Ran[], Ran[]] = [[], [], [], []]
  reader('prove', home, '0')
  for (let i = 0; i < ROUNDS; i++) {
    sums.push(run(['sha256sum', ...segments]))
    const verified = reader('verify', home)
    if (verified.stdout !== `intact ${records}`) throw new Error(`verify says ${verified.stdout}`)
    verify.push(verified)
    nothing.push(reader('nothing'))
    proofs.push(reader('prove', home, String(Math.floor((records * (i + 0.5)) / ROUNDS))))
  }
  const ms = (runs: readonly Ran[]): number => median(runs.map((each) => each.ms))
  const rss = Math.max(...verify.map((each) => each.rssMiB))
  const prove = ms(proofs) - ms(nothing)
  return [
    atMost(
      `verify of ${records} records against sha256sum`,
      `${ms(verify).toFixed(0)} ms against ${ms(sums).toFixed(0)} ms`,
      ms(verify) / ms(sums),
      3,
    ),
    atMost(`memory of it against ${MAX_VERIFY_MIB} MiB`, `${rss.toFixed(0)} MiB`, rss / MAX_VERIFY_MIB, 1),
    atMost(`prove on it, beyond program start, against ${MAX_PROVE_MS} ms`, `${prove.toFixed(1)} ms`, prove / MAX_PROVE_MS, 1),
  ]
}

async function appending(folder: string): Promise<Row[]> {
  const home = join(folder, 'small')
  const installation = await ensureInstallation(home)
  const log = await openRunLog({
    path: join(home, 'run'),
    installation,
    start: auditStart(installation.id, RECORDS),
    checkpointMs: 0,
    checkpointRecords: RECORDS,
  })
  const bare = new BareFile(join(folder, 'bare'))
  const sqlite = new Rows(join(folder, 'rows.sqlite'))
  try {
    const [ours, floor]: [number[], number[]] = [[], []]
    await one(log, SAMPLES)
    for (let i = 0; i < ROUNDS; i++) {
      // In short turns: what else the machine does then falls on both.
      const [mine, its]: [number[], number[]] = [[], []]
      for (let turn = 0; turn < 10; turn++) {
        its.push(...bare.flushes(SAMPLES / 10))
        mine.push(...(await one(log, SAMPLES / 10)))
      }
      ours.push(median(mine))
      floor.push(median(its))
    }
    const [group, rows]: [number[], number[]] = [[], []]
    for (let i = -1; i < FLOODS; i++) {
      const its = await clients(FLOOD / 8, (n) => sqlite.insert(n))
      const mine = await clients(FLOOD, (n) => appendDurably(log, n))
      // The first turn warms both up.
      if (i < 0) continue
      rows.push(its)
      group.push(mine)
    }
    await log.seal({ type: 'RUN_END', ended_by: 'exit', exit_code: 0, effects: 0, denials: 0, spent: {} })
    return [
      atMost(
        'durable append, one client, against a bare preallocated write+fdatasync',
        `${median(ours).toFixed(0)} µs against ${median(floor).toFixed(0)} µs`,
        median(ours) / median(floor),
        1.15,
      ),
      atLeast(
        `durable appends of ${CLIENTS} clients against SQLite (WAL, synchronous=FULL, a row a transaction)`,
        `${median(group).toFixed(0)}/s against ${median(rows).toFixed(0)}/s`,
        median(group) / median(rows),
        20,
      ),
    ]
  } finally {
    bare.close()
    sqlite.close()
  }
}

function appendDurably(log: RunLog, n: number): Promise<void> {
  log.append(auditIntent(n))
  return log.durable()
}

/** µs of each append that waited until it was durable. */
async function one(log: RunLog, count: number): Promise<number[]> {
  const samples: number[] = []
  for (let i = 0; i < count; i++) {
    const started = Bun.nanoseconds()
    await appendDurably(log, i)
    samples.push((Bun.nanoseconds() - started) / 1000)
  }
  return samples
}

/** Operations per second of all clients together, each waiting for its own before the next. */
async function clients(count: number, operation: (n: number) => Promise<void>): Promise<number> {
  let next = 0
  const started = performance.now()
  const client = async (): Promise<void> => {
    while (next < count) await operation(next++)
  }
  await Promise.all(Array.from({ length: CLIENTS }, client))
  return (count * 1000) / (performance.now() - started)
}

/** The same bytes written ahead as zeros, then written in place and flushed. */
class BareFile {
  private readonly file: number
  private readonly record = Buffer.alloc(640, 'x')
  private at = 0

  constructor(path: string) {
    this.file = openSync(path, 'w')
    writeSync(this.file, Buffer.alloc(4 * MIB))
    fdatasyncSync(this.file)
  }

  flushes(count: number): number[] {
    const samples: number[] = []
    for (let i = 0; i < count; i++) {
      const started = Bun.nanoseconds()
      writeSync(this.file, this.record, 0, this.record.length, this.at)
      fdatasyncSync(this.file)
      samples.push((Bun.nanoseconds() - started) / 1000)
      this.at += this.record.length
    }
    return samples
  }

  close(): void {
    closeSync(this.file)
  }
}

/** One row in a transaction of its own. */
class Rows {
  private readonly database: Database
  private readonly statement: ReturnType<Database['prepare']>

  constructor(path: string) {
    this.database = new Database(path)
    this.database.run('PRAGMA journal_mode = WAL')
    this.database.run('PRAGMA synchronous = FULL')
    this.database.run('CREATE TABLE records (seq INTEGER PRIMARY KEY, payload TEXT NOT NULL)')
    this.statement = this.database.prepare('INSERT INTO records (payload) VALUES (?)')
  }

  insert(n: number): Promise<void> {
    this.statement.run(JSON.stringify(auditIntent(n)))
    return Promise.resolve()
  }

  close(): void {
    this.database.close()
  }
}
