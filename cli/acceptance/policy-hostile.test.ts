/**
 * Whatever a policy file holds or is, `policy check` of the compiled binary says where it is wrong and why, soon and in bounded memory: a process for each file,
 * as for a user. (kernel/policy/json-suite.test.ts has all of JSONTestSuite.)
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runProgram } from '../process/run-program.ts'
import { freshFolder, removeFolder } from './vm-support.ts'

const ROOT = join(import.meta.dirname, '../..')
const BINARY = join(ROOT, 'dist/authority')
const BUILD_MS = 170_000
const TEST_MS = 120_000
/** Far above what a check takes on a busy machine; what hung took for ever. */
const CHECK_MS = 30_000
/** Far above what a check takes (300 MiB for the largest policy there may be), far below the size of a file that is too large. */
const MAX_RESIDENT_BYTES = 1024 * 1024 * 1024

let folder: string
const at = (name: string): string => join(folder, name)

beforeAll(async () => {
  const built = await runProgram([process.execPath, 'run', join(ROOT, 'cli/build/build.ts')], { deadlineMs: BUILD_MS })
  if (built.code !== 0) throw new Error(built.stderr)
  folder = freshFolder('policy-hostile-')
}, BUILD_MS)
afterAll(() => removeFolder(folder))

/** All that is told of a file: `LINE:COLUMN POINTER message (suggestion)` for each problem, `loaded`, or what stands on stderr. */
async function check(name: string, ...more: readonly string[]): Promise<string> {
  const child = Bun.spawn([BINARY, 'policy', 'check', name, '--json', ...more], {
    cwd: folder,
    env: { PATH: process.env['PATH'] ?? '', AUTHORITY_HOME: at('home') },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: CHECK_MS,
    killSignal: 'SIGKILL',
  })
  const [out, err, code] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text(), child.exited])
  expect(child.resourceUsage()?.maxRSS ?? 0).toBeLessThan(MAX_RESIDENT_BYTES)
  expect(`${out}${err}`).not.toMatch(/fault in authority|\n +at /)
  if (out === '') {
    expect(code).toBe(64)
    return err
  }
  interface Answer {
    readonly ok: boolean
    readonly problems: readonly { line: number; column: number; pointer: string; message: string; suggestion: string | null }[]
  }
  const { ok, problems } = JSON.parse(out) as Answer
  expect(code).toBe(ok ? 0 : 64)
  if (ok) return 'loaded'
  return problems
    .map(({ line, column, pointer, message, suggestion }) => `${line}:${column} ${pointer} ${message} (${suggestion})`)
    .join('\n')
}

const V = '"version":"1.0"'
const policy = (inside: string): string => `{${V},${inside}}`
const V_TOML = 'version = "1.0"\n'
const numbered = (count: number, text: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => text(index)).join('')

describe('a file that is', () => {
  test.concurrent.each<[name: string, content: string | Uint8Array, told: string | RegExp]>([
    // Structures, arrays, objects, strings, numbers and literals that are no JSON.
    ['empty.json', '', '1:1  the file is empty'],
    ['unclosed.json', `{${V}`, '1:17  expected `,` or `}`'],
    ['trailing.json', `{${V}} x`, '1:19  `x` after the end'],
    ['two.json', `{${V}}{${V}}`, '1:18  `{` after the end'],
    ['comma.json', `{${V},}`, '1:18  expected a key'],
    ['single.json', "{'version':'1.0'}", '1:2  expected a key'],
    ['bare.json', '{version:"1.0"}', '1:2  expected a key'],
    ['comment.json', `{${V}} // x`, '1:19  `/` after the end'],
    ['array-comma.json', policy('"fs":{"read":["/a",]}'), '1:37  a comma before'],
    ['array-colon.json', policy('"fs":{"read":["/a":1]}'), '1:36  expected `,` or `]`'],
    ['escape.json', policy('"fs":{"read":["\\x41"]}'), '1:33  the escape'],
    ['surrogate.json', policy('"fs":{"read":["/\\ud800"]}'), '1:32  a string with half of a surrogate pair'],
    ['newline.json', policy('"fs":{"read":["/a\n"]}'), '1:35  `\\u{a}` inside a string'],
    ['zeros.json', policy('"budgets":{"calls":007}'), '1:37  a malformed number'],
    ['nan.json', policy('"budgets":{"calls":NaN}'), '1:37  expected a value'],
    ['exponent.json', policy('"budgets":{"calls":1e2}'), '1:37 /budgets/calls `1e2` is not a whole number'],
    ['large-number.json', policy('"budgets":{"calls":9007199254740993}'), '1:37 /budgets/calls'],
    ['word.json', policy('"fs":{"read":[tru]}'), '1:32  expected a value'],
    // Twice, at any depth.
    ['twice.json', `{${V},${V}}`, '1:18 /version the key `version` stands twice, first at 1:2'],
    ['twice-deep.json', policy('"tools":{"allow":[{"name":"t","args":{"/x":{"min":1,"min":2}}}]}'), /stands twice, first at 1:62/],
    ['twice-unknown.json', policy('"x":{"y":[[{"a":1,"\\u0061":2}]]}'), /1:36 \/x\/y\/0\/0\/a the key `a` stands twice/],
    ['twice.toml', `${V_TOML}${V_TOML}`, '2:1  a key or table that stands twice (merge the two)'],
    ['twice-table.toml', `${V_TOML}[fs]\nread = []\n[fs]\nwrite = []`, '4:2  a key or table that stands twice'],
    ['twice-dotted.toml', `${V_TOML}fs.read = []\nfs = { read = [] }`, /^3:1 {2}a key or table that stands twice/],
    ['twice-inline.toml', `${V_TOML}fs = { deny = { read = [], read = [] } }`, /^2:[0-9]+ {2}a key or table that stands twice/],
    ['twice-escaped.toml', `${V_TOML}"ver\\u0073ion" = "1.0"`, '2:1  a key or table that stands twice'],
    // Bytes.
    ['bom.json', `\ufeff{${V}}`, '1:1  the file begins with a byte order mark'],
    ['bom.toml', `\ufeff${V_TOML}`, '1:1  the file begins with a byte order mark'],
    ['utf16.json', new Uint8Array(Buffer.from(`\ufeff{${V}}`, 'utf16le')), '1:1  the file is UTF-16'],
    ['latin1.json', new Uint8Array(Buffer.from(`{${V},"caf\u00e9":1}`, 'latin1')), '1:22  the file is not valid UTF-8'],
    ['overlong.json', new Uint8Array([...Buffer.from(`{${V},"`), 0xc0, 0x80, 0x22]), '1:19  the file is not valid UTF-8'],
    ['nul.json', `{${V}}\0`, '1:18  the file holds a NUL'],
    ['nul.toml', `${V_TOML}\0`, '2:1  the file holds a NUL'],
    ['nul-escaped.json', policy('"fs":{"read":["/a\\u0000b"]}'), '1:32 /fs/read/0 the pattern holds a control character'],
    ['crlf.json', `{\r\n${V},\r\n"fs":{"raed":[]}}\r\n`, '3:7 /fs/raed unknown key `raed`'],
    ['crlf.toml', `version = "1.0"\r\n[fs]\r\nraed = []\r\n`, '3:1 /fs/raed unknown key `raed`'],
    ['cr.toml', 'version = "1.0"\r[fs]\r', /^1:16 {2}/],
    // TOML of other types.
    ['date.toml', 'version = 1979-05-27', '1:11 /version expected a string but found a date'],
    ['date-list.toml', `${V_TOML}[fs]\nread = [1979-05-27T07:32:00Z]`, '3:9 /fs/read/0 expected a string but found a date'],
    ['date-none.toml', `${V_TOML}[budgets]\ncalls = 2025-02-30`, /^3:9 /],
    ['time.toml', `${V_TOML}[budgets]\ncalls = 07:32:00`, '3:9 /budgets/calls expected a whole number but found a date'],
    ['inf.toml', `${V_TOML}[budgets]\ncalls = inf`, '3:9 /budgets/calls'],
    ['float.toml', `${V_TOML}[budgets]\ncalls = 1.0`, '3:9 /budgets/calls'],
    ['proto.toml', `${V_TOML}__proto__ = 1`, '2:1  unknown key'],
    ['proto.json', policy('"__proto__":{"fs":{}}'), '1:18 /__proto__ unknown key'],
    // Large and deep.
    [
      'ten-megabytes.json',
      policy(`"fs":{"read":[${'"/aaaaaaaaaaaaaaaaaaaa",'.repeat(450_000)}"/b"]}`),
      '1:1  the file has more than 4194304 bytes',
    ],
    [
      'ten-megabytes.toml',
      `${V_TOML}fs.read = [${'"/aaaaaaaaaaaaaaaaaaaa",\n'.repeat(450_000)}]`,
      '1:1  the file has more than 4194304 bytes',
    ],
    ['many-rules.json', policy(`"fs":{"read":[${'"/a",'.repeat(20_001)}"/b"]}`), '1:31 /fs/read the list has 20002 rules, more than 20000'],
    ['many-values.json', policy(`"x":[${'0,'.repeat(250_000)}0]`), /more than 200000 values/],
    ['many-values.toml', `${V_TOML}x = [${'0,'.repeat(1_000_000)}0]`, /more than 200000 values/],
    ['deep.json', '['.repeat(2_000_000), '1:17  nested deeper than 16'],
    ['deep-objects.json', '{"a":'.repeat(500_000), '1:81  nested deeper than 16'],
    ['deep.toml', `a = ${'['.repeat(2_000_000)}`, /^1:[0-9]+ {2}nested deeper than 16/],
    ['deep-inline.toml', `a = ${'{ b = '.repeat(500_000)}`, /^1:[0-9]+ {2}nested deeper than 16/],
    ['deep-dotted.toml', `a${'.a'.repeat(1_000_000)} = 1`, /nested deeper than 16/],
    ['deep-header.toml', `[a${'.a'.repeat(1_000_000)}]`, /nested deeper than 16/],
    [
      'long-key.toml',
      `["${'a'.repeat(1_000_000)}"]\n${numbered(200_000, (index) => `k${index} = 1\n`)}`,
      '1:1  the keys of the file are too long',
    ],
    ['long-key.json', `{"${'a'.repeat(1_000_000)}":{${numbered(150_000, (index) => `"k${index}":1,`)}"k":1}}`, /unknown key/],
    // Globs that explode.
    ['braces.json', policy(`"fs":{"read":["/${'{a,b}'.repeat(40)}"]}`), /^1:32 \/fs\/read\/0 .*more than 64 alternatives/],
    [
      'braces-many.json',
      policy(`"fs":{"read":[${numbered(19_000, (index) => `"/${index}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}/**",`)}"/"]}`),
      /100000 alternatives/,
    ],
    ['braces-open.json', policy(`"fs":{"read":["/${'{'.repeat(2000)}"]}`), /^1:32 .*a brace within braces/],
    ['globstars.json', policy(`"fs":{"read":["/${'**/'.repeat(50)}a"]}`), /more than 8 `\*\*` segments/],
    ['long-glob.json', policy(`"fs":{"read":["/${'a'.repeat(100_000)}"]}`), /longer than 16384 bytes/],
    [
      'mapped.json',
      policy(
        `"net":{"hosts":{${numbered(1000, (index) => `"h${index}.example.org":"10.0.0.1",`)}"h.example.org":"10.0.0.1"},"connect":[${numbered(15_000, (index) => `"dns:*.example.org:${index + 1}",`)}"dns:h.example.org:1"]}`,
      ),
      /\/net\/hosts mapped names .* more than 20000 rules/,
    ],
    // Names that look like others.
    [
      'cyrillic-path.json',
      policy('"fs":{"write":["/w\u043erk/out"]}'),
      '1:33 /fs/write/0 `/w\u043erk/out` mixes Latin letters with `\u043e` (Cyrillic, U+043E)',
    ],
    ['cyrillic-deny.json', policy('"fs":{"deny":{"read":["/p\u0430sswords"]}}'), /\/fs\/deny\/read\/0 .*Cyrillic/],
    ['cyrillic-host.json', policy('"net":{"connect":["dns:p\u0430ypal.com:443"]}'), /or `xn--pypal-4ve.com` where this very name is meant/],
    ['cyrillic-key.json', policy('"fs":{"re\u0430d":["/a"]}'), /unknown key `re\u0430d` with U\+0430 in `fs` \(did you mean `read`\?\)/],
    ['invisible.json', policy('"fs":{"read":["/a\u200bb"]}'), /an invisible character, U\+200B/],
    ['bidi.json', policy('"fs":{"read":["/txt\u202egnp"]}'), /an invisible character, U\+202E/],
  ])('%s', { timeout: TEST_MS }, async (name, content, expected) => {
    writeFileSync(at(name), content)
    expect(await check(name)).toMatch(
      expected instanceof RegExp ? expected : new RegExp(`^${expected.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}`),
    )
  })

  test.concurrent('as large as one may be loads', { timeout: TEST_MS }, async () => {
    writeFileSync(
      at('full.json'),
      policy(
        `"profiles":["python","node"],"fs":{"read":[${numbered(19_999, (index) => `"/${'a'.repeat(90)}/${index}/**",`)}"/x"],"ask":{"read":[${numbered(19_999, (index) => `"/ask/${'b'.repeat(60)}${index}",`)}"/y"]}}`,
      ),
    )
    expect(await check('full.json')).toBe('loaded')
  })

  test.concurrent('named to hurt, does not', { timeout: TEST_MS }, async () => {
    const name = '\u001b[2Jevil\u202e.json'
    writeFileSync(at(name), policy('"x":1'))
    const { stdout, stderr, code } = await runProgram([BINARY, 'policy', 'check', name], {
      cwd: folder,
      env: { AUTHORITY_HOME: at('home') },
    })
    expect([code, stdout.length]).toEqual([64, 0])
    expect(stderr).toContain('evil')
    expect(['\u001b', '\u202e'].some((char) => stderr.includes(char))).toBe(false)
  })
})

describe('what is no plain file', () => {
  test.concurrent('is refused or bounded: folder, pipe nobody writes to, endless device, a terabyte of nothing', {
    timeout: TEST_MS,
  }, async () => {
    mkdirSync(at('folder.json'))
    spawnSync('mkfifo', [at('pipe.json')])
    writeFileSync(at('sparse.json'), '')
    truncateSync(at('sparse.json'), 2 ** 40)
    expect(await check('folder.json')).toContain('cannot be read: it is a folder')
    expect(await check('pipe.json')).toContain('1:1  the file is empty')
    expect(await check('/dev/zero')).toContain('1:1  the file has more than 4194304 bytes')
    expect(await check('sparse.json')).toContain('1:1  the file has more than 4194304 bytes')
    expect(await check('none.json')).toContain('there is no such file')
  })
})

describe('an include', () => {
  test.concurrent('that goes round, out of the folder, through a link, into a pipe or a device is refused with the place of its name', {
    timeout: TEST_MS,
  }, async () => {
    const include = (name: string, ...names: readonly string[]): void =>
      writeFileSync(at(name), policy(`"include":${JSON.stringify(names)}`))
    mkdirSync(at('sub'))
    writeFileSync(at('sub/inside.json'), `{${V}}`)
    writeFileSync(at('target.json'), `{${V}}`)
    symlinkSync('target.json', at('link-inside.json'))
    symlinkSync('/dev/zero', at('link-device.json'))
    spawnSync('mkfifo', [at('include-pipe.json')])
    writeFileSync(at('include-sparse.json'), '')
    truncateSync(at('include-sparse.json'), 2 ** 40)
    include('round-a.json', 'round-b.json')
    include('round-b.json', 'round-a.json')
    const refusals: readonly (readonly [name: string, told: string])[] = [
      ['round-a.json', 'includes itself: include-0.json → round-a.json → round-b.json → round-a.json'],
      ['../target.json', 'is not in the same folder'],
      ['sub/inside.json', 'is not in the same folder'],
      ['/etc/passwd', 'is not in the same folder'],
      ['./target.json', 'is not in the same folder'],
      ['..', 'is not in the same folder'],
      ['a\u001bb.json', 'is not the name of a policy file'],
      ['link-inside.json', 'cannot be read: it is a symbolic link'],
      ['link-device.json', 'cannot be read: it is a symbolic link'],
      ['include-pipe.json', 'cannot be read: it is not a plain file'],
      ['include-sparse.json', 'the files have more than 4194304 bytes together'],
      ['missing.json', 'cannot be read: there is no such file'],
    ]
    for (const [index, [name, told]] of refusals.entries()) {
      include(`include-${index}.json`, name)
      const answer = await check(`include-${index}.json`)
      expect(answer).toContain(told)
      expect(answer).toMatch(/^1:29 \/include\/0 /)
    }
  })

  test.concurrent('never makes more rules than one list may have', { timeout: TEST_MS }, async () => {
    const rules = (letter: string): string => `"fs":{"read":[${numbered(15_000, (index) => `"/${letter}${index}",`)}"/z"]}`
    writeFileSync(at('half.json'), policy(rules('a')))
    writeFileSync(at('whole.json'), policy(`"include":["half.json"],${rules('b')}`))
    expect(await check('whole.json')).toMatch(/^1:29 \/include\/0 with this file `\/fs\/read` has 30002 rules, more than 20000/)
  })
})
