import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { ensureInstallation } from '../index.ts'
import { parseSigner, signCheckpoint } from '../note.ts'
import { openRunLog } from '../open.ts'
import { MemoryFs } from '../testing/memory-fs.ts'
import { type Files, notesOf, rewritten, treeOf } from '../testing/mutants.ts'
import { AT_ONCE, begin, HOME, RUN_END, RUN_ID, runStart, testContext, work } from '../testing/scenario.ts'
import { Bench, sealedLog, sweepLog } from '../testing/sweep.ts'
import type { RecordBody } from '../types.ts'
import { verifyRun } from './index.ts'

let files: Files
let bench: Bench
beforeAll(async () => {
  files = await sealedLog()
  bench = new Bench()
})
afterAll(() => bench.remove())

const first = (verdict: { readonly findings: readonly { readonly message: string }[] }): string | undefined => verdict.findings[0]?.message

describe('verify', () => {
  it('calls a sealed log intact, and says what that rests on', async () => {
    const verdict = await bench.verify(files)
    expect(verdict).toMatchObject({
      status: 'intact',
      exitCode: 0,
      trust: 'self-attested',
      segments: 3,
      effects: 18,
      denials: 9,
      findings: [],
      warnings: [],
    })
    expect(verdict.proved).toHaveLength(5)
    expect(verdict.notExcluded.join()).toContain('written anew')
    expect(await bench.verify(files, { key: verdict.key ?? '' })).toMatchObject({ status: 'intact', trust: 'pinned-key' })
    expect(await bench.verify(files, { require: 'remembered-checkpoint' })).toMatchObject({
      status: 'intact',
      trustMet: false,
      exitCode: 3,
    })
  })

  it('lets no change of bytes, ends, order, segments or checkpoints pass (a sample; the campaign tries all)', async () => {
    const { tried, passed } = await sweepLog(211)
    expect(passed).toEqual([])
    expect(tried).toBeGreaterThan(400)
  })

  it('without the installation log too', async () => {
    const { passed } = await sweepLog(997, { installation: null })
    expect(passed).toEqual([])
  })

  it('finds a history written anew without the key', async () => {
    for (const target of [1, 20, 50]) {
      const changed = rewritten(files, RUN_ID, (payload, seq) => (seq === target ? payload.replace('"t":"2023', '"t":"2022') : payload))
      expect(await bench.verify(changed), String(target)).toMatchObject({ status: 'tampered' })
    }
  })

  it('with the key it passes, unless the installation log or a remembered checkpoint is there', async () => {
    const signer = parseSigner(keyOf(await homeKey()))
    const forged = forge(signer)
    expect((await bench.verify(forged, { installation: null })).status).toBe('intact')
    expect(first(await bench.verify(forged))).toContain('noted another state')
    const anchors = [lastNote(files)]
    expect(await bench.verify(files, { anchors })).toMatchObject({ status: 'intact', trust: 'remembered-checkpoint' })
    expect(first(await bench.verify(forged, { installation: null, anchors }))).toContain('written anew')
  })

  it('refuses another key, another run, and an anchor of another log', async () => {
    const other = await sealedLog(2)
    const key = new TextDecoder().decode(other.get(`${RUN_ID}/key.pub`)).trimEnd()
    expect(first(await bench.verify(files, { key }))).toContain('another key')
    expect(first(await bench.verify(files, { run: 'f'.repeat(32) }))).toContain('not of ffff')
    expect(first(await bench.verify(files, { anchors: [lastNote(other)] }))).toContain('not signed by')
    const spliced = new Map([...files, [`${RUN_ID}/seg-00000001.log`, other.get(`${RUN_ID}/seg-00000001.log`) ?? new Uint8Array(0)]])
    expect((await bench.verify(spliced)).status).toBe('tampered')
  })

  it('calls a cut to an earlier checkpoint, an older backup and a missing log tampering, never a crash', async () => {
    const fs = new MemoryFs()
    const { log } = await begin(testContext(fs))
    await work(log, 2)
    await log.checkpoint()
    const backup = fs.snapshot(HOME)
    await work(log, 2)
    await log.seal(RUN_END)
    const now = fs.snapshot(HOME)
    const restored = new Map([...now, ...[...backup].filter(([name]) => name.startsWith(RUN_ID))])
    expect(first(await bench.verify(restored))).toContain('records are missing')
    expect((await bench.verify(restored, { installation: null })).status).toBe('unsealed')
    const gone = new Map([...now].filter(([name]) => !name.startsWith(RUN_ID)))
    await bench.verify(gone)
    rmSync(join(bench.folder, RUN_ID), { recursive: true, force: true })
    expect(await verifyRun(join(bench.folder, RUN_ID), { installation: join(bench.folder, 'installation'), run: RUN_ID })).toMatchObject({
      status: 'tampered',
      exitCode: 1,
    })
    expect(await verifyRun(join(bench.folder, RUN_ID))).toMatchObject({ status: 'unreadable', exitCode: 4 })
  })

  it('calls a run that goes on or died unsealed', async () => {
    const fs = new MemoryFs()
    const { log } = await begin(testContext(fs), { preallocate: true, segmentBytes: () => 65_536 })
    await work(log, 1)
    expect(await bench.verify(fs.snapshot(HOME))).toMatchObject({ status: 'unsealed', exitCode: 3 })
    log.abandon()
  })
})

describe('rules of the records', () => {
  const start = { seq: 0 }
  async function judged(...bodies: readonly RecordBody[]): Promise<string | undefined> {
    const fs = new MemoryFs()
    const { log } = await begin(testContext(fs), { segmentBytes: () => 65_536 })
    for (const body of bodies) log.append(body)
    await log.durable()
    log.abandon()
    const verdict = await bench.verify(fs.snapshot(HOME))
    return verdict.status === 'tampered' ? first(verdict) : undefined
  }
  const intent = {
    type: 'INTENT',
    op: 'fs.open',
    session: 's',
    action: 'fs.read',
    object: '/a',
    requested: '/a',
    rule: null,
    policy: 'p',
    blocks: [],
    accounts: ['run'],
    reserve: { calls: 600, bytes: 10 },
  } as const
  // RUN_START is record 0, CHECKPOINT record 1: the first of these is record 2.
  const at = start.seq + 2

  it('hold for a lawful run', async () => {
    expect(
      await judged(
        intent,
        { type: 'LEASE', intent: at, reserve: { bytes: 5 } },
        { type: 'OUTCOME', intent: at, status: 'ok', captured: { calls: 600 }, leased: { bytes: 10 } },
        { type: 'LEASE', intent: at, reserve: { bytes: 5 } },
        { type: 'CLOSE', intent: at, captured: { bytes: 20 }, detail: {} },
        { type: 'TIME', captured: { wall_time_ms: 100 } },
      ),
    ).toBe(undefined)
  })

  const unlawful: [string, readonly RecordBody[], string][] = [
    ['an outcome without an intent', [{ type: 'OUTCOME', intent: 1, status: 'ok', captured: {} }], 'not an open effect'],
    [
      'two outcomes',
      [intent, { type: 'OUTCOME', intent: at, status: 'ok', captured: {} }, { type: 'OUTCOME', intent: at, status: 'ok', captured: {} }],
      'not an open effect',
    ],
    ['reservations beyond the limit', [intent, intent], 'calls of account run reaches 1200 of 1000'],
    [
      'reservations beyond what was captured',
      [intent, { type: 'OUTCOME', intent: at, status: 'ok', captured: { calls: 600 } }, intent],
      'reaches 1200 of 1000',
    ],
    [
      'more captured than reserved',
      [intent, { type: 'OUTCOME', intent: at, status: 'ok', captured: { bytes: 11 } }],
      '11 bytes captured of 10',
    ],
    [
      'an unknown outcome charged less',
      [intent, { type: 'OUTCOME', intent: at, status: 'unknown', captured: { bytes: 10 } }],
      'not charged in full',
    ],
    ['a close of nothing', [{ type: 'CLOSE', intent: 1, captured: {}, detail: {} }], 'not open'],
    [
      'a close of more than the lease',
      [
        intent,
        { type: 'OUTCOME', intent: at, status: 'ok', captured: {}, leased: { bytes: 10 } },
        { type: 'CLOSE', intent: at, captured: { bytes: 11 }, detail: {} },
      ],
      '11 bytes captured of 10',
    ],
    [
      'a token block beyond its budget',
      [
        { type: 'LIMIT', account: 'block:a', limits: { calls: 1 } },
        { ...intent, accounts: ['block:a'], reserve: { calls: 2 } },
      ],
      'calls of account block:a reaches 2 of 1',
    ],
    [
      'a limit the run is given later, with more spent before it',
      [
        { ...intent, reserve: { tokens: 7 } },
        { type: 'OUTCOME', intent: at, status: 'ok', captured: { tokens: 7 } },
        { type: 'LIMIT', account: 'run', limits: { tokens: 5 } },
      ],
      'tokens of account run gets a limit of 5 and has 7 already',
    ],
    [
      'more than a limit the run was given later, counted from the start',
      [
        { ...intent, reserve: { tokens: 7 } },
        { type: 'OUTCOME', intent: at, status: 'ok', captured: { tokens: 7 } },
        { type: 'LIMIT', account: 'run', limits: { tokens: 8 } },
        { ...intent, reserve: { tokens: 2 } },
      ],
      'tokens of account run reaches 9 of 8',
    ],
    [
      'more than was leased of the installation',
      [
        { type: 'LEASED', leased: { calls: 3 } },
        { ...intent, accounts: ['installation'], reserve: { calls: 3 } },
        { ...intent, accounts: ['installation'], reserve: { calls: 1 } },
      ],
      'calls of account installation reaches 4 of 3',
    ],
    [
      'more than was leased of the installation for one class, counted from the start',
      [
        { ...intent, accounts: ['installation:net'], reserve: { calls: 1 } },
        { type: 'LEASED', leased: { calls: 9, 'net.calls': 3 } },
        { ...intent, accounts: ['installation', 'installation:net'], reserve: { calls: 2 } },
        { ...intent, accounts: ['installation:fs'], reserve: { calls: 9 } },
        { ...intent, accounts: ['installation', 'installation:net'], reserve: { calls: 1 } },
      ],
      'calls of account installation:net reaches 4 of 3',
    ],
    ['a second beginning', [runStart({ id: '0'.repeat(32) } as never)], 'a second RUN_START'],
    ['a checkpoint nobody signed', [{ type: 'CHECKPOINT', size: 1, root: '0'.repeat(64) }], 'is missing'],
    ['an end with open effects', [intent, RUN_END], '1 effects open'],
    ['a record after the end', [RUN_END, { type: 'TIME', captured: {} }], 'after RUN_END'],
    ['a negative amount', [{ type: 'TIME', captured: { calls: -1 } }], 'missing or wrong'],
    ['a fraction', [{ type: 'TIME', captured: { calls: 0.5 } }], 'missing or wrong'],
    ['an unknown type', [{ type: 'SURPRISE' } as never], 'not known'],
  ]
  for (const [name, bodies, message] of unlawful) {
    it(`break with ${name}`, async () => {
      expect(await judged(...bodies)).toContain(message)
    })
  }

  describe('time past its limit', () => {
    const limited = { type: 'LIMIT', account: 'run', limits: { wall_time_ms: 600 } } as const
    const passed = (wall_time_ms: number): RecordBody => ({ type: 'TIME', captured: { wall_time_ms } })
    const leased = { type: 'LEASED', leased: { wall_time_ms: 600, calls: 9 } } as const
    const late = { ...intent, reserve: { calls: 1 } }

    it('is lawful, also by minutes: a gate that stood still, or a guest that claims them, makes no log look forged', async () => {
      expect(await judged(limited, passed(500_000), passed(7))).toBe(undefined)
      expect(await judged(leased, passed(500_000))).toBe(undefined)
    })
    it('by a slice at most, effects may follow', async () => {
      expect(await judged(limited, passed(850), late, { type: 'OUTCOME', intent: at + 2, status: 'void', captured: {} })).toBe(undefined)
    })
    it.each([
      ['the run', limited],
      ['what it leased', leased],
    ])('of %s by more than a slice, none may', async (_whose, limit) => {
      expect(await judged(limit, passed(851), late)).toContain('an effect after wall_time_ms')
      const renewal = { type: 'LEASE', intent: at, reserve: { bytes: 1 } } as const
      expect(await judged(late, limit, passed(851), renewal)).toContain('a lease after wall_time_ms')
    })
    it('is of nothing but time', async () => {
      expect(await judged({ type: 'TIME', captured: { calls: 1001 } })).toContain('calls of account run reached 1001 of 1000')
    })
  })

  it('an account that overran gets nothing more', async () => {
    const overrun = { type: 'OUTCOME', intent: at, status: 'ok', captured: { calls: 2000 }, overrun: true } as const
    expect(await judged(intent, overrun)).toBe(undefined)
    expect(await judged(intent, overrun, intent)).toContain('reaches 2600 of 1000')
  })
})

describe('hostile files', () => {
  const folders: string[] = []
  afterEach(() => {
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
  })
  async function realRun(): Promise<{ path: string; installation: string }> {
    const home = mkdtempSync(join(tmpdir(), 'authority-audit-'))
    folders.push(home)
    const installation = await ensureInstallation(home)
    const log = await openRunLog({ path: join(home, 'run'), installation, start: runStart(installation), ...AT_ONCE })
    await work(log, 1)
    await log.seal(RUN_END)
    return { path: log.path, installation: installation.folder }
  }

  it('a sparse file of 10 GB, a symbolic link and a device are refused at once', async () => {
    const { path } = await realRun()
    const segment = join(path, 'seg-00000000.log')
    truncateSync(segment, 10 * 1024 ** 3)
    expect(await verifyRun(path)).toMatchObject({ status: 'tampered' })
    rmSync(segment)
    symlinkSync('/dev/zero', segment)
    expect(await verifyRun(path)).toMatchObject({ status: 'tampered' })
  })

  it('an unknown version and a file that is no log cannot be read', async () => {
    const { path } = await realRun()
    const segment = join(path, 'seg-00000000.log')
    const bytes = readFileSync(segment)
    bytes[9] = 2
    writeFileSync(segment, bytes)
    expect(await verifyRun(path)).toMatchObject({ status: 'unreadable', exitCode: 4 })
    writeFileSync(segment, 'hello'.repeat(2000))
    expect(await verifyRun(path)).toMatchObject({ status: 'unreadable', exitCode: 4 })
    expect(await verifyRun(join(path, 'nothing'))).toMatchObject({ status: 'unreadable', exitCode: 4 })
  })

  it('leave no file open', async () => {
    const { path, installation } = await realRun()
    const before = openSync('/dev/null', 'r')
    closeSync(before)
    await verifyRun(path, { installation })
    rmSync(join(path, 'checkpoints'))
    await verifyRun(path, { installation })
    const after = openSync('/dev/null', 'r')
    closeSync(after)
    expect(after).toBe(before)
  })
})

it('shares no code with the writer', () => {
  for (const name of readdirSync(import.meta.dirname).filter((n) => !n.endsWith('.test.ts'))) {
    const imports = [...readFileSync(join(import.meta.dirname, name), 'utf8').matchAll(/from '([^']+)'/g)].map((match) => match[1] ?? '')
    expect(
      imports.filter((from) => !from.startsWith('./') && !from.startsWith('node:')),
      name,
    ).toEqual([])
  }
})

async function homeKey(): Promise<Uint8Array> {
  return files.get('keys/installation.key') ?? new Uint8Array(0)
}
function keyOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes).trimEnd()
}
function lastNote(of: Files): string {
  return notesOf(of, RUN_ID).at(-1) ?? ''
}

/** A whole new history signed with the real key: the checkpoint records inside are made to fit as well. */
function forge(signer: ReturnType<typeof parseSigner>): Files {
  const edited = rewritten(files, RUN_ID, (payload) =>
    payload.includes('"type":"CHECKPOINT"')
      ? payload.replace(/"type":"CHECKPOINT".*$/, '"type":"FATAL","reason":"x"}')
      : payload.replaceAll('/data/', '/date/'),
  )
  const names = [...edited.keys()].filter((name) => name.startsWith(`${RUN_ID}/seg-`)).sort()
  const { size, root, origin } = treeOf(names.map((name) => edited.get(name) ?? new Uint8Array(0)))
  return new Map([...edited, [`${RUN_ID}/checkpoints`, new TextEncoder().encode(`${signCheckpoint({ origin, size, root }, signer)}\n`)]])
}
