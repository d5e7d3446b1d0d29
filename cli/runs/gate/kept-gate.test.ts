import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { attenuate, lastBlockId } from '@authority/kernel/capability'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openGateCore } from './core.ts'

const POLICY = { version: '1.0', fs: { read: ['/in/**'] } }
let home: string
let started: number

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'authority-kept-'))
  mkdirSync(join(home, 'runs'), { mode: 0o700 })
  started = 0
})
afterEach(() => rmSync(home, { recursive: true, force: true }))

/** One process of the gate, as far as its core goes. */
async function start(options: { readonly policy?: object; readonly keep?: string | null } = {}) {
  const run = String(++started).padStart(32, '0')
  const folder = join(home, 'runs', run)
  mkdirSync(folder, { mode: 0o700 })
  const keep = options.keep === undefined ? 'one' : options.keep
  const core = await openGateCore({
    run,
    home,
    folder,
    build: 'test',
    isolation: 'none',
    policy: { bytes: Buffer.from(JSON.stringify(options.policy ?? POLICY)), source: 'test', kind: 'operator' },
    hosts: [],
    resolver: { kind: 'system' },
    budgets: {},
    mounts: [],
    guarded: [],
    cpus: 1,
    detail: {},
    operator: new Map(),
    ...(keep === null ? {} : { keep: join(home, 'gates', keep) }),
  })
  return { ...core, run, stop: () => core.close({ endedBy: 'stop', exitCode: 0 }) }
}

function codeOf(act: () => unknown): string {
  try {
    act()
    return 'accepted'
  } catch (error) {
    return String((error as { code?: unknown }).code)
  }
}

const forever = { notBefore: 0, expires: 253_402_300_799_999 }
const question = { action: 'fs.read', object: '/in/a' } as const

test('a token goes on being good after a restart; without a name it dies with its gate', async () => {
  const first = await start()
  const token = first.capability.mint({ fs: { read: ['/in/**'] } }, forever)
  const own = first.capability.runToken
  await first.stop()
  const second = await start()
  expect(codeOf(() => second.capability.bind('s', token))).toBe('accepted')
  expect(codeOf(() => second.capability.bind('s', own))).toBe('accepted')
  await second.stop()
  const nameless = await start({ keep: null })
  expect(codeOf(() => nameless.capability.bind('s', token))).toBe('E_CAP_RUN')
  await nameless.stop()
  const another = await start({ keep: 'two' })
  expect(codeOf(() => another.capability.bind('s', token))).toBe('E_CAP_RUN')
  await another.stop()
})

test('what was revoked stays revoked, with all that came from it, over any number of restarts', async () => {
  const first = await start()
  const token = first.capability.mint({ fs: { read: ['/in/**'] } }, forever)
  const child = attenuate(token, { fs: { read: ['/in/a'] } })
  const block = lastBlockId(token)
  first.audit.append({ type: 'REVOKE', block, by: 'operator' })
  first.capability.revoke(block)
  await first.stop()
  for (let i = 0; i < 2; i++) {
    const next = await start()
    expect([token, child].map((each) => codeOf(() => next.capability.bind('s', each)))).toEqual(['E_CAP_REVOKED', 'E_CAP_REVOKED'])
    await next.stop()
  }
})

test('uses go on where they stood', async () => {
  const first = await start()
  const token = first.capability.mint({ fs: { read: ['/in/**'] }, uses: 3 }, forever)
  const handle = first.capability.bind('s', token)
  expect(first.capability.check('s', handle, [question]).allow).toBe(true)
  expect(first.capability.check('s', handle, [question]).allow).toBe(true)
  await first.stop()
  const second = await start()
  const again = second.capability.bind('s', token)
  expect(second.capability.check('s', again, [question]).allow).toBe(true)
  expect(second.capability.check('s', again, [question])).toMatchObject({ allow: false, code: 'E_CAP_RATE' })
  await second.stop()
})

test('what a token’s own budget has left is what earlier processes left of it', async () => {
  const first = await start()
  const token = first.capability.mint({ fs: { read: ['/in/**'] }, budget: { calls: 5 } }, forever)
  const accounts = ['run', `block:${lastBlockId(token)}`]
  const what = { op: 'fs.open', session: 's', action: 'fs.read', object: '/in/a', requested: '/in/a', rule: null } as const
  const paid = { policy: first.policy.id, blocks: [lastBlockId(token)], accounts, reserve: { calls: 4 } }
  const intent = first.audit.append({ type: 'INTENT', ...what, ...paid })
  first.audit.append({ type: 'OUTCOME', intent, status: 'ok', captured: { calls: 4 } })
  await first.stop()
  const second = await start()
  second.capability.bind('s', token)
  expect(second.budget.reserve(accounts, { calls: 2 })).toMatchObject({ ok: false, dimension: 'calls' })
  expect(second.budget.reserve(accounts, { calls: 1 }).ok).toBe(true)
  await second.stop()
})

test('one gate of a name at a time; its file is its owner’s only', async () => {
  const first = await start()
  await expect(start()).rejects.toThrow('a gate of this name is running already')
  await first.stop()
  expect(statSync(join(home, 'gates', 'one', 'gate.json')).mode & 0o777).toBe(0o600)
})

test('a gate whose past cannot be read does not start', async () => {
  const first = await start()
  await first.stop()
  const file = join(home, 'gates', 'one', 'gate.json')
  const text = readFileSync(file, 'utf8')
  rmSync(join(home, 'runs', first.run), { recursive: true })
  await expect(start()).rejects.toThrow('is gone')
  for (const broken of ['', '{}', text.replace('"format":1', '"format":2'), text.replace(first.run, 'x')]) {
    writeFileSync(file, broken)
    await expect(start()).rejects.toThrow('cannot go on')
  }
})

test('nor one whose last process has not sealed its log: what it did is not known', async () => {
  await (await start()).stop()
  const going = await start({ keep: 'two' })
  const file = join(home, 'gates', 'one', 'gate.json')
  const stored = JSON.parse(readFileSync(file, 'utf8')) as { readonly runs: readonly string[] }
  writeFileSync(file, JSON.stringify({ ...stored, runs: [...stored.runs, going.run] }))
  await expect(start()).rejects.toThrow('is not sealed')
  await going.stop()
  await (await start()).stop()
})

test('another policy is another grant: the old run token is refused, a minted one stays within what is decided now', async () => {
  const first = await start()
  const own = first.capability.runToken
  await first.stop()
  const second = await start({ policy: { version: '1.0', fs: { read: ['/other/**'] } } })
  expect(codeOf(() => second.capability.bind('s', own))).toBe('E_CAP_INVALID')
  await second.stop()
})
