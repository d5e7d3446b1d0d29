import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { loadPolicy, PolicyLoadError } from './index.ts'
import { parseJson } from './json.ts'
import { MAX_POLICY_BYTES } from './limits.ts'
import { readSource } from './source-text.ts'
import { bytesOf } from './testing.ts'
import type { Node } from './tree.ts'

function parse(text: string): Node {
  return parseJson(readSource(bytesOf(text), 'p.json'))
}

function plain(node: Node): unknown {
  if (node.kind === 'object') return Object.fromEntries(node.members.map(({ key, value }) => [key, plain(value)]))
  if (node.kind === 'list') return node.items.map(plain)
  if (node.kind === 'number') return Number(node.text)
  return node.kind === 'string' || node.kind === 'boolean' ? node.value : null
}

function problemOf(load: () => unknown): string {
  try {
    load()
  } catch (error) {
    if (error instanceof PolicyLoadError) return error.message
    throw error
  }
  return 'accepted'
}

describe('strict JSON', () => {
  it.each([
    '',
    ' ',
    '{',
    '}',
    '[',
    ']',
    '{]',
    '[}',
    '[1',
    '[1,',
    '[1,]',
    '[,1]',
    '[1,,2]',
    '[1 2]',
    '[1]]',
    '[1]x',
    '[1],',
    '{"a"}',
    '{"a":}',
    '{"a":1,}',
    '{"a":1 "b":2}',
    '{"a" 1}',
    '{a:1}',
    "{'a':1}",
    '{1:1}',
    '{"a":1}}',
    '{"a":1}#',
    '{"a":1}/**/',
    '// x\n{}',
    '["a]',
    '["a',
    '"\\x41"',
    '"\\u12"',
    '"\\u{41}"',
    '"\\u00G0"',
    '"\\',
    '"\\ud800"',
    '"\\udc00\\ud800"',
    '"\n"',
    '"\t"',
    '"\u0001"',
    "'a'",
    '`a`',
    'nul',
    'nulll',
    'True',
    'TRUE',
    'undefined',
    'NaN',
    'Infinity',
    '-Infinity',
    '-',
    '+1',
    '01',
    '-01',
    '1.',
    '.5',
    '1.e5',
    '1e',
    '1e+',
    '0x10',
    '1_000',
    '1n',
    '--1',
    '1.2.3',
    '２',
    '\u00a0{}',
    '\u2028{}',
    '\f{}',
    '{"a":1,"a":1}',
    '{"a":{"b":[{"c":1,"\\u0063":2}]}}',
    '{"__proto__":1,"__proto__":2}',
    '{}{}',
    '{"a":1\\u002c}',
  ])('refuses %j with a place', (text) => {
    expect(problemOf(() => parse(text))).toMatch(/^p\.json:\d+:\d+: /)
  })

  it('agrees with the runtime on everything well formed', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), fc.constantFrom(undefined, 1, '\t'), (value, indent) => {
        const text = JSON.stringify(value, null, indent)
        if (/\\ud[89a-f]/i.test(text)) return
        expect(plain(parse(text))).toEqual(JSON.parse(text))
      }),
    )
  })

  it('accepts nothing the runtime refuses, whatever is cut, repeated or put in', () => {
    const text = '{"version":"1.0","fs":{"read":["/a\\u0041",1.5e3,true,null]}}'
    fc.assert(
      fc.property(
        fc.nat(text.length),
        fc.nat(4),
        fc.constantFrom('', '"', '{', '}', '[', ']', ',', ':', '0', '-', '\\', '\n', 'e', ' '),
        (at, cut, put) => {
          const mutated = text.slice(0, at) + put + text.slice(at + cut)
          if (problemOf(() => parse(mutated)) === 'accepted') expect(() => JSON.parse(mutated)).not.toThrow()
        },
      ),
      { numRuns: 2000 },
    )
  })

  it('keeps a key named __proto__ a key', () => {
    expect(problemOf(() => loadPolicy(bytesOf('{"version":"1.0","__proto__":{"fs":{}}}'), 'p.json'))).toContain('unknown key `__proto__`')
    expect(problemOf(() => loadPolicy(bytesOf('{"version":"1.0","fs":{"constructor":[]}}'), 'p.json'))).toContain(
      'unknown key `constructor`',
    )
  })

  it('refuses depth and size beyond its limits', () => {
    expect(problemOf(() => parse('['.repeat(100_000)))).toContain('nested deeper than 16')
    expect(problemOf(() => parse(`[${'1,'.repeat(250_000)}1]`))).toContain('more than 200000 values')
    expect(problemOf(() => readSource(new Uint8Array(MAX_POLICY_BYTES + 1), 'p.json'))).toContain('has more than')
  })

  it('counts columns in characters and lines by newline, CRLF included', () => {
    expect(problemOf(() => parse('{"😀":\r\n "é", x}'))).toMatch(/^p\.json:2:7: /)
  })
})

describe('the bytes of the file', () => {
  it.each([
    ['a byte order mark', [0xef, 0xbb, 0xbf, 0x7b, 0x7d], '1:1: the file begins with a byte order mark'],
    ['UTF-16', [0xff, 0xfe, 0x7b, 0x00], '1:1: the file is UTF-16'],
    ['an overlong slash', [0x7b, 0x0a, 0x22, 0xc0, 0xaf], '2:2: the file is not valid UTF-8'],
    ['a surrogate', [0x22, 0xed, 0xa0, 0x80, 0x22], '1:2: the file is not valid UTF-8'],
    ['a cut character', [0x22, 0xe2, 0x82], '1:2: the file is not valid UTF-8'],
    ['a stray continuation', [0x22, 0x61, 0x80, 0x22], '1:3: the file is not valid UTF-8'],
    ['NUL', [0x7b, 0x00, 0x7d], '1:2: the file holds a NUL character'],
  ])('refuses %s', (_, bytes, problem) => {
    for (const name of ['p.json', 'p.toml']) expect(problemOf(() => loadPolicy(Uint8Array.from(bytes), name))).toContain(problem)
  })

  it('never throws anything but PolicyLoadError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.constantFrom('p.json', 'p.toml'), (bytes, name) => {
        problemOf(() => loadPolicy(bytes, name))
      }),
      { numRuns: 2000 },
    )
  })
})
