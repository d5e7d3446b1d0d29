/** Good and bad logs with what a verifier must say of each: written to fixtures/vectors/audit/logs.json, and run by every verifier there is. */
import { deflateSync } from 'node:zlib'
import { ensureFolder } from '../files.ts'
import { openInstallation } from '../installation.ts'
import type { Adjustment, InstallationRecord } from '../installation-records.ts'
import { openRunLog } from '../open.ts'
import { recoverRun } from '../recovery.ts'
import type { RecordBody } from '../types.ts'
import { MemoryFs } from './memory-fs.ts'
import { type Files, notesOf, rewritten } from './mutants.ts'
import { AT_ONCE, begin, HOME, intent, RUN_END, RUN_ID, runStart, testContext, work } from './scenario.ts'

export interface VectorCase {
  readonly name: string
  /** Which log; `edits` are then made in order. */
  readonly log: string
  readonly edits: readonly Edit[]
  /** Run folder, and options of the verifier; paths are below the home. */
  readonly run: string
  readonly installation?: boolean
  readonly key?: string
  readonly anchors?: readonly string[]
  readonly require?: string
  readonly status: string
  readonly exit: number
}
export type Edit =
  /** byte at `at` XOR `mask` */
  | { readonly op: 'flip'; readonly file: string; readonly at: number; readonly mask: number }
  | { readonly op: 'cut'; readonly file: string; readonly to: number }
  | { readonly op: 'remove'; readonly file: string }
  | { readonly op: 'append'; readonly file: string; readonly zlib: string }
  | { readonly op: 'write'; readonly file: string; readonly zlib: string }
  | { readonly op: 'copy'; readonly file: string; readonly from: string; readonly log: string }

const pack = (bytes: Uint8Array): string => deflateSync(bytes, { level: 9 }).toString('base64')
const write = (file: string, bytes: Uint8Array): Edit => ({ op: 'write', file, zlib: pack(bytes) })

/** The homes: names to files. */
export async function vectorLogs(): Promise<ReadonlyMap<string, Files>> {
  return new Map([
    ['sealed', await sealed(1)],
    ['other', await sealed(2)],
    ['recovered', await recovered()],
    ['unsealed', await unsealed()],
    ['rotated', await rotated()],
    ['shared', await shared(4)],
    ['overspent', await shared(5)],
    ['class', await ofOneClass({ leased: 3, used: 3 })],
    ['class-overspent', await ofOneClass({ leased: 3, used: 4 })],
    ['class-not-leased', await ofOneClass({ leased: 2, used: 3 })],
    ...(await Promise.all(ADJUSTED.map(async ([name, ...adjustments]) => [`adjusted: ${name}`, await adjusted(adjustments)] as const))),
  ])
}

async function sealed(seed: number): Promise<Files> {
  const fs = new MemoryFs()
  const { log } = await begin(testContext(fs, seed), { segmentBytes: () => 4096 + 6000, checkpointRecords: 16 })
  await work(log, 4)
  await log.seal(RUN_END)
  return fs.snapshot(HOME)
}

async function unsealed(): Promise<Files> {
  const fs = new MemoryFs()
  const { log } = await begin(testContext(fs), { preallocate: true, segmentBytes: () => 32_768 })
  await work(log, 2)
  log.abandon()
  return fs.snapshot(HOME)
}

async function recovered(): Promise<Files> {
  const fs = new MemoryFs()
  const { log } = await begin(testContext(fs))
  await work(log, 2)
  log.append({ type: 'DENY_REPEAT', first: 2, count: 3 })
  fs.fault = { at: fs.calls, code: 'EIO', partial: true }
  await log.durable().catch(() => {})
  fs.crash(() => true)
  const installation = await openInstallation(HOME, testContext(fs, 3))
  await recoverRun({ path: `${HOME}/${RUN_ID}`, installation })
  return fs.snapshot(HOME)
}

async function rotated(): Promise<Files> {
  const fs = new MemoryFs()
  const context = testContext(fs)
  const { log, installation } = await begin(context)
  await work(log, 1)
  await log.seal(RUN_END)
  await installation.rotate()
  const again = await openInstallation(HOME, context)
  const run = 'd'.repeat(32)
  ensureFolder(fs, HOME)
  const second = await openRunLog({ path: `${HOME}/${run}`, installation: again, start: runStart(again, run), ...AT_ONCE })
  await work(second, 1)
  await second.seal(RUN_END)
  return fs.snapshot(HOME)
}

/** Two runs lease of ten calls: 6 and `second`. */
async function shared(second: number): Promise<Files> {
  const fs = new MemoryFs()
  const { log, installation } = await begin(testContext(fs))
  await installation.note({ type: 'BUDGET_LIMITS', limits: { calls: 10 }, by_uid: 1000 })
  await installation.note({ type: 'BUDGET_LEASE', run: RUN_ID, lease: { calls: 8 } })
  await installation.note({ type: 'BUDGET_RETURN', run: RUN_ID, unused: { calls: 2 } })
  await installation.note({ type: 'BUDGET_LEASE', run: 'e'.repeat(32), lease: { calls: second } })
  await log.seal(RUN_END)
  await installation.note({ type: 'BUDGET_SPENT', run: RUN_ID, spent: { calls: 3 } })
  return fs.snapshot(HOME)
}

/** A run that says three net calls of what runs share were leased to it. */
async function ofOneClass({ leased, used }: { readonly leased: number; readonly used: number }): Promise<Files> {
  const fs = new MemoryFs()
  const { log, installation } = await begin(testContext(fs))
  await installation.note({ type: 'BUDGET_LIMITS', limits: { calls: 10, 'net.calls': 4 }, by_uid: 1000 })
  await installation.note({ type: 'BUDGET_LEASE', run: RUN_ID, lease: { calls: 6, 'net.calls': leased } })
  log.append({ type: 'LEASED', leased: { calls: 6, 'net.calls': 3 } })
  for (const name of ['fs', ...new Array<string>(used).fill('net')]) {
    const accounts = ['run', `class:${name}`, 'installation', `installation:${name}`]
    const effect = log.append({ ...intent('/data'), op: `${name}.open`, accounts } as RecordBody)
    await log.durable()
    log.append({ type: 'OUTCOME', intent: effect, status: 'ok', captured: { calls: 1 } })
  }
  await log.seal(RUN_END)
  return fs.snapshot(HOME)
}

type Taken = Partial<Omit<Adjustment, 'intent'>> & { readonly of: 'unknown' | 'known' | 'overrun' | 'lease' | 'closed' | 'nothing' }

/** What is taken back of effects of a run that was charged 50 calls for an unknown outcome, 2 for a known one, 3 of 1 for an overrun, 20 bytes of a lease that was open at its crash, and 5 of one that it had closed. */
const ADJUSTED: readonly (readonly [name: string, ...adjustments: readonly Taken[]])[] = [
  ['all there is', { of: 'unknown', lowered: { calls: 50 }, shared: { calls: 50 } }, { of: 'overrun', lowered: { calls: 3 } }],
  ['in two parts', { of: 'unknown', lowered: { calls: 30 } }, { of: 'unknown', lowered: { calls: 20 }, shared: { calls: 50 } }],
  ['twice', { of: 'unknown', lowered: { calls: 50 } }, { of: 'unknown', lowered: { calls: 1 } }],
  ['an open lease', { of: 'lease', lowered: { bytes: 20 } }],
  ['an open lease, and the call it began with', { of: 'lease', lowered: { bytes: 20, calls: 1 } }],
  ['one too many', { of: 'unknown', lowered: { calls: 51 } }],
  ['what is known', { of: 'known', lowered: { calls: 1 } }],
  ['a lease that the gate closed', { of: 'closed', lowered: { bytes: 1 } }],
  ['of no effect', { of: 'nothing', lowered: { calls: 1 } }],
  ['nothing, of no effect', { of: 'nothing' }],
  ['more of what runs share than of the effect', { of: 'unknown', lowered: { calls: 1 }, shared: { calls: 2 } }],
  ['what the effect was not charged to', { of: 'unknown', lowered: { calls: 1 }, shared: { 'net.calls': 1 } }],
  [
    'more of what runs share than was spent',
    { of: 'unknown', lowered: { calls: 50 }, shared: { calls: 50 } },
    { of: 'overrun', lowered: { calls: 3 }, shared: { calls: 3 } },
  ],
  ['of another run', { of: 'unknown', run: 'e'.repeat(32), lowered: { calls: 1 } }],
]

/** A run that died, which counts with 52 of the calls that runs share, and what an operator took back of it. */
async function adjusted(adjustments: readonly Taken[]): Promise<Files> {
  const fs = new MemoryFs()
  const { log, installation } = await begin(testContext(fs))
  await installation.note({ type: 'BUDGET_LIMITS', limits: { calls: 100, 'net.calls': 10 }, by_uid: 1000 })
  await installation.note({ type: 'BUDGET_LEASE', run: RUN_ID, lease: { calls: 60 } })
  log.append({ type: 'LEASED', leased: { calls: 60 } })
  const begun = (calls: number, more: { readonly [dimension: string]: number } = {}): number =>
    log.append({ ...intent('/data', { calls, ...more }), accounts: ['run', 'class:fs', 'installation'] })
  const effects = {
    unknown: begun(50),
    known: begun(2),
    overrun: begun(1),
    lease: begun(1, { bytes: 20 }),
    closed: begun(1, { bytes: 5 }),
    nothing: 1,
  }
  await log.durable()
  log.append({ type: 'OUTCOME', intent: effects.unknown, status: 'unknown', captured: { calls: 50 } })
  log.append({ type: 'OUTCOME', intent: effects.known, status: 'ok', captured: { calls: 2 } })
  log.append({ type: 'OUTCOME', intent: effects.overrun, status: 'ok', captured: { calls: 3 }, overrun: true })
  log.append({ type: 'OUTCOME', intent: effects.lease, status: 'ok', captured: { calls: 1 }, leased: { bytes: 20 } })
  log.append({ type: 'OUTCOME', intent: effects.closed, status: 'ok', captured: { calls: 1 }, leased: { bytes: 5 } })
  log.append({ type: 'CLOSE', intent: effects.closed, captured: { bytes: 5 }, detail: {} })
  await log.durable()
  log.abandon()
  await recoverRun({ path: log.path, installation })
  await installation.note({ type: 'BUDGET_SPENT', run: RUN_ID, spent: { calls: 52, 'net.calls': 1 } })
  for (const { of, ...more } of adjustments) await installation.note(adjustmentOf(effects[of], more))
  return fs.snapshot(HOME)
}

function adjustmentOf(intent: number, more: Partial<Adjustment>): InstallationRecord {
  return { type: 'BUDGET_ADJUST', run: RUN_ID, intent, lowered: {}, shared: {}, reason: 'the bill says so', by_uid: 1000, ...more }
}

/** Every case but its `status` and `exit`. */
export type Question = Omit<VectorCase, 'status' | 'exit'>

export function questions(logs: ReadonlyMap<string, Files>): Question[] {
  const at = (file: string): string => `${RUN_ID}/${file}`
  const of = (log: string, file = ''): Uint8Array => logs.get(log)?.get(file === '' ? at('checkpoints') : file) ?? new Uint8Array(0)
  const text = (log: string, file: string): string => new TextDecoder().decode(of(log, file))
  const note = (log: string, last: boolean): string => notesOf(logs.get(log) ?? new Map(), RUN_ID).at(last ? -1 : 1) ?? ''
  const seg = at('seg-00000000.log')
  const last =
    [...(logs.get('sealed')?.keys() ?? [])]
      .filter((name) => name.startsWith(`${RUN_ID}/seg-`))
      .sort()
      .at(-1) ?? ''
  const q = (name: string, log: string, edits: readonly Edit[] = [], more: Partial<Question> = {}): Question => ({
    name,
    log,
    edits,
    run: RUN_ID,
    ...more,
  })
  const length = (file: string, log = 'sealed'): number => of(log, file).length
  const edited = (edit: (payload: string, seq: number) => string | null): Edit[] => {
    const files = logs.get('sealed') ?? new Map<string, Uint8Array>()
    return [...rewritten(files, RUN_ID, edit)]
      .filter(([name, bytes]) => files.get(name) !== bytes)
      .map(([name, bytes]) => write(name, bytes))
  }
  /** Records as they would be in a log nobody signed yet: only what the records themselves say can be wrong. */
  const unsigned = (name: string, edit: (payload: string, seq: number) => string | null): Question =>
    q(
      `records: ${name}`,
      'sealed',
      [
        ...edited((payload, seq) => edit(payload.replace(/"type":"CHECKPOINT".*$/, '"type":"FATAL","reason":"x"}'), seq)),
        { op: 'remove', file: at('checkpoints') },
      ],
      { installation: false },
    )
  const swap =
    (from: string, to: string, only = -1) =>
    (payload: string, seq: number): string =>
      only >= 0 && seq !== only ? payload : payload.replace(from, to)
  const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels)
  return [
    q('sealed', 'sealed'),
    q('sealed, without the installation log', 'sealed', [], { installation: false }),
    q('sealed, key pinned', 'sealed', [], { key: text('sealed', at('key.pub')).trimEnd(), require: 'pinned-key' }),
    q('sealed, another key pinned', 'sealed', [], { key: text('other', at('key.pub')).trimEnd() }),
    q('sealed, an anchor', 'sealed', [], { anchors: [note('sealed', false)], require: 'remembered-checkpoint' }),
    q('sealed, an anchor of another log', 'sealed', [], { anchors: [note('other', false)] }),
    q('sealed, more trust asked than there is', 'sealed', [], { require: 'remembered-checkpoint' }),
    q('sealed, commitment key erased', 'sealed', [{ op: 'remove', file: at('commitments.key') }]),
    q('sealed, commitment key exchanged', 'sealed', [{ op: 'flip', file: at('commitments.key'), at: 3, mask: 1 }]),
    q('recovered', 'recovered'),
    q('unsealed', 'unsealed'),
    q('unsealed, torn', 'unsealed', [{ op: 'cut', file: seg, to: lastFrameEnd(of('unsealed', seg)) - 20 }], { installation: false }),
    q('rotated, the run before', 'rotated'),
    q('rotated, the run after', 'rotated', [], { run: 'd'.repeat(32) }),
    q('rotated, the run after, alone', 'rotated', [], { run: 'd'.repeat(32), installation: false }),
    q('rotated, the run after, without its chain', 'rotated', [{ op: 'remove', file: `${'d'.repeat(32)}/key.chain` }], {
      run: 'd'.repeat(32),
    }),
    q('rotated, installation without its chain', 'rotated', [{ op: 'remove', file: 'installation/key.chain' }]),
    q('rotated, first key pinned', 'rotated', [], { run: 'd'.repeat(32), key: text('rotated', at('key.pub')).trimEnd() }),
    q('rotated, last key pinned for the run before', 'rotated', [], { key: text('rotated', 'installation/key.pub').trimEnd() }),
    q('a budget that runs share', 'shared'),
    q('a shared budget that is exceeded', 'overspent'),
    q('a budget of one class that runs share', 'class'),
    q('a shared budget of one class that is exceeded', 'class-overspent'),
    q('a shared budget of one class that nobody leased', 'class-not-leased'),
    ...ADJUSTED.map(([name]) => q(`adjusted: ${name}`, `adjusted: ${name}`)),
    q('adjusted: the installation log alone', 'adjusted: all there is', [], { run: 'installation', installation: false }),
    q(
      'adjusted: more of what runs share than was spent, the installation log alone',
      'adjusted: more of what runs share than was spent',
      [],
      {
        run: 'installation',
        installation: false,
      },
    ),
    q('adjusted: of another run, the installation log alone', 'adjusted: of another run', [], { run: 'installation', installation: false }),
    q('no such folder', 'sealed', [], { run: 'f'.repeat(32) }),
    q(
      'run folder gone',
      'sealed',
      (['seg-00000000.log', 'seg-00000001.log', 'checkpoints', 'key.pub', 'commitments.key', 'lock'] as const).map((file) => ({
        op: 'remove',
        file: at(file),
      })),
    ),
    q('checkpoints gone', 'sealed', [{ op: 'remove', file: at('checkpoints') }]),
    q('last checkpoint gone', 'sealed', [
      { op: 'cut', file: at('checkpoints'), to: length(at('checkpoints')) - note('sealed', true).length - 1 },
    ]),
    q('last checkpoint torn', 'sealed', [{ op: 'cut', file: at('checkpoints'), to: length(at('checkpoints')) - 30 }]),
    ...[
      ['a signature of somebody else', `\u2014 witness.example.com/w1 ${'A'.repeat(8)}`],
      ['a signature cut short', '\u2014 authori'],
      ['a signature without a name', `\u2014  ${'A'.repeat(8)}`],
      ['a signature of four bytes', '\u2014 witness.example.com/w1 AAAAAA=='],
      ['a signature in base64 that is not canonical', '\u2014 witness.example.com/w1 AAAAAAB='],
      ['a signature and more', `\u2014 witness.example.com/w1 ${'A'.repeat(8)} A`],
    ].map(([name, line]) =>
      q(`${name} in the last note`, 'sealed', [
        write(at('checkpoints'), new TextEncoder().encode(text('sealed', at('checkpoints')).replace(/\u2014 [^\n]*\n\n$/u, `${line}\n$&`))),
      ]),
    ),
    q('bytes after the checkpoints', 'sealed', [{ op: 'append', file: at('checkpoints'), zlib: pack(new TextEncoder().encode('x\n\n')) }]),
    q('key.pub gone', 'sealed', [{ op: 'remove', file: at('key.pub') }]),
    q('key.pub of another', 'sealed', [{ op: 'copy', file: at('key.pub'), from: at('key.pub'), log: 'other' }]),
    q('version 2', 'sealed', [{ op: 'flip', file: seg, at: 9, mask: 3 }]),
    q('not a log', 'sealed', [write(seg, new TextEncoder().encode('hello'.repeat(2000)))]),
    q('empty segment', 'sealed', [{ op: 'cut', file: seg, to: 0 }]),
    q('segment dropped', 'sealed', [{ op: 'remove', file: seg }]),
    q('last segment dropped', 'sealed', [{ op: 'remove', file: last }]),
    q('segment of another log', 'sealed', [{ op: 'copy', file: last, from: last, log: 'other' }]),
    q('cut in the last record', 'sealed', [{ op: 'cut', file: last, to: length(last) - 9 }]),
    q('cut to the header', 'sealed', [{ op: 'cut', file: last, to: 4096 }]),
    q('zeros behind the end', 'sealed', [{ op: 'append', file: last, zlib: pack(new Uint8Array(512)) }]),
    q('bytes behind the end', 'sealed', [{ op: 'append', file: last, zlib: pack(new Uint8Array(700).fill(7)) }]),
    q('installation log cut', 'sealed', [
      { op: 'cut', file: 'installation/seg-00000000.log', to: length('installation/seg-00000000.log') - 40 },
    ]),
    q(
      'installation log of another',
      'sealed',
      [...(logs.get('other')?.keys() ?? [])]
        .filter((name) => name.startsWith('installation/'))
        .map((file) => ({ op: 'copy', file, from: file, log: 'other' })),
    ),
    ...[0, 8, 12, 20, 30, 45, 60, 100, 130, 152, 153, 160, 420, 4000, 4093, 4096, 4098, 4100, 4104, 4112, 4150, 4300, 5000, 6001].map(
      (offset) => q(`byte ${offset} of segment 0 flipped`, 'sealed', [{ op: 'flip', file: seg, at: offset, mask: 16 }]),
    ),
    ...[4096, 4097, 4099, 4103, 4111, 4120, 4200].map((offset) =>
      q(`byte ${offset} of the last segment flipped`, 'sealed', [{ op: 'flip', file: last, at: offset, mask: 1 }]),
    ),
    ...[5, 70, 80, 130, 160, 230].map((offset) =>
      q(`byte ${offset} of checkpoints flipped`, 'sealed', [{ op: 'flip', file: at('checkpoints'), at: offset, mask: 1 }]),
    ),
    q('rewritten without the key', 'sealed', edited(swap('/data/1', '/data/9'))),
    unsigned('as they were', (payload) => payload),
    unsigned('a space', swap('"seq":5', '"seq": 5')),
    unsigned('a duplicate key', swap('"op":"fs.open"', '"op":"x","op":"fs.open"', 2)),
    unsigned('a number with an exponent', swap('"calls":1}', '"calls":1e0}', 2)),
    unsigned('a fraction', swap('"calls":1}', '"calls":0.5}', 2)),
    unsigned('minus zero', swap('"calls":1}', '"calls":-0}', 2)),
    unsigned('beyond 2^53', swap('"calls":1}', '"calls":9007199254740993}', 2)),
    unsigned('2^53', swap('"calls":1}', '"calls":9007199254740992}', 2)),
    unsigned('a negative amount', swap('"calls":1}', '"calls":-1}', 2)),
    unsigned('an unknown field', swap('"op":"fs.open"', '"later":[1.5,1e+21,1e-7,"é\u2028 \\ud800 \\u0007\\b"],"op":"fs.open"', 2)),
    unsigned('an escape that need not be', swap('"op":"fs.open"', '"op":"fs\\u002eopen"', 2)),
    unsigned('upper case in an escape', swap('"op":"fs.open"', '"op":"\\u001F"', 2)),
    unsigned('index keys in order', swap('"op":"fs.open"', '"x":{"1":0,"2":0,"a":0},"op":"fs.open"', 2)),
    unsigned('index keys out of order', swap('"op":"fs.open"', '"x":{"a":0,"1":0},"op":"fs.open"', 2)),
    unsigned('a key named __proto__', swap('"reserve":{', '"reserve":{"__proto__":1,', 2)),
    unsigned('nested as deep as its bytes allow', swap('"op":"fs.open"', `"x":${nested(20_000)},"op":"fs.open"`, 2)),
    unsigned('nested 64 deep', swap('"op":"fs.open"', `"x":${nested(63)},"op":"fs.open"`, 2)),
    unsigned('nested 65 deep', swap('"op":"fs.open"', `"x":${nested(64)},"op":"fs.open"`, 2)),
    unsigned(
      'as wide as its bytes allow',
      swap(
        '"op":"fs.open"',
        `"x":[${Array(28_000)
          .fill('{}')
          .join(',')
          .slice(0, 59_999 - (59_999 % 3) - 1)}],"op":"fs.open"`,
        2,
      ),
    ),
    unsigned('an unknown type', swap('"type":"DENY"', '"type":"SURPRISE"')),
    unsigned('a missing field', swap('"session":"s:1",', '', 2)),
    unsigned('a field of another type', swap('"session":"s:1"', '"session":1', 2)),
    unsigned('a bad status', swap('"status":"ok"', '"status":"fine"')),
    unsigned('stage times', swap('"captured":', '"us":{"capability":3,"policy":7,"budget":2,"intent":900,"execute":12},"captured":', 3)),
    unsigned('stage times that are none', swap('"captured":', '"us":{"policy":-7},"captured":', 3)),
    unsigned('the wrong number', swap('"seq":3', '"seq":4', 3)),
    unsigned('the clock back', swap('"boot_ms":', '"boot_ms":0,"was":', 6)),
    unsigned('no time', swap('Z"', '"', 6)),
    unsigned('a record left out', (payload, seq) => (seq === 3 ? null : payload)),
    unsigned('a log within its bytes', swap('"dimension":"bytes"', '"dimension":"log_bytes"', 0)),
    unsigned('a log beyond its bytes', swap('"dimension":"bytes","limit":1000000', '"dimension":"log_bytes","limit":4000', 0)),
    unsigned('a limit that is kept', swap('"type":"DENY"', '"type":"LIMIT","account":"run","limits":{"calls":900},"x":"DENY"', 7)),
    unsigned('a limit that is exceeded', swap('"type":"DENY"', '"type":"LIMIT","account":"run","limits":{"calls":2},"x":"DENY"', 7)),
    unsigned('a limit below what is spent', swap('"type":"DENY"', '"type":"LIMIT","account":"run","limits":{"calls":1},"x":"DENY"', 7)),
    unsigned('more captured than reserved', swap('"captured":{"calls":1}', '"captured":{"calls":2}', 3)),
    unsigned('more reserved than the limit', swap('"calls":1}', '"calls":1001}', 2)),
    unsigned('unknown and not charged', swap('"status":"ok","captured":{"calls":1}', '"status":"unknown","captured":{}', 3)),
    unsigned('unknown, and what was to be written moved through no lease', unknownKeeping('bytes_written')),
    unsigned('unknown, and the tokens of its question not charged', unknownKeeping('tokens_in')),
    unsigned('a limit by direction, of what was spent before it', spentThenLimited('tokens_out', 7)),
    unsigned('a limit by direction, below what was spent before it', spentThenLimited('tokens_out', 6)),
    unsigned('time far past its limit, and nothing after it', timePassed(9_000, 26)),
    unsigned('time far past its limit, and effects after it', timePassed(9_000, 7)),
    unsigned('time past its limit by a slice', timePassed(850, 7)),
    unsigned('an account twice', swap('"accounts":["run"]', '"accounts":["run","run"]', 2)),
    unsigned('another installation', swap('"installation":"', '"installation":"0', 0)),
    unsigned('its type in front', swap('"seq":6,', '"x":0,"seq":6,', 6)),
    unsigned('a month that is none', (payload) => payload.replace(/"t":"(\d{4})-\d\d/, '"t":"$1-13')),
    unsigned('a level that is captured', swap('"captured":{"calls":1}', '"captured":{"calls":1,"concurrency":1}', 3)),
    unsigned('a level captured as nothing', swap('"captured":{"calls":1}', '"captured":{"calls":1,"concurrency":0}', 3)),
    unsigned('nothing leased, and never closed', swap('"captured":{"calls":1}', '"captured":{"calls":1},"leased":{}', 3)),
    unsigned('a limit of an account that was named before', (payload, seq) =>
      seq === 2
        ? payload.replace('"accounts":["run"]', '"accounts":["run","x"]')
        : seq === 7
          ? payload.replace('"type":"DENY"', '"type":"LIMIT","account":"x","limits":{"calls":900},"x":"DENY"')
          : payload,
    ),
    q('the log of the installation', 'sealed', [], { run: 'installation', installation: false }),
    q('the log of the installation, its key replaced', 'rotated', [], { run: 'installation', installation: false }),
    q(
      'the log of the installation, cut',
      'sealed',
      [{ op: 'cut', file: 'installation/seg-00000000.log', to: length('installation/seg-00000000.log') - 40 }],
      {
        run: 'installation',
        installation: false,
      },
    ),
    q('no segment, and the installation knows the run', 'unsealed', [{ op: 'remove', file: seg }]),
    q(
      'no segment, no checkpoint',
      'unsealed',
      [
        { op: 'remove', file: seg },
        { op: 'remove', file: at('checkpoints') },
      ],
      { installation: false },
    ),
    q('sealed, an anchor with an empty line behind it', 'sealed', [], {
      anchors: [`${note('sealed', false)}\n`],
      require: 'remembered-checkpoint',
    }),
  ]
}

/** Offset behind the last byte of a segment that is not zero. */
function lastFrameEnd(bytes: Uint8Array): number {
  let end = bytes.length
  while (end > 0 && bytes[end - 1] === 0) end--
  return end
}

/** The file: logs packed, cases with their answers. */
export function vectorFile(logs: ReadonlyMap<string, Files>, cases: readonly VectorCase[]): string {
  const packed = Object.fromEntries(
    [...logs].map(([name, files]) => [
      name,
      Object.fromEntries([...files].filter(([file]) => !file.startsWith('keys/')).map(([file, bytes]) => [file, pack(bytes)])),
    ]),
  )
  return `${JSON.stringify({ doc: 'Homes (files as base64 of zlib) and what a verifier says after the edits, made in order, of the folder `run`. With `installation` not false the folder `installation` is given too, with `run` as the expected run. Format: kernel/audit/FORMAT.md.', logs: packed, cases }, null, 1)}\n`
}

/** The first effect reserves `dimension` too, and its unknown outcome charges nothing of it. */
function unknownKeeping(dimension: string): (payload: string, seq: number) => string {
  return (payload, seq) => {
    if (seq === 2) return payload.replace('"calls":1}', `"calls":1,"${dimension}":5}`)
    return seq === 3 ? payload.replace('"status":"ok"', '"status":"unknown"') : payload
  }
}

/** Wall time is limited to 600 ms; of the denials, record `at` is a TIME instead. */
function timePassed(ms: number, at: number): (payload: string, seq: number) => string {
  return (payload, seq) => {
    if (seq === 0) return payload.replace('"dimension":"bytes","limit":1000000', '"dimension":"wall_time_ms","limit":600')
    return seq === at ? payload.replace('"type":"DENY"', `"type":"TIME","captured":{"wall_time_ms":${ms}},"was":"DENY"`) : payload
  }
}

/** The first effect spends 7 of `dimension`; the run gets its limit later. */
function spentThenLimited(dimension: string, limit: number): (payload: string, seq: number) => string {
  return (payload, seq) => {
    if (seq === 2 || seq === 3) return payload.replace('"calls":1}', `"calls":1,"${dimension}":7}`)
    return seq === 7
      ? payload.replace('"type":"DENY"', `"type":"LIMIT","account":"run","limits":{"${dimension}":${limit}},"x":"DENY"`)
      : payload
  }
}
