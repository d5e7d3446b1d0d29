/** A small real log for tests and campaigns: an installation and a run with effects, leases, denials, several segments and checkpoints. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { AuditFs } from '../fs.ts'
import { type Installation, type InstallationContext, openInstallation } from '../installation.ts'
import { openRunLog, type RunLogTuning } from '../open.ts'
import type { RunLog } from '../stage.ts'
import type { RecordBody } from '../types.ts'

/** Bytes that differ on every call and are the same in every test. */
export function countingRandom(seed = 1): (n: number) => Uint8Array {
  let state = seed
  return (n) =>
    Uint8Array.from({ length: n }, () => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
      return state >>> 24
    })
}

export function testContext(fs: AuditFs, seed = 1): InstallationContext {
  let now = 0
  return {
    fs,
    clock: { wallMs: () => 1_700_000_000_000 + now++, monotonicMs: () => now },
    random: countingRandom(seed),
    owner: 'pid 1 boot test start 0',
    // Lets other promises run: the lock of a test is let go of by one of them.
    pause: () => new Promise((resolve) => setImmediate(resolve)),
  }
}

export const HOME = '/home'
export const RUN_ID = '0123456789abcdef0123456789abcdef'

export function runStart(installation: Installation, run = RUN_ID): Extract<RecordBody, { type: 'RUN_START' }> {
  return {
    type: 'RUN_START',
    run,
    installation: installation.id,
    build: 'test',
    operator_uid: 1000,
    policy: 'ab',
    policy_source: 'test',
    isolation: 'none',
    limits: [
      { account: 'run', dimension: 'calls', limit: 1000 },
      { account: 'run', dimension: 'bytes', limit: 1_000_000 },
    ],
    detail: {},
  }
}

export function intent(
  object = '/data/a',
  reserve: { readonly [dimension: string]: number } = { calls: 1 },
): Extract<RecordBody, { type: 'INTENT' }> {
  return {
    type: 'INTENT',
    op: 'fs.open',
    session: 's:1',
    action: 'fs.read',
    object,
    requested: object,
    rule: '/fs/read/0',
    policy: 'ab',
    blocks: [],
    accounts: ['run'],
    reserve,
  }
}

export const DENIAL: RecordBody = {
  type: 'DENY',
  op: 'fs.open',
  session: 's:1',
  action: 'fs.write',
  object: '/etc/x',
  requested: '/etc/x',
  code: 'E_POLICY_DENY',
  rule: null,
  reason: 'no rule',
  fix: null,
  policy: 'ab',
}
export const RUN_END: Extract<RecordBody, { type: 'RUN_END' }> = {
  type: 'RUN_END',
  ended_by: 'exit',
  exit_code: 0,
  effects: 0,
  denials: 0,
  spent: {},
}

/** Every flush at once: a test decides itself when it happens. */
export const AT_ONCE = { schedule: (flush: () => void) => flush(), checkpointMs: 0, preallocate: false } as const satisfies RunLogTuning

export interface Scenario {
  readonly installation: Installation
  readonly log: RunLog
}

export async function begin(context: InstallationContext, tuning: RunLogTuning = {}, run = RUN_ID): Promise<Scenario> {
  const installation = await openInstallation(HOME, context)
  const log = await openRunLog({ path: `${HOME}/${run}`, installation, start: runStart(installation, run), ...AT_ONCE, ...tuning })
  return { installation, log }
}

/** `rounds` of an effect with outcome, an effect with a lease, and a denial: 6 records each. */
export async function work(log: RunLog, rounds: number): Promise<void> {
  for (let i = 0; i < rounds; i++) {
    const plain = log.append(intent(`/data/${i}`))
    await log.durable()
    log.append({ type: 'OUTCOME', intent: plain, status: 'ok', captured: { calls: 1 } })
    const leased = log.append(intent(`/data/${i}`, { calls: 1, bytes: 100 }))
    await log.durable()
    log.append({ type: 'OUTCOME', intent: leased, status: 'ok', captured: { calls: 1 }, leased: { bytes: 100 } })
    log.append({ type: 'CLOSE', intent: leased, captured: { bytes: 40 }, detail: { bytes: 40 } })
    log.append(DENIAL)
    await log.durable()
  }
}

/** Writes files into a real folder, where the verifier can read them. */
export function materialise(folder: string, files: ReadonlyMap<string, Uint8Array>): void {
  for (const [name, bytes] of files) {
    const path = join(folder, name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, bytes)
  }
}
