/** Whatever a file holds: a policy that says what it says, or an error with a place. Never a crash, a hang or a silent acceptance. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { patternRules } from '../capability/index.ts'
import { loadPolicy, PolicyLoadError, readCases } from './index.ts'
import { bytesOf } from './testing.ts'

/** Far above what any of them takes on a busy machine: what hung took for ever. */
const LONG_MS = 60_000

/** The first line of the refusal, or `loaded`. */
function told(text: string | Uint8Array, name = 'p.json'): string {
  try {
    loadPolicy(typeof text === 'string' ? bytesOf(text) : text, name)
    return 'loaded'
  } catch (error) {
    if (!(error instanceof PolicyLoadError)) throw error
    for (const { line, column } of error.problems) expect(line >= 1 && column >= 1).toBe(true)
    return error.message.split('\n')[0] ?? ''
  }
}

const policy = (inside: string): string => `{"version":"1.0",${inside}}`

describe('JSON that is none, or more than one thing', () => {
  it.each([
    ['', '1:1'],
    [' \n\t', '2:2'],
    ['null', '1:1'],
    ['[]', '1:1'],
    ['"x"', '1:1'],
    ['{"version":"1.0"', '1:17'],
    ['{"version":"1.0"}}', '1:18'],
    ['{"version":"1.0"}{}', '1:18'],
    ['{"version":"1.0",}', '1:18'],
    ["{'version':'1.0'}", '1:2'],
    ['{version:"1.0"}', '1:2'],
    ['{"version":"1.0"}\u0000', '1:18'],
    ['{"version":"1.0\n"}', '1:16'],
    ['{"version":"\\x31"}', '1:13'],
    ['{"version":"\\ud800"}', '1:12'],
    ['{"version":"1.0","budgets":{"calls":01}}', '1:37'],
    ['{"version":"1.0","budgets":{"calls":1e3}}', '1:37'],
    ['{"version":"1.0","budgets":{"calls":-1}}', '1:37'],
    ['{"version":"1.0","budgets":{"calls":NaN}}', '1:37'],
    ['{"version":"1.0","budgets":{"calls":9007199254740992}}', '1:37'],
    ['{"version":"1.0","fs":{"read":["/a",]}}', '1:37'],
    ['{"version":"1.0","fs":{"read":[,"/a"]}}', '1:32'],
    ['{"version":"1.0" /* c */}', '1:18'],
    ['\u00a0{"version":"1.0"}', '1:1'],
    ['{"version":"1.0","__proto__":{"fs":{}}}', '1:18'],
    ['{"version":"1.0","constructor":1}', '1:18'],
    ['{"version":"1.0","fs":{"toString":[]}}', '1:24'],
  ])('%j at %s', (text, place) => expect(told(text)).toContain(`p.json:${place}: `))
})

describe('twice', () => {
  it.each([
    ['{"version":"1.0","version":"1.0"}'],
    [policy('"fs":{"read":[],"read":[]}')],
    [policy('"fs":{"deny":{"read":[],"read":[]}}')],
    [policy('"fs":{"re\\u0061d":[],"read":[]}')],
    [policy('"tools":{"allow":[{"name":"a","name":"b","args":{"/x":{"equals":1}}}]}')],
    [policy('"tools":{"allow":[{"name":"a","args":{"/x":{"equals":1,"equals":2}}}]}')],
    [policy('"net":{"hosts":{"a.test":"10.0.0.1","a.test":"10.0.0.2"}}')],
  ])('%s', (text) => expect(told(text)).toContain('stands twice'))

  it('in TOML', () => {
    expect(told('version = "1.0"\nversion = "1.0"', 'p.toml')).toMatch(/^p\.toml:[12]:/)
    expect(told('version = "1.0"\n[fs]\nread = []\n[fs]\nwrite = []', 'p.toml')).toMatch(/^p\.toml:[0-9]+:/)
  })
})

describe('bytes', () => {
  it('marks, other encodings, NUL', () => {
    expect(told('\ufeff{"version":"1.0"}')).toContain('1:1: the file begins with a byte order mark')
    expect(told(new Uint8Array([0xff, 0xfe, 0x7b, 0x00]))).toContain('UTF-16')
    expect(told(new Uint8Array([0x7b, 0x22, 0xc0, 0x80, 0x22]))).toContain('1:3: the file is not valid UTF-8')
    expect(told(new Uint8Array([0x7b, 0x22, 0xed, 0xa0, 0x80, 0x22]))).toContain('not valid UTF-8')
    expect(told('{"version":\u0000"1.0"}')).toContain('NUL')
    expect(told(policy('"fs":{"read":["/a\\u0000b"]}'))).toContain('control character')
  })

  it('line ends of any kind load, and places count lines', () => {
    expect(told('{\r\n"version":\r\n"1.0"\r\n}\r\n')).toBe('loaded')
    expect(told('version = "1.0"\r\n[fs]\r\nread = ["/a"]\r\n', 'p.toml')).toBe('loaded')
    expect(told('{\r\n"version":"1.0",\r\n"fs":{"raed":[]}}')).toContain('p.json:3:7: /fs/raed')
  })

  it('ten megabytes, and many small values, are refused before they are read', { timeout: LONG_MS }, () => {
    expect(told(policy(`"fs":{"read":[${'"/aaaaaaaaaaaaaaaaaaaa",'.repeat(450_000)}"/b"]}`))).toContain('has more than 4194304 bytes')
    expect(told(policy(`"fs":{"read":[${'0,'.repeat(250_000)}0]}`))).toContain('more than 200000 values')
    expect(told(policy(`"fs":{"read":[${'"/a",'.repeat(20_001)}"/b"]}`))).toContain('more than 20000')
  })

  it('depth is bounded in both formats', () => {
    expect(told('['.repeat(100_000))).toContain('nested deeper than 16')
    expect(told('{"a":'.repeat(100_000))).toContain('nested deeper than 16')
    expect(told(`a = ${'['.repeat(5_000)}`, 'p.toml')).toMatch(/^p\.toml:[0-9]+:[0-9]+: /)
    expect(told(`a = ${'{ b = '.repeat(5_000)}`, 'p.toml')).toMatch(/^p\.toml:[0-9]+:[0-9]+: /)
  })

  it('TOML dates, floats and special numbers are not what is wanted', () => {
    for (const value of ['1979-05-27', '1979-05-27T07:32:00Z', '07:32:00', '1.5', 'inf', 'nan', 'true', '[1]', '{}'])
      expect(told(`version = "1.0"\n[budgets]\ncalls = ${value}`, 'p.toml')).toContain('/budgets/calls')
    expect(told('version = 1979-05-27', 'p.toml')).toContain('a date')
  })
})

describe('globs and names made to hurt', () => {
  it('brace bombs and star storms cost nothing', { timeout: LONG_MS }, () => {
    expect(told(policy(`"fs":{"read":["/${'{a,b}'.repeat(40)}"]}`))).toContain('more than 64 alternatives')
    expect(told(policy(`"fs":{"read":["/${'**/'.repeat(50)}a"]}`))).toContain('more than 8')
    expect(told(policy(`"fs":{"read":["/[${'a'.repeat(500)}]"]}`))).toContain('write `[abc]`')
    const storm = loadPolicy(bytesOf(policy(`"fs":{"read":["/${'*a'.repeat(60)}b","/**/${'*x'.repeat(60)}y/**"]}`)), 'p.json')
    const began = Array.from({ length: 200 }, () => storm.decide({ action: 'fs.read', object: `/${'a'.repeat(250)}/${'x'.repeat(250)}` }))
    expect(began.every(({ allow }) => !allow)).toBe(true)
  })

  it('braces of many rules, mapped names and rules for them, and lists over several files are bounded together', {
    timeout: LONG_MS,
  }, () => {
    const braces = Array.from({ length: 19_000 }, (_, index) => `/${index}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}/**/x*`)
    expect(told(JSON.stringify({ version: '1.0', fs: { read: braces } }))).toMatch(
      /^p\.json:1:[0-9]+: \/fs\/read\/1562: .*100000 alternatives/,
    )
    const mapped = (address: string, rule: (index: number) => string): string =>
      told(
        JSON.stringify({
          version: '1.0',
          net: {
            hosts: Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`h${index}.example.org`, address])),
            connect: Array.from({ length: 15_000 }, (_, index) => rule(index)),
          },
        }),
      )
    expect(mapped('10.0.0.1', (index) => `dns:*.example.org:${index + 1}`)).toMatch(
      /^p\.json:1:[0-9]{2,}: \/net\/hosts: .*more than 20000 rules/,
    )
    expect(mapped('127.0.0.1', (index) => `dns:*.h${index}.example.org:80-90`)).toBe('loaded')
    const list = (name: string): string[] => Array.from({ length: 15_000 }, (_, index) => `/${name}${index}`)
    const include = (): Uint8Array => bytesOf(JSON.stringify({ version: '1.0', fs: { read: list('b') } }))
    const two = JSON.stringify({ version: '1.0', include: ['b.json'], fs: { read: list('a') } })
    expect(() => loadPolicy(bytesOf(two), 'p.json', { include })).toThrow(
      'p.json:1:29: /include/0: with this file `/fs/read` has 30000 rules',
    )
    // What is asked about and what a profile holds is in one list with what is allowed, for the run's own capability.
    const full = Array.from({ length: 20_000 }, (_, index) => `/a${index}`)
    const all = loadPolicy(
      bytesOf(policy(`"profiles":["python"],"fs":{"read":${JSON.stringify(full)},"ask":{"read":${JSON.stringify(full)}}}`)),
      'p.json',
    )
    expect(() => patternRules(all.grants)).not.toThrow()
  })

  it('look-alikes are refused with their place, unless they are written so that they are meant', () => {
    const paths = (...rules: string[]): string => told(policy(`"fs":{"read":${JSON.stringify(rules)}}`))
    const hosts = (...rules: string[]): string => told(policy(`"net":{"connect":${JSON.stringify(rules)}}`))
    expect(paths('/ok', '/w\u043erk/**')).toContain(
      'p.json:1:38: /fs/read/1: `/w\u043erk/**` mixes Latin letters with `\u043e` (Cyrillic, U+043E)',
    )
    expect(paths('/a\u200bb')).toContain('holds an invisible character, U+200B')
    expect(paths('/a\u202etxt')).toContain('U+202E')
    expect(paths('/a\u00a0b')).toContain('a space of another kind')
    expect(paths('/\uff57ork')).toContain('a styled letter')
    expect(told(policy('"fs":{"deny":{"read":["/p\u0430ss"]}}'))).toContain('/fs/deny/read/0: ')
    expect(told(policy('"tools":{"allow":[{"name":"t","args":{"/p":{"glob":"/w\u043erk"}}}]}'))).toContain('Cyrillic')
    // Words of one script, twins of composition, and what stands in a class of its own.
    expect(
      paths(
        '/\u043e\u0442\u0447\u0435\u0442/final-\u0444.txt',
        '/caf\u00e9',
        '/cafe\u0301',
        '/w[\u043e]rk',
        '/a[\u200b]b',
        '/\u65e5\u672c log',
        '/\u{1f600}',
      ),
    ).toBe('loaded')
    expect(hosts('dns:p\u0430ypal.com:443')).toContain('or `xn--pypal-4ve.com` where this very name is meant')
    expect(hosts('dns:pay\u00adpal.com:443')).toContain('U+00AD')
    expect(told(policy('"net":{"hosts":{"p\u0430ypal.com":"10.0.0.1"}}'))).toContain('Cyrillic')
    expect(hosts('dns:xn--pypal-4ve.com:443', 'dns:b\u00fccher.de:443', 'dns:\u043f\u0440\u0438\u043c\u0435\u0440.\u0440\u0444:443')).toBe(
      'loaded',
    )
    const sound = loadPolicy(bytesOf(policy('"fs":{"read":["/w[\u043e]rk"],"deny":{"read":["/x/caf\u00e9"]}}')), 'p.json')
    expect(sound.decide({ action: 'fs.read', object: '/w\u043erk' }).allow).toBe(true)
    expect(sound.decide({ action: 'fs.read', object: '/work' }).allow).toBe(false)
    expect(sound.decide({ action: 'fs.read', object: '/x/cafe\u0301' }).rule).toBe('/fs/deny/read/0')
    expect(told(policy('"fs":{"re\u0430d":[]}'))).toContain('unknown key `re\u0430d` with U+0430 in `fs` (did you mean `read`?)')
    expect(told(policy('"fs":{"read\u200b":[]}'))).toContain('\\u{200b}')
    expect(told(policy('"fs":{"\\u001b[2J":[]}'))).not.toContain('\u001b')
  })

  it('keys as deep or as long as the file cost no more than the file', { timeout: LONG_MS }, () => {
    for (const text of [`a${'.a'.repeat(1_000_000)} = 1`, `[a${'.a'.repeat(1_000_000)}]`, `x = 1\n${'a.'.repeat(40)}a = 1`])
      expect(told(text, 'p.toml')).toMatch(/^p\.toml:[12]:[0-9]{1,2}: .*: nested deeper than 16$/)
    const long = `["${'a'.repeat(1_000_000)}"]\n${Array.from({ length: 100_000 }, (_, index) => `k${index} = 1`).join('\n')}`
    expect(told(long, 'p.toml')).toContain('p.toml:1:1: the keys of the file are too long or too many')
  })
})

describe('anything at all', () => {
  const loadsOrRefuses = (text: string | Uint8Array, name: string): void => void told(text, name)
  it('bytes and texts', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.constantFrom('p.json', 'p.toml'), (bytes, name) => loadsOrRefuses(bytes, name)),
      { numRuns: 150 },
    )
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), fc.constantFrom('p.json', 'p.toml'), (text, name) =>
        loadsOrRefuses(text, name),
      ),
      { numRuns: 150 },
    )
  })

  it('JSON of the right keys and the wrong values, and policies with one character changed', () => {
    const value = fc.jsonValue({ maxDepth: 3 })
    const keyed = fc.dictionary(
      fc.constantFrom(
        'version',
        'fs',
        'net',
        'tools',
        'infer',
        'budgets',
        'include',
        'env',
        'mounts',
        'ask',
        'profiles',
        'read',
        'deny',
        'allow',
        'args',
        'name',
      ),
      value,
    )
    fc.assert(
      fc.property(keyed, keyed, (one, two) => loadsOrRefuses(JSON.stringify({ version: '1.0', ...one, fs: two, tools: two }), 'p.json')),
      { numRuns: 150 },
    )
    const sound = policy(
      '"fs":{"read":["/a/{b,c}/**"]},"net":{"connect":["dns:*.a.test:80-90"]},"tools":{"allow":[{"name":"t","args":{"/x":{"max":3}}}]}',
    )
    fc.assert(
      fc.property(fc.nat(sound.length - 1), fc.string({ unit: 'binary', maxLength: 3 }), (at, put) =>
        loadsOrRefuses(sound.slice(0, at) + put + sound.slice(at + 1), 'p.json'),
      ),
      { numRuns: 150 },
    )
  })

  it('cases of `policy test` too', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 3 }), (value) => {
        try {
          readCases(bytesOf(JSON.stringify({ version: '1.0', allow: [value], deny: value })), 'c.json')
        } catch (error) {
          expect(error).toBeInstanceOf(PolicyLoadError)
        }
      }),
      { numRuns: 200 },
    )
  })
})
