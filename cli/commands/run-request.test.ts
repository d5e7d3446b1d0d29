import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { PLAIN, type Terminal } from '../ui/terminal.ts'
import { parseArguments } from './arguments.ts'
import { parseBudgets } from './budgets.ts'
import { runRequest } from './run-request.ts'
import { RUN } from './verbs.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'run-request-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const nothing = (): void => undefined
const terminal: Terminal = {
  out: nothing,
  raw: nothing,
  json: nothing,
  note: nothing,
  passing: nothing,
  isTty: { out: false, err: false },
  style: PLAIN,
}
const request = (...words: string[]) => runRequest(parseArguments('run', RUN, words), { terminal, env: { SHELL_VALUE: 'here' }, cwd: dir })

test('everything a command line can say', () => {
  const made = request(
    ...['./tool', '-v', 'src:/src:ro', '-v', '/abs:/abs', '-e', 'A=1=2', '-e', 'SHELL_VALUE', '--policy', 'p.json', '--timeout', '1m30s'],
    ...[
      '--budget',
      'cost=$0.25',
      '--budget',
      'bytes=1KiB',
      '--budget',
      'wall_time=2s',
      '--memory',
      '1GiB',
      '--cpus',
      '2',
      '--accel',
      'tcg',
    ],
    ...[
      '--host',
      'a.example=127.0.0.1',
      '-p',
      '8080:80',
      '--resolver',
      '192.0.2.53',
      '--kernel',
      'vmlinuz',
      '--timing',
      '--console',
      '--no-tty',
      '--',
      '-x',
      '--',
      'y',
    ],
  )
  expect(made).toEqual({
    target: './tool',
    args: ['-x', '--', 'y'],
    configArgs: [],
    env: ['A=1=2', 'SHELL_VALUE=here'],
    extras: [],
    mounts: [
      { host: join(dir, 'src'), guest: '/src', readonly: true },
      { host: '/abs', guest: '/abs', readonly: false },
    ],
    policyPath: join(dir, 'p.json'),
    configPath: null,
    acceptPolicy: null,
    budgets: { cost_nano_usd: 250_000_000, bytes: 1024, wall_time_ms: 2000 },
    hosts: [['a.example', '127.0.0.1']],
    published: [{ address: '127.0.0.1', port: 8080, guestPort: 80 }],
    resolver: { kind: 'servers', servers: [{ address: '192.0.2.53', port: 53 }] },
    authorities: [],
    timeoutMs: 90_000,
    memoryMib: 1024,
    cpus: 2,
    accel: 'tcg',
    require: null,
    kernelFile: join(dir, 'vmlinuz'),
    timing: true,
    console: true,
    tty: false,
  })
})

test('a config gives what the command line does not', () => {
  const config = {
    Program: 'tool',
    Args: ['a'],
    Env: { K: 'v' },
    Files: ['data'],
    Policy: 'p.json',
    Memory: '128MiB',
    Cpus: 3,
    Resolver: '192.0.2.53',
  }
  writeFileSync(join(dir, 'config.json'), JSON.stringify(config))
  expect(request('-c', join(dir, 'config.json'), '--', 'b')).toMatchObject({
    target: join(dir, 'tool'),
    configArgs: ['a'],
    args: ['b'],
    env: ['K=v'],
    extras: [{ host: join(dir, 'data'), guest: '/data' }],
    policyPath: join(dir, 'p.json'),
    configPath: join(dir, 'config.json'),
    memoryMib: 128,
    cpus: 3,
    resolver: { kind: 'servers', servers: [{ address: '192.0.2.53', port: 53 }] },
  })
})

test('the command line wins over its config', () => {
  writeFileSync(
    join(dir, 'config.json'),
    JSON.stringify({ Program: 'tool', Env: { K: 'v' }, Policy: 'p.json', Memory: '128MiB', Cpus: 3, Resolver: '192.0.2.53' }),
  )
  const made = request(
    './other',
    '-c',
    'config.json',
    '--policy',
    'q.json',
    '--memory',
    '64MiB',
    '--cpus',
    '1',
    '-e',
    'K=w',
    '--resolver',
    'system',
  )
  expect(made).toMatchObject({ target: './other', policyPath: join(dir, 'q.json'), memoryMib: 64, cpus: 1, resolver: { kind: 'system' } })
  // Later entries of the environment replace earlier ones.
  expect(made.env).toEqual(['K=v', 'K=w'])
})

test('memory is rounded up to whole MiB', () => expect(request('./x', '--memory', '67108865').memoryMib).toBe(65))
test('the lower of two limits for one key holds, whatever their order', () => {
  expect(parseBudgets(['calls=3', 'calls=5'])).toEqual({ calls: 3 })
  expect(parseBudgets(['calls=5', 'calls=3'])).toEqual({ calls: 3 })
})
test.each(['constructor=1', '__proto__=1', '=1', ''])('%j is not a budget', (text) =>
  expect(() => parseBudgets([text])).toThrow('is not a budget'),
)

test('-it: with --no-tty, half of it, and without a terminal, refused', () => {
  expect(() => request('./tool', '-it', '--no-tty')).toThrow(/contradict/)
  expect(() => request('./tool', '-t')).toThrow(/given together/)
  expect(() => request('./tool', '-i')).toThrow(/given together/)
})
