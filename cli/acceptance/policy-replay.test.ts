/** `policy diff --run`, `learn` and `suggest` over runs that happened, with the compiled binary: both directions, and logs that are not what a gate left. */
import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runProgram } from '../process/run-program.ts'
import { freshFolder, removeFolder } from './vm-support.ts'

const ROOT = join(import.meta.dirname, '../..')
const BINARY = join(ROOT, 'dist/authority')
const BUILD_MS = 170_000
const TEST_MS = 60_000

/** What the agent does, one after the other, whatever is refused. */
const AGENT = `
import sys
sys.path.insert(0, sys.argv[1])
import authority
with authority.connect() as gate:
    def say(attempt):
        try:
            attempt()
            print("ok")
        except authority.AuthorityError as error:
            print(error.code)
    say(lambda: gate.fs.read_file("/work/a"))
    say(lambda: gate.fs.read_file("/work/b"))
    say(lambda: gate.fs.write_file("/work/out", b"x"))
    say(lambda: gate.fs.readdir("/work"))
    say(lambda: gate.fs.stat("/work/sub"))
    say(lambda: gate.fs.rename("/work/out", "/work/out2"))
    say(lambda: gate.net.connect("records.invalid", 443))
    say(lambda: gate.fs.write_file("/work/asked", b"x"))
    if len(sys.argv) > 2:
        print("waiting", flush=True)
        sys.stdin.read()
`
/** Runs the first, then the second. */
const FIRST = { fs: { read: ['/work/a', '/work'], write: ['/work/out'] } }
const SECOND = {
  fs: { read: ['/work/**'], write: ['/work/out*'], deny: { read: ['/work/a'] }, ask: { write: ['/work/asked'] } },
  net: { connect: ['dns:records.invalid:443'] },
  ask: { timeout_ms: 1 },
}

let folder: string
let env: Record<string, string>
const at = (name: string): string => join(folder, name)
const runs: Record<string, string> = {}

/** The agent under one of the two policies. */
function served(policy: 'first' | 'second'): string[] {
  const agent = ['python3', at('agent.py'), join(ROOT, 'sdks/python/src')]
  return ['gate', 'serve', '--policy', at(`${policy}.json`), '-v', `${at('work')}:/work`, '--', ...agent]
}

beforeAll(async () => {
  const built = await runProgram([process.execPath, 'run', join(ROOT, 'cli/build/build.ts')], { deadlineMs: BUILD_MS })
  if (built.code !== 0) throw new Error(built.stderr)
  folder = freshFolder('policy-replay-')
  env = { PATH: process.env['PATH'] ?? '', AUTHORITY_HOME: at('home') }
  mkdirSync(at('work/sub'), { recursive: true })
  for (const name of ['a', 'b']) writeFileSync(at(`work/${name}`), name)
  writeFileSync(at('agent.py'), AGENT)
  writeFileSync(at('first.json'), JSON.stringify({ version: '1.0', ...FIRST }))
  writeFileSync(at('second.json'), JSON.stringify({ version: '1.0', ...SECOND }))
  for (const [name, expected] of [
    ['first', 'ok E_POLICY_DENY ok ok E_POLICY_DENY E_POLICY_DENY E_POLICY_DENY E_POLICY_DENY'],
    ['second', 'E_POLICY_DENY ok ok ok ok ok E_UPSTREAM E_APPROVAL_DENIED'],
  ] as const) {
    const { out } = await authority(...served(name))
    expect(out.trim().split(/\s+/).join(' ')).toBe(expected)
    runs[name] = (JSON.parse((await authority('runs', 'ls', '--json')).out) as { id: string }[])[0]?.id ?? ''
  }
}, BUILD_MS)
afterAll(() => removeFolder(folder))

const authority = async (...args: readonly string[]): Promise<{ code: number; out: string; err: string }> => {
  const { code, stdout, stderr } = await runProgram([BINARY, ...args], { env, cwd: folder, deadlineMs: TEST_MS })
  return { code, out: Buffer.from(stdout).toString(), err: stderr }
}
interface Replayed {
  readonly allows: readonly { op: string; object: string }[]
  readonly asks: readonly { op: string; object: string }[]
  readonly denies: readonly { op: string; object: string }[]
  readonly same: number
  readonly log: string
}
const replayed = async (before: string, after: string, run: string): Promise<Replayed> =>
  (JSON.parse((await authority('policy', 'diff', before, after, '--run', run, '--json')).out) as { replay: Replayed }).replay
const shown = (effects: Replayed['allows']): string[] => effects.map(({ op, object }) => `${op} ${object}`)

describe('policy diff over a run that happened', () => {
  test('under the first: what the second would newly allow, ask about and deny, looks, listings and connections included', {
    timeout: TEST_MS,
  }, async () => {
    const { allows, asks, denies, same, log } = await replayed('first.json', 'second.json', runs['first'] ?? '')
    expect(shown(allows)).toEqual([
      'fs.open /work/b',
      'fs.stat /work/sub',
      'fs.rename /work/out -> /work/out2',
      'net.connect records.invalid:443',
    ])
    expect(shown(asks)).toEqual(['fs.open /work/asked'])
    expect(shown(denies)).toEqual(['fs.open /work/a'])
    // Writing `out` and listing the folder.
    expect([same, log]).toEqual([2, 'sealed'])
    const { out } = await authority('policy', 'diff', 'first.json', 'second.json', '--run', runs['first'] ?? '')
    expect(out).toContain('over the recorded run it would newly allow 4 effects')
    expect(out).toContain('over the recorded run it would newly deny 1 effect\n  fs.open /work/a\n')
  })

  test('under the second: the way back takes away what the second gave', { timeout: TEST_MS }, async () => {
    const { allows, asks, denies } = await replayed('second.json', 'first.json', runs['second'] ?? '')
    expect(shown(allows)).toEqual(['fs.open /work/a'])
    expect(asks).toEqual([])
    expect(shown(denies)).toEqual([
      'fs.open /work/b',
      'fs.rename /work/out -> /work/out2',
      'net.connect dns:records.invalid:443',
      'fs.stat /work/sub',
    ])
  })

  test('under the same: nothing', { timeout: TEST_MS }, async () => {
    for (const name of ['first', 'second']) {
      const { allows, asks, denies } = await replayed(`${name}.json`, `${name}.json`, runs[name] ?? '')
      expect([allows, shown(asks), denies]).toEqual([[], name === 'second' ? ['fs.open /work/asked'] : [], []])
    }
  })
})

test('learn and suggest make of the first run what lets all of it happen', { timeout: TEST_MS }, async () => {
  const learned = await authority('policy', 'learn', runs['first'] ?? '', '--policy', 'learned.json', '--yes')
  expect(learned.code).toBe(0)
  expect(JSON.parse(readFileSync(at('learned.json'), 'utf8'))).toEqual({
    version: '1.0',
    fs: { look: ['/work/sub'], read: ['/work/b'], write: ['/work/out2', '/work/asked'] },
    net: { connect: ['dns:records.invalid:443'] },
  })
  await authority('policy', 'suggest', runs['first'] ?? '', '-o', 'suggested.json')
  const { allows, denies } = await replayed('first.json', 'suggested.json', runs['first'] ?? '')
  expect([allows.length, denies.length]).toEqual([5, 0])
})

describe('a log that is not what a gate left', () => {
  const verbs = (log: string) => [
    ['policy', 'diff', 'first.json', 'second.json', '--run', log],
    ['policy', 'learn', log, '--policy', 'never.json', '--yes'],
    ['policy', 'suggest', log],
  ]

  test('changed, cut or without its checkpoints: refused, and nothing is made of it', { timeout: TEST_MS }, async () => {
    const whole = at(`home/runs/${runs['first']}/audit`)
    const [segment = ''] = readdirSync(whole).filter((name) => name.startsWith('seg-'))
    const spoil: Record<string, (bytes: Buffer) => Buffer> = {
      changed: (bytes) => Buffer.from(bytes.toString('latin1').replace('/work/b', '/work/z'), 'latin1'),
      cut: (bytes) => bytes.subarray(0, bytes.length >> 1),
      emptied: () => Buffer.alloc(0),
    }
    for (const [name, change] of Object.entries(spoil)) {
      cpSync(whole, at(name), { recursive: true })
      writeFileSync(at(`${name}/${segment}`), change(readFileSync(at(`${name}/${segment}`))))
      for (const words of verbs(`./${name}`)) {
        const { code, out, err } = await authority(...words)
        expect([words[1], name, code === 1 || code === 4, out]).toEqual([words[1], name, true, ''])
        expect(err).toMatch(/the log of \.\/[a-z]+ (was tampered with|cannot be read): [\s\S]*authority audit verify/)
      }
    }
    expect(readdirSync(folder)).not.toContain('never.json')
  })

  test('of a run that goes on: what is there, and a word that it is not all', { timeout: TEST_MS }, async () => {
    const child = spawn(BINARY, [...served('first'), 'wait'], { env, cwd: folder, stdio: ['pipe', 'pipe', 'ignore'] })
    const ended = new Promise((resolve) => child.on('close', resolve))
    await new Promise<void>((resolve) => child.stdout.on('data', (data: Buffer) => data.toString().includes('waiting') && resolve()))
    const { code, out, err } = await authority('policy', 'diff', 'first.json', 'second.json', '--run', 'last')
    expect([code, err]).toEqual([0, expect.stringContaining('is not sealed')])
    expect(out).toContain('newly allow')
    expect((await replayed('first.json', 'second.json', 'last')).log).toBe('unsealed')
    child.stdin.end()
    await ended
  })

  test('that is none, or a run that is none: says so', { timeout: TEST_MS }, async () => {
    mkdirSync(at('no-log'))
    for (const words of [...verbs('./no-log'), ...verbs('nosuchrun')]) {
      const { code, err } = await authority(...words)
      expect(code).not.toBe(0)
      expect(err).toMatch(/There is no audit log|no run `nosuchrun`|cannot be read/)
      expect(err).not.toMatch(/fault in authority|\n +at /)
    }
  })
})
