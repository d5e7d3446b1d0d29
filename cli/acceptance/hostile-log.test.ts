import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { ensureInstallation, openRunLog, type RecordBody } from '@authority/kernel/audit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Files, rewritten } from '../../kernel/audit/testing/mutants.ts'
import { materialise, RUN_END, RUN_ID, runStart } from '../../kernel/audit/testing/scenario.ts'

/** A log somebody made to harm whoever looks at it, and the compiled binary. */
const BINARY = join(resolve(import.meta.dirname, '../..'), 'dist', 'authority')
const MAX_RSS_MIB = 150
const SPARSE_BYTES = 10 * 1024 ** 3
/** Moves the cursor, rings, clears, hides, turns around, breaks the line, is half a character. */
const EVIL = '\u001b[2J\u0007\u0000\r\n\u009b31m\u202e\u2066\u200b\ufeff\u2028\ud800\u{e0001}'
/** What acts on a terminal, but for the ends of our own lines. */
const ACTS = /[^\P{Cc}\n]|[\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u
let home: string

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'authority-hostile-'))
})
afterEach(() => rmSync(home, { recursive: true, force: true }))

interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
  readonly rssMiB: number
}

function authority(...args: readonly string[]): Ran {
  const env = { PATH: process.env.PATH ?? '', AUTHORITY_HOME: join(home, 'own') }
  const child = Bun.spawnSync([BINARY, ...args], { stdout: 'pipe', stderr: 'pipe', env })
  const rssMiB = (child.resourceUsage?.maxRSS ?? 0) / 1024 ** 2
  return { code: child.exitCode ?? -1, out: child.stdout.toString(), err: child.stderr.toString(), rssMiB }
}

/** A sealed log with these records; its folder. */
async function hostileLog(records: readonly RecordBody[], start: Partial<ReturnType<typeof runStart>> = {}): Promise<string> {
  const installation = await ensureInstallation(home)
  const path = join(home, RUN_ID)
  const log = await openRunLog({ path, installation, start: { ...runStart(installation), ...start } })
  for (const record of records) log.append(record)
  await log.seal({ ...RUN_END, ended_by: EVIL })
  return path
}

const facts = { op: EVIL, session: EVIL, action: EVIL, object: EVIL, requested: `${EVIL}x`, rule: EVIL, policy: EVIL }
/** Of a file whose name turns text around. */
const FIX = JSON.stringify({ version: '1.0', fs: { read: ['/work/\u202egpj.exe'] } })
const claimed = { pid: 1, exe: EVIL }
const EVERY_KIND: readonly RecordBody[] = [
  { type: 'INTENT', ...facts, blocks: [EVIL], accounts: ['run'], reserve: { calls: 1 }, claimed },
  { type: 'OUTCOME', intent: 2, status: 'error', code: EVIL, captured: { calls: 1 }, detail: { [EVIL]: EVIL } },
  { type: 'DENY', ...facts, code: EVIL, reason: EVIL, fix: EVIL, claimed },
  { type: 'DENY', ...facts, object: `${EVIL}2`, code: EVIL, reason: EVIL, fix: null },
  { type: 'DENY', ...facts, op: 'fs.open', action: 'fs.read', code: 'E_POLICY_DENY', reason: EVIL, fix: FIX },
  { type: 'DENY_REPEAT', first: 4, count: 2 },
  { type: 'LOOK', counts: [{ op: EVIL, rule: EVIL, object: EVIL, count: 2 }] },
  { type: 'REVOKE', block: EVIL, by: EVIL },
  {
    type: 'APPROVAL',
    event: 'asked',
    request: 'f'.repeat(64),
    op: EVIL,
    session: EVIL,
    action: EVIL,
    object: EVIL,
    rule: EVIL,
    policy: EVIL,
    by: EVIL,
  },
  { type: 'POLICY', policy: EVIL, source: EVIL, previous: EVIL, by: EVIL },
  { type: 'LIMIT', account: EVIL, limits: {} },
  { type: 'USES', block: EVIL, used: 1 },
  { type: 'MARK', account: EVIL, dimension: EVIL, percent: 50, captured: 1, limit: 2 },
  { type: 'GUEST', event: EVIL, detail: { [EVIL]: [EVIL] } },
]
/** Not of the form a verifier demands, which is no reason to show them raw. */
const OF_NO_FORM: readonly RecordBody[] = [
  { type: 'STDIO', fd: 1, bytes: 3, sha256: EVIL },
  {
    type: 'APPROVAL',
    event: EVIL,
    request: 'f'.repeat(64),
    op: EVIL,
    session: EVIL,
    action: EVIL,
    object: EVIL,
    rule: EVIL,
    policy: EVIL,
    by: EVIL,
  },
  { type: 'INTENT', ...facts, blocks: [EVIL], accounts: ['run'], reserve: { calls: 1 }, args: EVIL, claimed },
]

describe('control and bidi characters in every string', () => {
  it.each([
    ['a log that verifies', EVERY_KIND, 0],
    ['one that does not', [...EVERY_KIND, ...OF_NO_FORM], 1],
  ] as const)('of %s reach the terminal from no command that shows it', async (_which, records, judged) => {
    const path = await hostileLog(records, { build: EVIL, policy: EVIL, policy_source: EVIL, isolation: EVIL })
    const commands = [
      ['audit', 'verify', path],
      ['audit', 'verify', path, '--json'],
      ['audit', 'show', path],
      ['audit', 'show', path, '--json'],
      ['audit', 'show', path, '--denied'],
      ['audit', 'show', path, '--denied', '--json'],
      ['audit', 'show', path, '--follow'],
      ['audit', 'checkpoint', path, '--json'],
      ['audit', 'prove', path, '4', '--json'],
      ['policy', 'suggest', path],
      ['policy', 'suggest', path, '--json'],
    ]
    for (const command of commands) {
      const { out, err } = authority(...command)
      const place = command.filter((word) => word !== path).join(' ')
      expect(ACTS.exec(out), place).toBe(null)
      expect(ACTS.exec(err), place).toBe(null)
    }
    // A name that turns text around is proposed to nobody, and of a log that was tampered with nothing is.
    const suggested = authority('policy', 'suggest', path, '--json')
    expect(suggested.code).toBe(judged)
    expect(suggested.out).not.toContain('gpj')
    expect(authority('audit', 'verify', path)).toMatchObject({ code: judged })
    expect(authority('audit', 'show', path).out.trim().split('\n').length).toBeGreaterThan(records.length)
  })
})

describe('audit show', () => {
  it('filters in every form of its output, and refuses a filter that is none', async () => {
    const plain = { session: 's:1', rule: null, policy: 'p' }
    const denied = { type: 'DENY', op: 'fs.open', action: 'fs.read', code: 'E_POLICY_DENY', reason: 'r', fix: null, ...plain } as const
    const path = await hostileLog([
      { ...denied, object: '/a', requested: '/a' },
      { ...denied, object: '/b', requested: '/b', session: 's:2' },
      { type: 'LOOK', counts: [{ op: 'fs.stat', rule: '/fs/read/0', object: '/c', count: 1 }] },
    ])
    const show = (...flags: readonly string[]): string => authority('audit', 'show', path, ...flags).out
    for (const form of [[], ['--json'], ['--follow']]) {
      expect(show('--denied', '--object', '/b', ...form)).toContain('/b')
      expect(show('--denied', '--object', '/b', ...form)).not.toContain('/a')
      expect(show('--denied', '--subject', 's:1', ...form)).not.toContain('/b')
      expect(show('--decision', 'allowed', '--op', 'fs.stat', ...form)).toContain('/c')
      expect(show('--since', '2999', ...form)).toBe('')
    }
    for (const flags of [
      ['--decision', 'maybe'],
      ['--since', 'yesterday'],
      ['--until', '2026-13'],
      ['--type', 'INTENTION'],
      ['--from', 'x'],
    ])
      expect(authority('audit', 'show', path, ...flags), flags.join(' ')).toMatchObject({ code: 64, out: '' })
  })
})

describe('a home that others could change', () => {
  const policy = '{"version":"1.0"}'
  const isRoot = process.getuid?.() === 0
  const start = (): Ran => authority('gate', 'serve', '--policy', join(home, 'p.json'), '--', 'true')
  const foreign: readonly [string, (own: string) => void][] = isRoot
    ? [
        ['a foreign home', (own) => chownSync(own, 1234, 1234)],
        ['a foreign installation log', (own) => chownSync(join(own, 'installation'), 1234, 1234)],
        ['a foreign segment of it', (own) => chownSync(join(own, 'installation', 'seg-00000000.log'), 1234, 1234)],
      ]
    : []
  it.each([
    ['a world-writable home', (own) => chmodSync(own, 0o777)],
    ['a world-writable installation log', (own) => chmodSync(join(own, 'installation'), 0o777)],
    ['a segment of it others may write', (own) => chmodSync(join(own, 'installation', 'seg-00000000.log'), 0o666)],
    ['a key others may read', (own) => chmodSync(join(own, 'keys'), 0o755)],
    ['a home that is a symbolic link', (own) => behindLink(own)],
    ['an installation log that is one', (own) => behindLink(join(own, 'installation'))],
    ['a segment of it that is one', (own) => behindLink(join(own, 'installation', 'seg-00000000.log'))],
    ...foreign,
  ] satisfies [string, (own: string) => void][])('%s: nothing starts, and the message names it', (_name, spoil) => {
    writeFileSync(join(home, 'p.json'), policy)
    expect(start().code).toBe(0)
    spoil(join(home, 'own'))
    const { code, err } = start()
    expect(code).not.toBe(0)
    expect(err).toContain(join(home, 'own'))
    expect(err).not.toMatch(/\bat .*:\d+/)
  })
})

function behindLink(path: string): void {
  renameSync(path, `${path}-aside`)
  symlinkSync(`${path}-aside`, path)
}

describe('bombs', () => {
  const bombs = {
    'lists in lists as deep as a record holds': `"x":${'['.repeat(29_000)}${']'.repeat(29_000)},`,
    'objects in objects': `"x":${'{"":'.repeat(11_000)}1${'}'.repeat(11_000)},`,
    'a detail nested as deep': `"detail":${'{"a":'.repeat(9_000)}1${'}'.repeat(9_000)},`,
    'thousands of members': `${Array.from({ length: 5_000 }, (_, i) => `"k${i}":0`).join(',')},`,
    'a list of thousands': `"x":[${'{},'.repeat(19_000)}{}],`,
  }
  it.each(Object.entries(bombs))('%s: refused or shown, without a crash and within the memory', async (_name, bomb) => {
    const path = await hostileLog([
      EVERY_KIND[0] as RecordBody,
      { type: 'DENY', ...facts, op: 'fs.open', code: 'E', reason: 'r', fix: null },
    ])
    const files: Files = new Map(readdirSync(path).map((name) => [`${RUN_ID}/${name}`, new Uint8Array(readFileSync(join(path, name)))]))
    const edited = rewritten(files, RUN_ID, (payload) => payload.replace('"op":', `${bomb}"op":`).replace('"event":', `${bomb}"event":`))
    const copy = join(home, 'copy')
    materialise(copy, edited)
    rmSync(join(copy, RUN_ID, 'checkpoints'))
    const log = join(copy, RUN_ID)
    for (const command of [['verify'], ['show'], ['show', '--json'], ['show', '--denied'], ['export']]) {
      const [verb = '', ...flags] = command
      const { code, err, rssMiB } = authority('audit', verb, log, ...flags)
      expect([0, 1, 3, 4, 70], `${command.join(' ')}: ${code} ${err}`).toContain(code)
      expect(err, command.join(' ')).not.toMatch(/\bat .*:\d+|Maximum call stack|RangeError|internal/)
      expect(rssMiB).toBeLessThan(MAX_RSS_MIB)
    }
    expect(authority('audit', 'verify', log).code).toBe(1)
  })
})

describe('files that are not what they seem', () => {
  const NAMES = ['seg-00000000.log', 'checkpoints', 'key.pub', 'commitments.key', 'key.chain']

  it.each(NAMES)('%s of 10 GB without content is refused at once, within the memory', async (name) => {
    const path = await hostileLog([])
    writeFileSync(join(path, name), readdirSync(path).includes(name) ? readFileSync(join(path, name)) : '')
    truncateSync(join(path, name), SPARSE_BYTES)
    for (const verb of ['verify', 'show', 'checkpoint', 'export']) {
      const { code, rssMiB } = authority('audit', verb, path)
      if (verb === 'verify') expect(code).toBe(1)
      expect(rssMiB).toBeLessThan(MAX_RSS_MIB)
    }
  })

  it.each(NAMES)('%s that is a symbolic link to the real one is not followed', async (name) => {
    const path = await hostileLog([])
    const aside = join(home, 'aside')
    if (readdirSync(path).includes(name)) renameSync(join(path, name), aside)
    else writeFileSync(aside, '')
    symlinkSync(aside, join(path, name))
    expect([1, 4]).toContain(authority('audit', 'verify', path).code)
  })

  it('a link to a log folder is not followed either', async () => {
    const path = await hostileLog([])
    const link = join(home, 'link')
    symlinkSync(path, link)
    expect([1, 4]).toContain(authority('audit', 'verify', link).code)
  })

  it('a FIFO and a device in their place hang nothing', async () => {
    for (const name of NAMES) {
      rmSync(home, { recursive: true, force: true })
      mkdirSync(home, { mode: 0o700 })
      const path = await hostileLog([])
      rmSync(join(path, name), { force: true })
      Bun.spawnSync(['mkfifo', join(path, name)])
      for (const verb of ['verify', 'show', 'checkpoint']) expect([0, 1, 4, 70, 125]).toContain(authority('audit', verb, path).code)
      expect([1, 4], name).toContain(authority('audit', 'verify', path).code)
    }
  })
})
