import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseConfig } from './config.ts'
import { ConfigError } from './errors.ts'
import { parseLocated } from './json.ts'
import { checkMountOverlap, parseEnvArgument, parseMount } from './mounts.ts'
import { parseCount, parseDollars, parseDuration, parseSize } from './units.ts'

const config = (text: string) => parseConfig(Buffer.from(text), '/home/me/app/config.json')
const problem = (run: () => unknown): { message: string; hint: string | undefined } => {
  try {
    run()
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    if (error instanceof ConfigError) return { message: error.message, hint: error.hint }
  }
  throw new Error('nothing was thrown')
}

describe('config.json', () => {
  test('every key; relative paths count from the file', () => {
    expect(
      config(`{
        "Program": "agent.py", "Args": ["-v", ""], "Env": { "MODE": "x" }, "Dirs": ["static/css/"], "Files": ["a.txt"],
        "MapDirs": { "../shared/*": "/data/" }, "Policy": "./policy.json", "Memory": "256MiB", "Cpus": 2, "Ca": ["ca.pem", "/etc/ours.pem"]
      }`),
    ).toEqual({
      file: '/home/me/app/config.json',
      program: '/home/me/app/agent.py',
      args: ['-v', ''],
      env: { MODE: 'x' },
      extras: [
        { host: '/home/me/app/static/css', guest: '/static/css' },
        { host: '/home/me/app/a.txt', guest: '/a.txt' },
        { host: '/home/me/shared', guest: '/data' },
      ],
      policy: '/home/me/app/policy.json',
      memoryBytes: 256 * 1024 ** 2,
      cpus: 2,
      authorities: ['/home/me/app/ca.pem', '/etc/ours.pem'],
    })
    expect(config('{ "Ca": "ca.pem" }').authorities).toEqual(['/home/me/app/ca.pem'])
    expect(config('{}')).toMatchObject({ authorities: [], program: undefined, args: [], extras: [], env: {} })
  })

  test.each([
    ['{\n  "Programm": "x"\n}', /config\.json:2:3: unknown key "Programm"/, /did you mean Program\?/],
    ['{ "whatever": 1 }', /unknown key/, /the keys are Program, Args/],
    ['{ "Mounts": {} }', /has no Mounts/, /-v HOST:GUEST/],
    ['{ "RunConfig": { "Memory": "2g" } }', /has no RunConfig/, /Memory and Cpus/],
    ['{ "Args": [],\n "Args": [] }', /:2:2: the key "Args" stands here twice/, /keep one/],
    ['{ "Args": "x" }', /:1:11: Args must be a list, not text/, undefined],
    ['{ "Args": [1] }', /:1:12: Args must be text, not a number/, undefined],
    ['{ "Env": ["A=1"] }', /Env must be an object of texts, not a list/, undefined],
    ['{ "Env": { "A B": "1" } }', /"A B" is not a name/, undefined],
    ['{ "Env": { "A": null } }', /Env must be text, not null/, undefined],
    ['{ "Dirs": ["/etc"] }', /not below the folder/, /MapDirs/],
    ['{ "Files": ["../x"] }', /not below the folder/, /MapDirs/],
    ['{ "Dirs": ["."] }', /not below the folder/, /MapDirs/],
    ['{ "MapDirs": { "a": "b" } }', /not an absolute path/, /"\/b"/],
    ['{ "MapDirs": { "a": "/b/../c" } }', /not an absolute path/, undefined],
    ['{ "MapDirs": { "a*b": "/b" } }', /is a pattern/, /whole|name the folder/],
    ['{ "Program": "~/x" }', /~ means nothing/, /relative/],
    ['{ "Program": "" }', /must not be empty/, undefined],
    ['{ "Program": "a\\u0000b" }', /NUL/, undefined],
    ['{ "Memory": 256 }', /needs a unit/, /"256MiB"/],
    ['{ "Memory": "lots" }', /not a size/, /256MiB/],
    ['{ "Memory": "1KiB" }', /out of range/, /64MiB/],
    ['{ "Cpus": 0 }', /out of range/, /1 to 255/],
    ['{ "Cpus": 1.5 }', /out of range/, undefined],
    ['{ "Cpus": "2" }', /must be a number, not text/, undefined],
    ['[]', /a config is an object, not a list/, undefined],
    ['', /ends too early/, undefined],
    ['{ "Args": [1,] }', /is not JSON here/, undefined],
    ['{ // no\n}', /double quotes/, /no comments/],
    ['{} {}', /after the end/, undefined],
    ['{ "Args": ["a\tb"] }', /not closed, or holds a control character/, undefined],
    ['{ "Args": ["\\ud800"] }', /not valid Unicode/, undefined],
    [`${'['.repeat(20)}`, /nested deeper/, undefined],
  ])('%s is refused with its place', (text, message, hint) => {
    const found = problem(() => config(text))
    expect(found.message).toMatch(message)
    expect(found.message).toMatch(/config\.json:\d+:\d+: /)
    if (hint !== undefined) expect(found.hint).toMatch(hint)
  })

  test('not UTF-8, too large', () => {
    expect(problem(() => parseConfig(Buffer.from([0x7b, 0xff, 0x7d]), 'c')).message).toMatch(/not UTF-8/)
    expect(problem(() => parseConfig(Buffer.alloc(2_000_000, 0x20), 'c')).message).toMatch(/larger than/)
  })

  test('the parser reads what JSON.parse reads, and any damage is a ConfigError', () => {
    const plain = (value: ReturnType<typeof parseLocated>): unknown =>
      value.kind === 'object'
        ? Object.fromEntries(value.members.map((member) => [member.key, plain(member.value)]))
        : value.kind === 'array'
          ? value.items.map(plain)
          : value.kind === 'null'
            ? null
            : value.value
    const json = fc.json({ maxDepth: 3 }).filter((text) => !text.includes('__proto__'))
    fc.assert(
      fc.property(json, (text) => {
        expect(plain(parseLocated(text, 'f'))).toEqual(JSON.parse(text))
      }),
    )
    fc.assert(
      fc.property(json, fc.nat(), fc.string({ maxLength: 3 }), (text, at, insert) => {
        const cut = at % (text.length + 1)
        try {
          parseLocated(text.slice(0, cut) + insert + text.slice(cut + 1), 'f')
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError)
        }
      }),
    )
  })
})

describe('units', () => {
  test.each([
    ['500ms', 500],
    ['90s', 90_000],
    ['5m', 300_000],
    ['1h30m', 5_400_000],
    ['2d', 172_800_000],
  ])('duration %s', (text, ms) => {
    expect(parseDuration(text)).toBe(ms)
  })
  test.each(['5', '', '-5m', '5 m', '1.5h', '30m1h', '5m5m', '0s', '31d', '5M'])('%j is no duration', (text) => {
    expect(() => parseDuration(text)).toThrow(ConfigError)
  })
  test.each([
    ['256MiB', 268_435_456],
    ['1GiB', 1_073_741_824],
    ['64K', 65_536],
    ['2G', 2_147_483_648],
    ['1MB', 1_000_000],
    ['4096', 4096],
  ])('size %s', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes)
  })
  test.each(['', 'MiB', '-1', '1.5GiB', '1 GiB', '1XB', '1mib', '99999999999999TiB'])('%j is no size', (text) => {
    expect(() => parseSize(text)).toThrow(ConfigError)
  })
  test('money and counts', () => {
    expect(parseDollars('$5')).toBe(5_000_000_000)
    expect(() => parseDollars('5')).toThrow(ConfigError)
    expect(parseCount('0')).toBe(0)
    for (const bad of ['', '01', '-1', '1e3', '9007199254740993', ' 1']) expect(() => parseCount(bad)).toThrow(ConfigError)
  })
})

describe('mounts and variables', () => {
  test.each([
    ['./src:/workspace', { host: '/cwd/src', guest: '/workspace', readonly: false }],
    ['/a:/b/:ro', { host: '/a', guest: '/b', readonly: true }],
    ['/with:colon:/b:rw', { host: '/with:colon', guest: '/b', readonly: false }],
    ['/a:/b:cache=1m', { host: '/a', guest: '/b', readonly: false, cacheSeconds: 60 }],
    ['/a:/b:ro,cache=30s', { host: '/a', guest: '/b', readonly: true, cacheSeconds: 30 }],
    ['.:/data//x/', { host: '/cwd', guest: '/data/x', readonly: false }],
  ])('%s', (text, mount) => {
    expect(parseMount(text, '/cwd')).toEqual(mount)
  })
  test.each([
    '',
    'x',
    '/a',
    '/a:b',
    ':/b',
    '/a:/b:rx',
    '/a:/b:',
    '/a:/b:ro,rw',
    '/a:/b:cache=1500ms',
    '/a:/b:cache=2h',
    '/a:/b:cache=30',
    '/a:/b:cache=1s,cache=2s',
    '/a:/',
    '/a:/proc',
    '/a:/app/x',
    '/a:/b/../c',
    '/a:/ak',
    '/a:/run/x',
  ])('%j is refused', (text) => {
    expect(() => parseMount(text, '/cwd')).toThrow(ConfigError)
  })
  test('one guest path cannot be two folders', () => {
    const one = parseMount('/a:/data', '/')
    expect(() => checkMountOverlap([one, parseMount('/b:/data/', '/')])).toThrow(/two mounts at \/data/)
    expect(() => checkMountOverlap([one, parseMount('/b:/data/sub', '/')])).not.toThrow()
  })
  test('variables', () => {
    expect(parseEnvArgument('A=b=c', {})).toEqual(['A', 'b=c'])
    expect(parseEnvArgument('A', { A: 'host' })).toEqual(['A', 'host'])
    expect(() => parseEnvArgument('A', {})).toThrow(/has no A/)
    expect(() => parseEnvArgument('A-B=1', {})).toThrow(ConfigError)
  })
})
