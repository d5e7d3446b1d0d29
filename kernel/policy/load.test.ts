import { describe, expect, it } from 'vitest'
import { loadPolicy, PolicyLoadError, type Problem } from './index.ts'
import { nearestKey } from './nearest-key.ts'
import { parseMoney } from './structure.ts'
import { bytesOf, policyFrom } from './testing.ts'

function problems(text: string, name = 'p.json', hosts: Record<string, string> = {}): readonly Problem[] {
  try {
    loadPolicy(bytesOf(text), name, { hosts })
  } catch (error) {
    if (error instanceof PolicyLoadError) return error.problems
    throw error
  }
  return []
}

const first = (document: Record<string, unknown>): string => {
  const [problem] = problems(JSON.stringify({ version: '1.0', ...document }))
  return problem === undefined ? 'loaded' : `${problem.pointer}: ${problem.message} (${problem.suggestion})`
}

describe('structure', () => {
  it.each<[Record<string, unknown>, string]>([
    [{ version: 1 }, '/version: expected a string but found a number (write `"1.0"`)'],
    [{ version: '1' }, '/version: `1` is not a version this build knows'],
    [{ fs: [] }, '/fs: expected an object of lists but found a list'],
    [{ fs: { read: '/a' } }, '/fs/read: expected a list of strings but found a string (put it into `[` `]`)'],
    [{ fs: { read: ['/a', 1] } }, '/fs/read/1: expected a string but found a number'],
    [{ fs: { read: null } }, '/fs/read: expected a list of strings but found null'],
    [{ fs: { deny: ['/a'] } }, '/fs/deny: expected an object of lists but found a list'],
    [{ net: { conect: [] } }, 'did you mean `connect`?'],
    [{ network: {} }, 'unknown key `network`'],
    [{ budgets: { tokens: '5' } }, '/budgets/tokens: expected a whole number but found a string (write it without quotes)'],
    [{ budgets: { tokens: -1 } }, '/budgets/tokens: `-1` is not a whole number from 0'],
    [{ budgets: { tokens: 1.5 } }, '/budgets/tokens: `1.5` is not a whole number'],
    [{ budgets: { tokens: 2 ** 53 } }, 'is not a whole number'],
    [{ budgets: { cost: 5 } }, '/budgets/cost: expected an amount as text but found a number'],
    [{ budgets: { cost: '5' } }, '`5` is not an amount'],
    [{ budgets: { cost: '$5', cost_nano_usd: 1 } }, '/budgets/cost: `cost` limits what another key already limits'],
    [{ budgets: { cpu_ms: 5, cpu_ns: 1 } }, '/budgets/cpu_ns: `cpu_ns` limits what another key already limits'],
    [{ budgets: { heap_bytes: 5 } }, 'authority run --memory'],
    [{ wasm: { modules: [] } }, '/wasm: `wasm` is known but not supported here'],
    [{ ask: {} }, 'loaded'],
    [{ mounts: [] }, 'expected an object of lists'],
    [{ include: ['a.json'] }, 'this policy cannot include files'],
    [{ profiles: ['tier3'] }, '/profiles/0: `tier3` is not a profile'],
  ])('%j', (document, expected) => expect(first(document)).toContain(expected))

  it('needs a version, and an object', () => {
    expect(problems('{}')[0]?.message).toBe('the key `version` is missing')
    for (const text of ['[]', '"a"', '1', 'null']) expect(problems(text)[0]?.message).toContain('expected an object but found')
  })

  it('reports every problem, in the order of the file', () => {
    const found = problems('{\n"fs": {"reed": [],\n "write": ["/**", "x"]},\n"version": "9"}')
    expect(found.map(({ line, pointer }) => `${line} ${pointer}`)).toEqual(['2 /fs/reed', '3 /fs/write/0', '3 /fs/write/1', '4 /version'])
  })

  it('shows a bounded number of problems, and escapes what it repeats', () => {
    const many = policyError({ fs: { read: Array(500).fill('relative') } })
    expect(many.message.split('\n')).toHaveLength(21)
    expect(many.message).toContain('and 480 more')
    expect(policyError({ 'a\u001b[31m\u202eb': 1 }).message).toContain('`a\\u{1b}[31m\\u{202e}b`')
    expect(policyError({ fs: { read: ['\u001b[2Jx', `${'y'.repeat(9000)}`] } }).message).not.toMatch(/[\p{Cc}--\n]|y{500}/v)
    expect(policyError({ [`x${'y'.repeat(1000)}`]: 1 }).message.length).toBeLessThan(500)
  })

  it('does not care for the order of keys', () => {
    const one = policyFrom({ fs: { read: ['/a'], write: ['/b'] }, tools: { allow: ['t'] } })
    const other = loadPolicy(bytesOf('{"tools":{"allow":["t"]},"fs":{"write":["/b"],"read":["/a"]},"version":"1.0"}'), 'p')
    expect(other.grants).toEqual(one.grants)
    expect(other.id).not.toBe(one.id)
  })

  it('identifies a policy by the SHA-256 of its bytes', () => {
    expect(loadPolicy(bytesOf('{ "version": "1.0" }\n'), 'p').id).toBe('17c622e29dfa91d4aa0c480a84df60334a262560dbb5633f1cd371b2fc8b96d8')
  })
})

function policyError(document: Record<string, unknown>): PolicyLoadError {
  try {
    policyFrom(document)
  } catch (error) {
    if (error instanceof PolicyLoadError) return error
    throw error
  }
  throw new Error('it loaded')
}

describe('breadth', () => {
  it.each(['/**', '/*', '/*/**', '/?/**', '/?*/x', '/[!x]*/**', '/**/x', '/{a,*}/**', '/*a/**'])('fs.write refuses %s', (text) => {
    expect(first({ fs: { write: [text] } })).toContain('allows writing almost everywhere')
    expect(first({ fs: { read: [text] } })).toBe('loaded')
    expect(first({ fs: { deny: { write: [text] } } })).toBe('loaded')
  })

  it.each([
    'dns:*:443',
    'dns:*.com:443',
    'dns:localhost:80',
    'dns:a.localhost:80',
    'ip:0.0.0.0/0:443',
    'ip:128.0.0.0/1:443',
    'ip:10.0.0.0/7:1',
    'ip:[::/0]:443',
    'ip:[2000::/3]:443',
    'ip:127.0.0.0/8:80',
    'ip:127.0.0.1:*',
    'ip:127.0.0.1:80-81',
    'ip:[::1]:*',
    'ip:169.254.169.254:80',
    'ip:169.254.0.0/16:80',
    'ip:0.0.0.0:80',
    'ip:224.0.0.0/4:80',
    'ip:255.255.255.255:80',
    'ip:[fe80::/10]:80',
    'ip:[fd00:ec2::254]:80',
    'ip:[64:ff9b::a9fe:a9fe]:80',
    'ip:168.63.129.16:80',
  ])('net.connect refuses %s', (text) => {
    expect(first({ net: { connect: [text] } })).toMatch(/^\/net\/connect\/0: .+\(.+\)$/)
  })

  it.each([
    'dns:*.example.com:443',
    'ip:10.0.0.0/8:*',
    'ip:127.0.0.1:80',
    'ip:[::1]:80',
    'ip:[fc00::/7]:443',
    'ip:192.168.1.1:*',
    'ip:100.64.0.0/10:22',
  ])('net.connect takes %s', (text) => {
    expect(first({ net: { connect: [text] } })).toBe('loaded')
  })

  it('lets a deny rule be as broad as it likes, but not pretend to deny an address', () => {
    expect(first({ net: { deny: { dns: ['*', '*.zip'], connect: ['dns:*:25'] } } })).toBe('loaded')
    expect(first({ net: { deny: { connect: ['ip:8.8.8.8:53'] } } })).toContain('denies an address')
  })
})

describe('host mappings', () => {
  it('hold canonical names and addresses', () => {
    const policy = policyFrom({ net: { hosts: { 'DB.Internal.': '0xa.1' } } }, { hosts: { 'other.internal': '::ffff:10.0.0.2' } })
    expect([...policy.hosts]).toEqual([
      ['db.internal', '10.0.0.1'],
      ['other.internal', '10.0.0.2'],
    ])
  })

  it('are the operator’s to override', () => {
    expect(
      policyFrom({ net: { hosts: { 'db.internal': '10.0.0.1' } } }, { hosts: { 'DB.internal': '10.0.0.9' } }).hosts.get('db.internal'),
    ).toBe('10.0.0.9')
  })

  it.each([
    [{ 'a.test': '169.254.169.254' }, 'metadata'],
    [{ 'a.test': '0' }, 'metadata, multicast or reserved'],
    [{ 'a.test': 'b.test' }, 'is not an IP address'],
    [{ '*.test': '10.0.0.1' }, 'which no host name has'],
    [{ '10.0.0.2': '10.0.0.1' }, 'is an address, not a name'],
    [{ 'a.test': '10.0.0.1', 'A.test': '10.0.0.2' }, 'mapped twice'],
  ])('%j is refused', (hosts, message) => {
    expect(first({ net: { hosts } })).toContain(message)
  })

  it('stand for the address at the ports the name is allowed at', () => {
    const policy = policyFrom({ net: { connect: ['dns:db.internal:5432'], hosts: { 'db.internal': '10.0.0.1' } } })
    expect(policy.decide({ action: 'net.connect', object: 'ip:10.0.0.1:5432' })).toMatchObject({
      allow: true,
      rule: '/net/hosts/db.internal',
    })
    expect(policy.decide({ action: 'net.connect', object: 'ip:10.0.0.1:22' }).allow).toBe(false)
    expect(policy.grants.net?.connect).toContain('ip:10.0.0.1:5432')
    expect(
      policyFrom({ net: { hosts: { 'db.internal': '10.0.0.1' } } }).decide({ action: 'net.connect', object: 'ip:10.0.0.1:5432' }).allow,
    ).toBe(false)
  })

  it('to this machine need rules that name one port', () => {
    const text = JSON.stringify({ version: '1.0', net: { connect: ['dns:svc.test:*'] } })
    expect(problems(text, 'p.json', { 'svc.test': '127.0.0.1' })[0]?.message).toContain('opens every port of this machine')
    expect(
      policyFrom({ net: { connect: ['dns:svc.test:80'] } }, { hosts: { 'svc.test': '127.0.0.1' } }).decide({
        action: 'net.connect',
        object: 'ip:127.0.0.1:80',
      }).allow,
    ).toBe(true)
  })

  it('are no way around a deny rule', () => {
    const policy = policyFrom({
      net: {
        connect: ['dns:*.internal.test:443'],
        hosts: { 'db.internal.test': '10.0.0.1' },
        deny: { connect: ['dns:db.internal.test:443'] },
      },
    })
    expect(policy.decide({ action: 'net.connect', object: 'ip:10.0.0.1:443' }).allow).toBe(false)
  })
})

describe('budgets', () => {
  it('of one class stand under its name, and a misspelt or misplaced one is an error', () => {
    const budgets = { calls: 9, net: { calls: 2, cost: '$1', bytes_out: 7 }, fs: { bytes_written: 5 } }
    const limits = { calls: 9, 'net.calls': 2, 'net.cost_nano_usd': 1_000_000_000, 'net.bytes_out': 7, 'fs.bytes_written': 5 }
    expect(policyFrom({ budgets }).budgets).toEqual(limits)
    expect(() => policyFrom({ budgets: { nett: { calls: 2 } } })).toThrow('did you mean `net`')
    expect(() => policyFrom({ budgets: { net: { cals: 2 } } })).toThrow('did you mean `calls`')
    expect(() => policyFrom({ budgets: { net: { wall_time_ms: 2 } } })).toThrow('unknown key')
    expect(() => policyFrom({ budgets: { net: 2 } })).toThrow('/budgets/net')
    expect(() => policyFrom({ budgets: { net: { cost: '$1', cost_nano_usd: 1 } } })).toThrow('limits what another key already limits')
  })

  it('are in kernel units', () => {
    expect(
      policyFrom({
        budgets: {
          calls: 1,
          tool_calls: 2,
          tokens: 3,
          cost: '$0.000000001',
          bytes: 4,
          wall_time_ms: 5,
          cpu_ns: 1_999_999,
          concurrency: 6,
          log_bytes: 0,
        },
      }).budgets,
    ).toEqual({
      calls: 1,
      tool_calls: 2,
      tokens: 3,
      cost_nano_usd: 1,
      bytes: 4,
      wall_time_ms: 5,
      cpu_ms: 1,
      concurrency: 6,
      log_bytes: 0,
    })
  })

  it.each([
    ['$5', 5_000_000_000],
    ['$0.25', 250_000_000],
    ['$0', 0],
    ['$9007199.254740991', Number.MAX_SAFE_INTEGER],
    ['$9007199.254740992', null],
    ['$1.0000000001', null],
    ['$05', null],
    ['$-1', null],
    ['5$', null],
    ['$1e3', null],
    ['$ 5', null],
    ['$', null],
  ])('%s is %s nano-dollars', (text, expected) => expect(parseMoney(text)).toBe(expected))
})

describe('TOML', () => {
  it('means the same as JSON', () => {
    const toml =
      'version = "1.0"\nprofiles = ["tier1-musl"]\n[fs]\nread = ["/a/**"]\n[net.deny]\ndns = ["x.y"]\n[budgets]\ntokens = 1_000\ncost = "$1"\n'
    const json = {
      profiles: ['tier1-musl'],
      fs: { read: ['/a/**'] },
      net: { deny: { dns: ['x.y'] } },
      budgets: { tokens: 1000, cost: '$1' },
    }
    const loaded = loadPolicy(bytesOf(toml), 'p.toml')
    expect(loaded.document).toEqual(policyFrom(json).document)
    expect(loadPolicy(bytesOf(toml), 'policy', { format: 'toml' }).document).toEqual(loaded.document)
  })

  it.each([
    ['version = "1.0"\nversion = "1.0"', '2:1'],
    ['version = "1.0"\n[fs]\nread = ["/a"]\n[fs]\nwrite = ["/b"]', '4:'],
    ['version = "1.0"\n[budgets]\ntokens = 1.0', '3:10'],
    ['version = "1.0"\n[budgets]\ntokens = 9007199254740993', '3:10'],
    ['version = "1.0"\n[budgets]\ntokens = inf', '3:10'],
    ['version = "1.0"\n[budgets]\ntokens = 1979-05-27T07:32:00Z', '3:10'],
    ['version = "1.0"\nfs.read = [\n  "/a", # one\n  \'b\',\n]', '4:3'],
    ['version = "1.0"\nfs = { read = ["/a"], reed = [] }', '2:23'],
    ['version = "1.0"\n"net"."dns" = ["*.com"]', '2:16'],
    ['version = "1.0"\n[[fs]]\nread = []', '2:3'],
    ['version = "1.0"\n__proto__ = 1', '2:'],
    ['version = """\n1.0"""\n[x]', '3:2'],
    ['\ufeffversion = "1.0"', '1:1'],
    ['version = ', '1:'],
    [`version = "1.0"\nx = ${'['.repeat(5000)}`, '2:'],
  ])('%j is refused at %s', (text, place) => {
    const [problem] = problems(text, 'p.toml')
    expect(`${problem?.line}:${problem?.column}`).toContain(place)
  })
})

describe('a suggestion for a mistyped word', () => {
  it.each([
    ['raed', 'read'],
    ['wirte', 'write'],
    ['READ', 'read'],
    ['conection', null],
    ['xyz', null],
    ['', null],
  ])('%s: %s', (word, expected) => expect(nearestKey(word, ['read', 'write', 'connect', 'listen'])).toBe(expected))
})
