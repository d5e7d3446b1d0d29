import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Action, Question } from '../vocabulary/index.ts'
import {
  compileRules,
  formatConnectPattern,
  MAX_RULES,
  PatternError,
  parseConnectPattern,
  parseEndpoint,
  parseListenPattern,
  parseNamePattern,
  parsePathGlob,
} from './index.ts'
import { matchAlternative, pathSegments, reachesAlternative } from './path-glob.ts'

const ask = (action: Action, object: string): Question => ({ action, object })

describe('connect patterns', () => {
  it.each([
    ['dns:Example.com:443', 'dns:example.com:443'],
    ['dns:*.example.com:*', 'dns:*.example.com:*'],
    ['dns:example.com:8000-8099', 'dns:example.com:8000-8099'],
    ['ip:10.0.0.0/8:5432', 'ip:10.0.0.0/8:5432'],
    ['ip:10.0.0.1/32:80', 'ip:10.0.0.1:80'],
    ['ip:[fd00::/8]:443', 'ip:[fd00::/8]:443'],
    ['ip:[::1]:1-65535', 'ip:[::1]:*'],
  ])('%s is %s', (text, canonical) => expect(formatConnectPattern(parseConnectPattern(text))).toBe(canonical))

  it.each([
    ['example.com:443', 'dns:example.com:443'],
    ['https://example.com/x', 'dns:example.com:443'],
    ['http://example.com', 'dns:example.com:80'],
    ['10.0.0.1:80', 'ip:10.0.0.1:80'],
    ['dns:example.com', 'dns:example.com:443'],
    ['dns:127.1:80', 'ip:127.0.0.1:80'],
    ['ip:0x7f.1:80', '127.0.0.1'],
    ['ip:fd00::1:443', 'ip:[fd00::1]:443'],
    ['ip:[fd00::]/8:443', 'ip:[fd00::/8]:443'],
    ['ip:example.com:443', 'dns:example.com:PORT'],
    ['ip:[10.0.0.1]:80', '10.0.0.1'],
    ['dns:example.com:0', '1 to 65535'],
    ['dns:example.com:65536', '1 to 65535'],
    ['dns:example.com:90-80', '1 to 65535'],
    ['dns:example.com:080', '1 to 65535'],
    ['ip:10.0.0.1/8:80', '10.0.0.0/8'],
  ])('%s is refused and answered with %s', (text, suggestion) => {
    let caught: unknown
    try {
      parseConnectPattern(text)
    } catch (error) {
      caught = error
    }
    expect(caught).toBeInstanceOf(PatternError)
    expect((caught as PatternError).suggestion).toContain(suggestion)
  })

  it('reads only canonical endpoints', () => {
    for (const text of [
      'dns:Example.com:80',
      'dns:example.com.:80',
      'dns:127.0.0.1:80',
      'ip:127.1:80',
      'ip:::1:80',
      'ip:[::1]',
      'ip:[10.0.0.1]:80',
      'dns:a.com:0',
      'dns:a.com:70000',
      'dns:a.com:080',
      'tcp:a.com:80',
      '',
    ]) {
      expect(parseEndpoint(text)).toBeNull()
    }
    expect(parseEndpoint('dns:a.com:80')).toEqual({ kind: 'dns', name: 'a.com', port: 80 })
  })

  it('listens on an address, never on a name or a range', () => {
    expect(parseListenPattern('ip:0.0.0.0:8080').ports).toEqual({ low: 8080, high: 8080 })
    expect(() => parseListenPattern('dns:a.com:80')).toThrow(PatternError)
    expect(() => parseListenPattern('ip:10.0.0.0/8:80')).toThrow(PatternError)
  })

  it('names tools and models exactly or by prefix', () => {
    for (const bad of ['', 'a*b', '**', 'a b', '-a', '../a', 'a\n', 'ａ']) expect(() => parseNamePattern(bad)).toThrow(PatternError)
    expect(parseNamePattern('claude-*')).toEqual({ prefix: 'claude-', open: true })
  })
})

describe('a rule set', () => {
  const rules = compileRules({
    fs: { read: ['/work/**', '/data/*.csv'], write: ['/work/out/**', '/logs/{a,b}/x?.log'] },
    net: {
      dns: ['time.example.com'],
      connect: [
        'dns:api.example.com:443',
        'dns:*.cdn.example.com:8000-8099',
        'ip:10.0.0.0/8:5432',
        'ip:127.0.0.1:9000',
        'ip:127.0.0.0/8:*',
        'ip:169.254.0.0/16:*',
        'ip:[fd00::/8]:*',
      ],
      listen: ['ip:0.0.0.0:8080'],
    },
    tools: ['read_file', 'git.*'],
    infer: ['gpt-4', 'claude-*'],
  })

  it.each<[Action, string, string | null]>([
    ['fs.read', '/work', '/fs/read/0'],
    ['fs.read', '/data/a.csv', '/fs/read/1'],
    ['fs.read', '/data', null],
    ['fs.read', '/work/../etc/passwd', null],
    ['fs.read', '/work/a\u0000', null],
    ['fs.read', '/work/\ud800', null],
    ['fs.write', '/work/a', null],
    ['fs.write', '/work/out/a', '/fs/write/0'],
    ['fs.write', '/logs/b/x1.log', '/fs/write/1'],
    ['net.dns', 'time.example.com', '/net/dns/0'],
    ['net.dns', 'api.example.com', '/net/connect/0'],
    ['net.dns', 'a.cdn.example.com', '/net/connect/1'],
    ['net.dns', 'cdn.example.com', null],
    ['net.dns', 'API.example.com', null],
    ['net.connect', 'dns:time.example.com:443', null],
    ['net.connect', 'dns:api.example.com:443', '/net/connect/0'],
    ['net.connect', 'dns:api.example.com:80', null],
    ['net.connect', 'dns:a.cdn.example.com:8050', '/net/connect/1'],
    ['net.connect', 'ip:10.1.2.3:5432', '/net/connect/2'],
    ['net.connect', 'ip:[::ffff:10.1.2.3]:5432', '/net/connect/2'],
    ['net.connect', 'ip:127.0.0.1:9000', '/net/connect/3'],
    ['net.connect', 'ip:127.0.0.1:9001', null],
    ['net.connect', 'ip:127.0.0.2:9000', null],
    ['net.connect', 'ip:[::1]:9000', null],
    ['net.connect', 'ip:169.254.169.254:80', null],
    ['net.connect', 'ip:169.254.1.1:80', null],
    ['net.connect', 'ip:[fd00:ec2::254]:80', null],
    ['net.connect', 'ip:[fd00::1]:80', '/net/connect/6'],
    ['net.connect', 'ip:0.0.0.0:9000', null],
    ['net.listen', 'ip:0.0.0.0:8080', '/net/listen/0'],
    ['net.listen', 'ip:127.0.0.1:8080', null],
    ['tools', 'read_file', '/tools/0'],
    ['tools', 'read_files', null],
    ['tools', 'git.log', '/tools/1'],
    ['tools', 'git', null],
    ['tools', 'git.*', null],
    ['infer', 'claude-opus', '/infer/1'],
    ['infer', 'gpt-4o', null],
  ])('%s %s: %s', (action, object, expected) => expect(rules.match(ask(action, object))).toBe(expected))

  it.each([
    ['/', true],
    ['/work', true],
    ['/work/deep/down', true],
    ['/data', true],
    ['/data/x.csv', true],
    ['/data/x', false],
    ['/logs', true],
    ['/logs/a', true],
    ['/logs/c', false],
    ['/etc', false],
    ['/wor', false],
  ])('lets %s be looked at: %s', (path, expected) => {
    expect(rules.match(ask('fs.look', path)) !== null).toBe(expected)
  })

  it('never takes looking for reading or changing', () => {
    expect(rules.match(ask('fs.read', '/'))).toBeNull()
    const looking = compileRules({ fs: { look: ['/l/**'] } })
    expect(['fs.look', 'fs.read', 'fs.write'].map((action) => looking.match({ action: action as Action, object: '/l/a' }))).toEqual([
      '/fs/look/0',
      null,
      null,
    ])
    expect(looking.match(ask('fs.look', '/'))).toBe('/fs/look/0')
  })

  it('allows nothing when there is nothing', () => {
    const none = compileRules({})
    for (const action of ['fs.look', 'fs.read', 'fs.write', 'net.dns', 'net.connect', 'net.listen', 'tools', 'infer'] as const)
      expect(none.match(ask(action, '/'))).toBeNull()
  })

  it('refuses more rules than its limit', () => {
    expect(() => compileRules({ tools: Array(MAX_RULES + 1).fill('a') })).toThrow(PatternError)
    expect(() => compileRules({ fs: { read: Array(600).fill(`/${'[a]'.repeat(5000)}`) } })).toThrow(PatternError)
  })
})

describe('the index', () => {
  const segment = fc.constantFrom('a', 'b', '*', '**', 'a*', '?', '{a,b}')
  const pattern = fc.array(segment, { minLength: 1, maxLength: 4 }).map((parts) => `/${parts.join('/')}`)
  const path = fc.array(fc.constantFrom('a', 'b', 'ab'), { maxLength: 5 }).map((parts) => `/${parts.join('/')}`)

  it('finds the lowest rule that matches or reaches, as asking one by one does', () => {
    fc.assert(
      fc.property(fc.array(pattern, { maxLength: 8 }), path, (patterns, object) => {
        const rules = compileRules({ fs: { read: patterns } })
        const segments = pathSegments(object) ?? []
        const first = (test: typeof reachesAlternative): number =>
          patterns.findIndex((text) => parsePathGlob(text).alternatives.some((one) => test(one.segments, segments)))
        const match = first(matchAlternative)
        expect(rules.match(ask('fs.read', object))).toBe(match === -1 ? null : `/fs/read/${match}`)
        expect(rules.match(ask('fs.look', object)) !== null).toBe(match !== -1 || first(reachesAlternative) !== -1)
      }),
      { numRuns: 2000 },
    )
  })

  it('reaches a directory exactly when some path below it can match', () => {
    const below = ['a', 'b', 'ab'].flatMap((one) => [
      `/${one}`,
      ...['a', 'b', 'ab'].flatMap((two) => [`/${one}/${two}`, ...['a', 'b'].map((three) => `/${one}/${two}/${three}`)]),
    ])
    fc.assert(
      fc.property(pattern, path, (text, directory) => {
        const rules = compileRules({ fs: { read: [text] } })
        const base = directory === '/' ? '' : directory
        const possible =
          rules.match(ask('fs.read', directory)) !== null || below.some((rest) => rules.match(ask('fs.read', base + rest)) !== null)
        // The bounded search can only miss a pattern that needs more segments than it tries.
        if (possible) expect(rules.match(ask('fs.look', directory)) !== null).toBe(true)
        else if (pathSegments(directory)?.length !== 0 || text.split('/').length <= 4)
          expect(rules.match(ask('fs.look', directory)) !== null).toBe(false)
      }),
    )
  })
})
