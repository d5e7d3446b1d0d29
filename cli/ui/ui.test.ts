import { AuthorityError } from '@authority/protocol'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ConfigError } from '../config/index.ts'
import { ImageError } from '../image/errors.ts'
import { CliError } from '../runs/errors.ts'
import type { EndFacts, StartFacts } from '../runs/run-spec.ts'
import { reportError } from './errors.ts'
import { progressOf } from './progress.ts'
import { denialLines, endLine, startLine, timingLine } from './run-lines.ts'
import { PLAIN, type Terminal } from './terminal.ts'
import { clip, columns, count, safe } from './text.ts'
import { formatBytes, formatCharge, formatDollars, formatMs } from './units.ts'

function recorder(tty = false): Terminal & { readonly notes: string[]; readonly passed: string[] } {
  const notes: string[] = []
  const passed: string[] = []
  const nothing = (): void => undefined
  const isTty = { out: tty, err: tty }
  return {
    notes,
    passed,
    out: nothing,
    raw: nothing,
    json: nothing,
    note: (line) => notes.push(line),
    passing: (line) => passed.push(line),
    isTty,
    style: PLAIN,
  }
}

describe('units', () => {
  test.each([
    [0, '0 B'],
    [53, '53 B'],
    [1024, '1 KiB'],
    [1536, '1.5 KiB'],
    [1_000_000, '1 MB'],
    [50_000_000, '50 MB'],
    [1 << 20, '1 MiB'],
    [5 * 2 ** 30, '5 GiB'],
  ])('%d bytes', (bytes, text) => expect(formatBytes(bytes)).toBe(text))
  test.each([
    [0, '0 ms'],
    [999, '999 ms'],
    [2100, '2.1 s'],
    [60_000, '1 min'],
    [90_000, '1 min 30 s'],
    [3_600_000, '1 h'],
    [5_400_000, '1 h 30 min'],
  ])('%d ms', (ms, text) => expect(formatMs(ms)).toBe(text))
  test.each([
    [0, '$0.00'],
    [5_000_000_000, '$5.00'],
    [250_000_000, '$0.25'],
    [1, '$0.000000001'],
  ])('%d nano-dollars', (nano, text) => expect(formatDollars(nano)).toBe(text))
  test('by dimension', () =>
    expect([formatCharge('calls', 7), formatCharge('log_bytes', 2048), formatCharge('cpu_ms', 1500)]).toEqual(['7', '2 KiB', '1.5 s']))
})

describe('text', () => {
  test('nothing a terminal obeys or hides survives', () =>
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}]/u.test(safe(text)))))
  test('ordinary letters of any script stay', () => expect(safe('Größe 日本 é')).toBe('Größe 日本 é'))
  test('a right-to-left override is spelled out', () => expect(safe('a\u202eb')).toBe('a\\u{202e}b'))
  test('clip and count', () =>
    expect([clip('abcdef', 4), clip('abcd', 4), count(1, 'effect'), count(2, 'effect')]).toEqual(['abc…', 'abcd', '1 effect', '2 effects']))
  test('columns do not pad the last', () =>
    expect(
      columns([
        ['a', 'bb', 'c'],
        ['aaa', 'b', 'cc'],
      ]),
    ).toEqual(['a    bb  c', 'aaa  b   cc']))
})

const START: StartFacts = {
  run: '0123456789abcdef0123456789abcdef',
  isolation: 'emulated, not a QEMU security boundary',
  policy: { id: 'ab'.repeat(32), source: '/p/policy.json' },
  budgets: { calls: 100, cost_nano_usd: 5_000_000_000 },
  mounts: [{ host: '/h\n/x', guest: '/g', readonly: true, cacheSeconds: 60 }],
  scratch: ['/tmp'],
  audit: '/home/runs/x/audit',
  resolver: ['system'],
  authorities: [],
  console: false,
  unfilteredTerminal: false,
}
const END: EndFacts = {
  run: START.run,
  exitCode: 0,
  endedBy: 'agent',
  reason: null,
  effects: 1,
  denials: 2,
  spent: { calls: 1, wall_time_ms: 3200 },
  limits: { calls: 100 },
  shownDenials: [
    { seq: 3, permission: 'fs.write', code: 'E_POLICY_DENY', object: '/a\x1b[2Jb', fix: '{"version":"1.0"}', rule: null },
    { seq: 4, permission: 'fs.write', code: 'E_POLICY_DENY', object: '/a\x1b[2Jb', fix: '{"version":"1.0"}', rule: null },
    { seq: 5, permission: 'net.connect', code: 'E_POLICY_DENY', object: 'ip:169.254.169.254:80', fix: null, rule: null },
    { seq: 6, permission: 'fs.write', code: 'E_APPROVAL_DENIED', object: '/asked', fix: null, rule: null },
    { seq: 7, permission: 'fs.write', code: 'E_APPROVAL_REQUIRED', object: '/asked', fix: null, rule: null },
  ],
  audit: { path: '/home/runs/x/audit', root: null, records: 9 },
  timing: [
    ['log', 27],
    ['spawned', 40],
  ],
}

describe('lines about a run', () => {
  test('the start line says what is enforced, in one line', () =>
    expect(startLine(START, PLAIN)).toBe(
      'authority: run 0123456789ab · emulated, not a QEMU security boundary · policy abababab (/p/policy.json) · budgets calls 100, cost $5.00 · mounts /h\\u{a}/x→/g (read-only, kept 60 s) · scratch /tmp (gone at the end) · log /home/runs/x/audit',
    ))
  test('an unfiltered terminal and a kernel log are said', () =>
    expect(startLine({ ...START, console: true, unfilteredTerminal: true }, PLAIN)).toMatch(
      /kernel log on stderr · terminal sequences pass unfiltered/,
    ))
  test('each distinct denial has one line, without what the guest put into it', () =>
    expect(denialLines(END, PLAIN)).toEqual([
      'authority: denied fs.write /a\\u{1b}[2Jb · allow it with {"version":"1.0"}',
      'authority: denied net.connect ip:169.254.169.254:80 · no rule can allow it',
      'authority: denied fs.write /asked · a person refused it, or nobody answered in time',
      'authority: denied fs.write /asked · a person must approve it: `authority approvals ls RUN` while it waits',
    ]))
  test.each([
    ['budget:run/calls', 'by the calls budget of the run: /a · raise the limit: --budget calls=N, or "budgets" in the policy'],
    ['budget:run/cost_nano_usd', 'by the cost budget of the run: /a · raise the limit: --budget cost=N, or "budgets" in the policy'],
    [
      'budget:class:net/bytes_out',
      'by the net bytes out budget of the run: /a · raise the limit: --budget net.bytes_out=N, or "budgets" in the policy',
    ],
    ['budget:installation/calls', 'by the calls budget all runs share: /a · see and raise it: authority budget limit --budget calls=N'],
    [
      `budget:block:${'ab'.repeat(16)}/calls`,
      'by the calls budget of token block abababababab: /a · the token says so: hand out one with a larger budget',
    ],
    [null, 'by a budget: /a · raise the limit: --budget KIND=N, or "budgets" in the policy'],
  ])('a denial by %s says whose budget it was and what raises it', (rule, line) => {
    const denial = { seq: 3, permission: 'E_BUDGET_EXCEEDED', code: 'E_BUDGET_EXCEEDED', object: '/a', fix: null, rule }
    expect(denialLines({ ...END, shownDenials: [denial] }, PLAIN)).toEqual([`authority: denied ${line}`])
  })
  test('what runs share stands in both lines, and of places how many were taken at once', () => {
    const shared = [
      { dimension: 'cost_nano_usd', limit: 5_000_000_000, used: 1_250_000_000 },
      { dimension: 'concurrency', limit: 4, used: 1 },
    ]
    expect(startLine({ ...START, shared }, PLAIN)).toContain('· shared by all runs: cost $3.75 of $5.00 left, concurrency 3 of 4 left ·')
    const end = endLine({ ...END, shared, limits: { concurrency: 4 }, spent: { concurrency: 2 } }, PLAIN)
    expect(end).toContain('spent concurrency at most 2 of 4 · shared by all runs: cost $3.75 of $5.00 left ·')
  })
  test('the end line', () =>
    expect(endLine(END, PLAIN)).toBe(
      'authority: ended with exit code 0 · 1 effect · 2 denials · spent calls 1 of 100, wall time 3.2 s · authority policy suggest 0123456789ab',
    ))
  test('an end that is not the agent’s own says why', () =>
    expect(endLine({ ...END, endedBy: 'guest', exitCode: 125, reason: 'it\nsaid \x07', denials: 0 }, PLAIN)).toMatch(
      /^authority: ended by guest \(exit code 125\): it\\u\{a\}said \\u\{7\} · .* · authority audit show 0123456789ab$/,
    ))
  test('timing', () => expect(timingLine(END.timing, PLAIN)).toBe('authority: timing · log 27 ms (+27 ms) · spawned 40 ms (+13 ms)'))
})

describe('errors', () => {
  const exit = (error: unknown, verb: string | null): number =>
    reportError(error, { terminal: recorder(), debug: false, verb, json: false })
  test.each([
    [new CliError('usage', '', ''), 'run', 64],
    [new CliError('usage', '', ''), null, 64],
    [new CliError('not_found', '', ''), 'run', 127],
    [new CliError('not_found', '', ''), 'build', 64],
    [new CliError('not_executable', '', ''), 'run', 126],
    [new CliError('home', '', ''), 'run', 125],
    [new CliError('home', '', ''), 'runs ls', 70],
    [new CliError('gate', '', '', { exitCode: 126 }), 'gate serve', 126],
    [new ImageError('not-found', ''), 'run', 127],
    [new ImageError('not-executable', ''), 'run', 126],
    [new ImageError('corrupt', ''), 'run', 125],
    [new ImageError('not-found', ''), 'inspect', 64],
    [new ImageError('host-io', ''), 'build', 70],
    [new ConfigError(undefined, ''), 'run', 64],
    [new AuthorityError('E_AUDIT', ''), 'run', 125],
    [new AuthorityError('E_AUDIT', ''), 'audit show', 4],
    [new AuthorityError('E_CAP_INVALID', ''), 'cap show', 64],
    [new AuthorityError('E_UPSTREAM', ''), 'doctor', 70],
    [new Error('oops'), 'run', 125],
    [new Error('oops'), 'runs ls', 70],
    ['thrown text', null, 70],
  ])('%s under %s', (error, verb, code) => expect(exit(error, verb)).toBe(code))
  test('cause and hint, escaped, no stack', () => {
    const terminal = recorder()
    reportError(new CliError('usage', 'a\x1b[1mb\nc', 'do this'), { terminal, debug: false, verb: null, json: false })
    expect(terminal.notes).toEqual(['authority: a\\u{1b}[1mb\n  c', '  do this'])
  })
  test('--debug adds where, with causes', () => {
    const terminal = recorder()
    reportError(new CliError('usage', 'a', 'b', { cause: new Error('inner') }), { terminal, debug: true, verb: null, json: false })
    expect(terminal.notes.join('\n')).toMatch(/CliError: a[\s\S]*Error: inner/)
  })
})

describe('progress', () => {
  test('in a pipe one line per step', () => {
    const terminal = recorder()
    const report = progressOf(terminal)
    for (const percent of [0, 50, 100]) report({ what: 'linux-image', bytes: 1 << 20, percent })
    report({ what: 'python3' })
    expect(terminal.notes).toEqual(['authority: linux-image, 1 MiB', 'authority: python3'])
  })
  test('on a terminal a line that is renewed', () => {
    const terminal = recorder(true)
    const report = progressOf(terminal)
    for (const percent of [0, 50.5, 100]) report({ what: 'x', percent })
    expect(terminal.passed).toEqual(['authority: x 0 %', 'authority: x 50 %'])
    expect(terminal.notes).toEqual(['authority: x: done'])
  })
})
