/** Approvals and reload of a run that goes on, with the compiled binary: `gate serve` and a client in Python. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runProgram } from '../process/run-program.ts'
import { freshFolder, removeFolder } from './vm-support.ts'

const ROOT = join(import.meta.dirname, '../..')
const BINARY = join(ROOT, 'dist/authority')
const BUILD_MS = 170_000
const TEST_MS = 60_000

let folder: string
let env: Record<string, string>
const at = (name: string): string => join(folder, name)

beforeAll(async () => {
  const built = await runProgram([process.execPath, 'run', join(ROOT, 'cli/build/build.ts')], { deadlineMs: BUILD_MS })
  if (built.code !== 0) throw new Error(built.stderr)
  folder = freshFolder('policy-living-')
  mkdirSync(at('work'))
  env = { PATH: process.env['PATH'] ?? '', AUTHORITY_HOME: at('home') }
  const save = (name: string, document: object): void => writeFileSync(at(name), JSON.stringify({ version: '1.0', ...document }))
  save('ask.json', { fs: { ask: { write: ['/work/**'] } }, ask: { timeout_ms: 40_000 } })
  save('short.json', { fs: { ask: { write: ['/work/**'] } }, ask: { timeout_ms: 300 } })
  save('write.json', { fs: { write: ['/work/**'] } })
  save('nothing.json', {})
  save('expects.json', { env: { require: ['NOT_SET_HERE'] }, mounts: { require: ['/work:ro'] } })
  writeFileSync(at('broken.json'), '{"version":"1.0",')
  writeFileSync(at('work/inside.json'), '{"version":"1.0"}')
}, BUILD_MS)

afterAll(() => removeFolder(folder))

interface Client {
  readonly child: ChildProcess
  /** Resolves when the client has said this. */
  said(text: string): Promise<void>
  readonly out: Promise<string>
}

function client(policy: string, flags: readonly string[], ...words: readonly string[]): Client {
  const agent = join(import.meta.dirname, 'policy-agent/waits.py')
  const command = ['python3', agent, join(ROOT, 'sdks/python/src'), ...words]
  const child = spawn(BINARY, ['gate', 'serve', '--policy', at(policy), '-v', `${at('work')}:/work`, ...flags, '--', ...command], {
    env,
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let all = ''
  const listeners = new Set<() => void>()
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      all += chunk.toString()
      for (const listener of listeners) listener()
    })
  const out = new Promise<string>((resolve) => child.on('close', () => resolve(all)))
  const said = (text: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (all.includes(text)) resolve()
      }
      listeners.add(look)
      look()
      void out.then(() => reject(new Error(`it ended without saying ${text}: ${all}`)))
    })
  return { child, said, out }
}

const authority = async (...args: readonly string[]): Promise<{ code: number | null; out: string; err: string }> => {
  const { code, stdout, stderr } = await runProgram([BINARY, ...args], { env, deadlineMs: TEST_MS })
  return { code, out: Buffer.from(stdout).toString(), err: stderr }
}

const pending = async (): Promise<{ id: string; digest: string }[]> =>
  JSON.parse((await authority('approvals', 'ls', 'last', '--json')).out) as { id: string; digest: string }[]
const waiting = async (): Promise<string> => (await pending())[0]?.id ?? ''

describe('approvals', () => {
  test('one is allowed, one denied, and who did it is in a log that verifies', { timeout: TEST_MS }, async () => {
    const agent = client('ask.json', [], 'write', '/work/a', 'write', '/work/b')
    await agent.said('fs.write /work/a waits for approval')
    expect((await authority('approvals', 'allow', 'last', await waiting())).out).toContain('allowed once: fs.write /work/a')
    await agent.said('fs.write /work/b waits for approval')
    expect((await authority('approvals', 'deny', 'last', await waiting())).code).toBe(0)
    expect(await agent.out).toMatch(/write \/work\/a ok[\s\S]*write \/work\/b E_APPROVAL_DENIED/)
    expect(existsSync(at('work/a')) && !existsSync(at('work/b'))).toBe(true)
    expect((await authority('audit', 'verify', 'last')).code).toBe(0)
    expect((await authority('audit', 'show', 'last')).out).toMatch(
      /APPROVAL once [0-9a-f]{12} fs.open \/work\/a by uid [0-9]+: authority approvals/,
    )
    expect((await authority('approvals', 'ls', 'last')).err).toContain('is not running')
  })

  test('a name made to hurt whoever reads it is escaped wherever it is shown; a name of a request that is none is refused', {
    timeout: TEST_MS,
  }, async () => {
    const agent = client('ask.json', [], 'write', '/work/a\u202eb\u200bc', 'write', '/work/\u001b[2Jx')
    await agent.said('waits for approval')
    const bare = /[\u202e\u200b]/
    const shown = await authority('approvals', 'ls', 'last')
    expect(shown.out).toMatch(/^[0-9a-f]{12} {2}fs\.write \/work\/a\\u\{202e\}b\\u\{200b\}c {2}\(fs\.[a-z]+, socket:1, [0-9]+ s left\)\n$/)
    for (const id of ['', '..', 'zz', '\u001b[2J', `${'a'.repeat(5000)}`, '--']) {
      const refused = await authority('approvals', 'allow', 'last', id)
      expect(refused.code).not.toBe(0)
      expect(refused.err).not.toMatch(/\n +at /)
      expect(refused.err.includes('\u001b')).toBe(false)
    }
    const allowed = await authority('approvals', 'deny', 'last', await waiting())
    expect(allowed.out).toBe('denied: fs.write /work/a\\u{202e}b\\u{200b}c\n')
    const out = await agent.out
    expect(out.replace(/^write .*$/gm, '')).not.toMatch(bare)
    expect(out).toContain('E_APPROVAL_DENIED')
    expect((await authority('audit', 'show', 'last')).out).not.toMatch(bare)
  })

  test('for the run is for that very request of that run: another request and another run are asked about again', {
    timeout: TEST_MS,
  }, async () => {
    const agent = client('ask.json', [], 'write', '/work/r', 'write', '/work/r', 'write', '/work/s')
    await agent.said('fs.write /work/r waits for approval')
    const [first] = await pending()
    expect((await authority('approvals', 'allow', 'last', first?.id ?? '', '--for-run')).out).toContain(
      'allowed for this run: fs.write /work/r',
    )
    await agent.said('fs.write /work/s waits for approval')
    await authority('approvals', 'deny', 'last', await waiting())
    expect(await agent.out).toMatch(/write \/work\/r ok\nwrite \/work\/r ok\n[\s\S]*write \/work\/s E_APPROVAL_DENIED/)

    const again = client('ask.json', [], 'write', '/work/r')
    await again.said('fs.write /work/r waits for approval')
    const [second] = await pending()
    expect(second?.digest).not.toBe(first?.digest)
    expect((await authority('approvals', 'allow', 'last', first?.digest ?? '')).err).toContain('no request')
    await authority('approvals', 'deny', 'last', second?.id ?? '')
    expect(await again.out).toContain('write /work/r E_APPROVAL_DENIED')
  })

  test('nobody answers: denied', { timeout: TEST_MS }, async () => {
    expect(await client('short.json', [], 'write', '/work/c').out).toContain('write /work/c E_APPROVAL_DENIED')
  })

  test('a hook decides: exit code 0 allows, anything else does not', { timeout: TEST_MS }, async () => {
    const hook = ['--approve-with', 'grep -q /work/yes']
    expect(await client('ask.json', hook, 'write', '/work/yes', 'write', '/work/no').out).toMatch(/yes ok[\s\S]*no E_APPROVAL_DENIED/)
  })
})

test('a gate is not served where the policy expects what it is not given', { timeout: TEST_MS }, async () => {
  const refused = await authority('gate', 'serve', '--policy', at('expects.json'), '-v', `${at('work')}:/work`, '--', 'true')
  expect([refused.code, refused.err]).toEqual([64, expect.stringContaining('requires the environment variable NOT_SET_HERE')])
  expect(refused.err).toContain('to be read-only')
})

describe('policy reload', () => {
  test('closes what the new policy does not allow, opens what it does, and a broken file changes nothing', {
    timeout: TEST_MS,
  }, async () => {
    const agent = client('write.json', [], 'keep', '/work/open', 'write', '/work/more', 'until', '/work/again')
    await agent.said('opened')
    const broken = await authority('policy', 'reload', 'last', at('broken.json'))
    expect([broken.code, broken.err]).toEqual([64, expect.stringContaining('broken.json:1:18')])
    expect((await authority('policy', 'reload', 'last', at('work/inside.json'))).err).toContain('which the run can write')
    const unmet = await authority('policy', 'reload', 'last', at('expects.json'))
    expect(unmet.code).not.toBe(0)
    expect(unmet.err).toMatch(/changes nothing: [\s\S]*NOT_SET_HERE[\s\S]*to be read-only/)
    expect((await authority('policy', 'reload', 'last', at('nothing.json'))).code).toBe(0)
    await agent.said('write /work/more E_POLICY_DENY')
    expect((await authority('policy', 'reload', 'last', at('write.json'))).code).toBe(0)
    expect(await agent.out).toMatch(/keep \/work\/open E_[A-Z_]+[\s\S]*until \/work\/again ok/)
    expect((await authority('audit', 'verify', 'last')).code).toBe(0)
    expect((await authority('audit', 'show', 'last')).out.match(/ POLICY /g)).toHaveLength(2)
  })

  test('an idle connection is closed at once: the far end sees it without another byte, and the CLOSE says why', {
    timeout: TEST_MS,
  }, async () => {
    const bytes: unknown[] = []
    const ended = Promise.withResolvers<void>()
    const server = createServer((socket) =>
      socket
        .on('data', (data) => bytes.push(data))
        .on('error', () => undefined)
        .on('close', () => ended.resolve()),
    )
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const net = { connect: [`ip:127.0.0.1:${port}`] }
    writeFileSync(at('net.json'), JSON.stringify({ version: '1.0', net, budgets: { calls: 100 } }))
    writeFileSync(at('net-less.json'), JSON.stringify({ version: '1.0', net, budgets: { calls: 50 } }))
    try {
      const agent = client('net.json', [], 'idle', `127.0.0.1:${port}`)
      await agent.said('connected')
      expect((await authority('policy', 'reload', 'last', at('net-less.json'))).out).toContain('budget calls: now 50')
      const { code, out } = await authority('policy', 'reload', 'last', at('nothing.json'))
      expect([code, out]).toEqual([0, expect.stringContaining('budget calls: stays 50')])
      await ended.promise
      expect(await agent.out).toContain(`idle 127.0.0.1:${port} E_POLICY_DENY`)
      expect(bytes).toEqual([])
    } finally {
      server.close()
    }
    expect((await authority('audit', 'verify', 'last')).code).toBe(0)
    const records = (await authority('audit', 'show', 'last', '--json')).out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string; detail?: object })
    const types = records.map(({ type }) => type)
    expect(records.find(({ type }) => type === 'CLOSE')?.detail).toMatchObject({ bytes_in: 0, bytes_out: 0, reason: 'E_POLICY_DENY' })
    expect(types.lastIndexOf('CLOSE')).toBeGreaterThan(types.lastIndexOf('POLICY'))
  })

  test('a policy larger than one message is reloaded too', { timeout: TEST_MS }, async () => {
    const read = Array.from({ length: 19_000 }, (_, index) => `/work/${'x'.repeat(100)}/${index}`)
    writeFileSync(at('large.json'), JSON.stringify({ version: '1.0', fs: { read, write: ['/work/again'] } }))
    const agent = client('nothing.json', [], 'until', '/work/again')
    await authority('policy', 'check', at('large.json'))
    await expect.poll(async () => (await authority('policy', 'reload', 'last', at('large.json'))).code, { timeout: TEST_MS / 2 }).toBe(0)
    expect(await agent.out).toContain('until /work/again ok')
  })
})
