import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { Json } from '../vocabulary/index.ts'
import { asImageRequest, checkExpectations, loadPolicy, PolicyLoadError, renderDocument, showPolicy } from './index.ts'
import { bytesOf, policyFrom } from './testing.ts'

function problemsOf(document: Record<string, unknown>): string {
  try {
    policyFrom(document)
    return 'loaded'
  } catch (error) {
    if (!(error instanceof PolicyLoadError)) throw error
    return error.message
  }
}

describe('ask', () => {
  const policy = policyFrom({
    fs: {
      read: ['/work/**'],
      write: ['/work/**'],
      deny: { write: ['/work/no/**'] },
      ask: { read: ['/keys/**'], write: ['/work/x', '/work/no/y'] },
    },
    net: { connect: ['dns:a.test.example:443'], ask: { connect: ['dns:b.test.example:443', 'dns:a.test.example:443'] } },
    infer: { models: ['m*'], ask: ['m2'], deny: ['m3'] },
  })

  it.each([
    ['fs.write', '/work/x', 'ask', '/fs/ask/write/0'],
    ['fs.write', '/work/no/y', 'deny', '/fs/deny/write/0'],
    ['fs.write', '/work/z', 'allow', '/fs/write/0'],
    ['fs.read', '/keys/k', 'ask', '/fs/ask/read/0'],
    ['fs.write', '/keys/k', 'deny', null],
    ['net.connect', 'dns:b.test.example:443', 'ask', '/net/ask/connect/0'],
    ['net.connect', 'dns:a.test.example:443', 'ask', '/net/ask/connect/1'],
    ['net.connect', 'dns:b.test.example:80', 'deny', null],
    ['net.dns', 'b.test.example', 'allow', '/net/ask/connect/0'],
    ['infer', 'm1', 'allow', '/infer/models/0'],
    ['infer', 'm2', 'ask', '/infer/ask/0'],
    ['infer', 'm3', 'deny', '/infer/deny/0'],
  ] as const)('%s %s: %s', (action, object, expected, rule) => {
    const verdict = policy.decide({ action, object })
    expect([verdict.allow ? 'allow' : verdict.ask === true ? 'ask' : 'deny', verdict.rule]).toEqual([expected, rule])
    expect(verdict.allow && verdict.ask === true).toBe(false)
  })

  it('lets what is asked about be looked at, and is covered by the run’s own capability', () => {
    expect(policy.decide({ action: 'fs.look', object: '/keys' }).allow).toBe(true)
    expect(policy.decide({ action: 'fs.look', object: '/keys/k' }).allow).toBe(true)
    expect(policy.grants.fs?.read).toEqual(['/work/**', '/keys/**'])
    expect(policy.mayResolve('b.test.example')).toBe(true)
  })

  it('never asks about files of the image', () => {
    expect(policy.decideImage({ action: 'fs.read', object: '/keys/k' })).toMatchObject({ allow: false, rule: '/fs/ask/read/0' })
    expect(policy.decideImage({ action: 'fs.read', object: '/keys/k' }).ask).toBeUndefined()
  })

  it('does not lift what is always denied, and is held to the same breadth', () => {
    expect(
      policyFrom({ fs: { ask: { write: ['/w/.git/config'] } } }).decide({ action: 'fs.write', object: '/w/.git/config' }).ask,
    ).toBeUndefined()
    expect(problemsOf({ fs: { ask: { write: ['/**'] } } })).toContain('/fs/ask/write/0: `/**` allows writing almost everywhere')
    expect(problemsOf({ net: { ask: { connect: ['dns:*:443'] } } })).toContain('/net/ask/connect/0')
    expect(problemsOf({ ask: { timeout_ms: 0 } })).toContain('/ask/timeout_ms')
  })

  it('is shown', () => expect(showPolicy(policy)).toContain('  ask    `/work/x`  /fs/ask/write/0'))
})

describe('tools with conditions', () => {
  const policy = policyFrom({
    tools: {
      allow: [
        { name: 'fs.copy', args: { '/from': { glob: '/work/**' }, '/mode': { in: ['fast', 1, null] }, '/sum': { absent: true } } },
        {
          name: 'http.*',
          args: {
            '/url': { prefix: 'https://a.example/' },
            '/n': { min: 1, max: 3 },
            '/list/1': { equals: true },
            '/t': { max_length: 2 },
          },
        },
        'plain',
      ],
      deny: [{ name: 'plain', args: { '/force': { equals: true } } }],
      ask: [{ name: 'plain', args: { '/ask': { equals: 1 } } }],
    },
  })
  const verdict = (object: string, args?: Json): string => {
    const found = policy.decide({ action: 'tools', object, ...(args === undefined ? {} : { args }) })
    return found.allow ? 'allow' : found.ask === true ? 'ask' : 'deny'
  }
  const http = { url: 'https://a.example/x', n: 2, list: [0, true], t: '😀😀' }

  it.each<[string, Json | undefined, string]>([
    ['fs.copy', { from: '/work/a', mode: 'fast' }, 'allow'],
    ['fs.copy', { from: '/work/a', mode: null }, 'allow'],
    ['fs.copy', { from: '/work/a' }, 'deny'],
    ['fs.copy', { from: '/work/../etc', mode: 1 }, 'deny'],
    ['fs.copy', { from: ['/work/a'], mode: 1 }, 'deny'],
    ['fs.copy', { from: '/work/a', mode: 1, sum: null }, 'deny'],
    ['fs.copy', undefined, 'deny'],
    ['fs.copy', null, 'deny'],
    ['http.get', http, 'allow'],
    ['http.get', { ...http, url: 'https://a.example.evil/' }, 'deny'],
    ['http.get', { ...http, n: 4 }, 'deny'],
    ['http.get', { ...http, n: '2' }, 'deny'],
    ['http.get', { ...http, list: [0] }, 'deny'],
    ['http.get', { ...http, t: '😀😀x' }, 'deny'],
    ['plain', {}, 'allow'],
    ['plain', { force: true }, 'deny'],
    ['plain', { ask: 1 }, 'ask'],
    // What cannot be told: a rule that denies applies.
    ['plain', undefined, 'deny'],
    ['plain', ['x'], 'allow'],
  ])('%s %j: %s', (name, args, expected) => expect(verdict(name, args)).toBe(expected))

  it('names the condition at fault, and offers no wider rule', () => {
    expect(policy.decide({ action: 'tools', object: 'http.get', args: { ...http, n: 9 } })).toEqual({
      allow: false,
      rule: null,
      reason: 'no rule allows tools `http.get` with these arguments; /tools/allow/1 would, but for `/n`',
      fix: null,
    })
  })

  it('grants the name', () => expect(policy.grants.tools).toEqual(['fs.copy', 'http.*', 'plain', 'plain']))

  it.each([
    [{ name: 'a' }, 'the key `args` is missing'],
    [{ args: { '/a': { equals: 1 } } }, 'the key `name` is missing'],
    [{ name: 'a', args: {} }, '`args` names no argument'],
    [{ name: 'a', args: { 'b.c': { equals: 1 } } }, 'write `/b/c`'],
    [{ name: 'a', args: { '/b~2': { equals: 1 } } }, 'is not a JSON pointer'],
    [{ name: 'a', args: { '/b': {} } }, 'is empty'],
    [{ name: 'a', args: { '/b': { equal: 1 } } }, 'did you mean `equals`?'],
    [{ name: 'a', args: { '/b': { min: 2, max: 1 } } }, 'is above `max`'],
    [{ name: 'a', args: { '/b': { glob: 'x' } } }, 'is not absolute'],
    [{ name: 'a', args: { '/b': { prefix: 'https://a.example' } } }, 'does not end the host'],
    [{ name: 'a', args: { '/b': { absent: false } } }, 'expected `true`'],
    [{ name: 'a', args: { '/b': { absent: true, equals: 1 } } }, 'can never hold'],
    [{ name: 'a', args: { '/b': { max_length: -1 } } }, 'expected a whole number'],
    [{ name: 'a', args: { '/b': { in: [] } } }, 'is an empty list'],
    [{ name: 'a', args: { '/b': { equals: 'BIG9007199254740993' } } }, 'expected a string, number'],
    [{ name: 'a', args: { '/b': { equals: 1 } }, more: 1 }, 'unknown key `more`'],
  ])('refuses %j', (rule, problem) => {
    const text = JSON.stringify({ version: '1.0', tools: { allow: [rule] } })
    expect(() => loadPolicy(bytesOf(text.replace(/"BIG([0-9]+)"/, '$1')), 'p.json')).toThrow(problem)
  })
})

describe('include', () => {
  const files: Record<string, string> = {
    'base.json': '{"version":"1.0","fs":{"read":["/b/**"],"deny":{"read":["/b/no"]}},"budgets":{"calls":5},"include":["more.toml"]}',
    'more.toml': 'version = "1.0"\n[fs]\nread = ["/m"]\n[net.hosts]\n"db.example.org" = "10.0.0.1"\n',
    'loop.json': '{"version":"1.0","include":["loop.json"]}',
    'back.json': '{"version":"1.0","include":["root.json"]}',
    'bad.json': '{"version":"1.0","fs":{"raed":[]}}',
    'hosts.json': '{"version":"1.0","net":{"hosts":{"db.example.org":"10.0.0.2"}}}',
  }
  const include = (name: string): Uint8Array => {
    const text = files[name]
    if (text === undefined) throw new Error('there is no such file')
    return bytesOf(text)
  }
  const load = (...names: string[]) =>
    loadPolicy(bytesOf(JSON.stringify({ version: '1.0', include: names, fs: { read: ['/r'] }, budgets: { calls: 9 } })), '/p/root.json', {
      include,
    })

  it('adds the rules, keeps the lowest budget, names the file of each rule', () => {
    const policy = load('base.json')
    const rule = (object: string): string | null => policy.decide({ action: 'fs.read', object }).rule
    expect([rule('/r'), rule('/b/x'), rule('/b/no'), rule('/m')]).toEqual([
      '/fs/read/0',
      'base.json#/fs/read/0',
      'base.json#/fs/deny/read/0',
      'more.toml#/fs/read/0',
    ])
    expect(policy.budgets).toEqual({ calls: 5 })
    expect([...policy.hosts]).toEqual([['db.example.org', '10.0.0.1']])
    expect(loadPolicy(bytesOf(renderDocument(policy.document)), 'p').decide({ action: 'fs.read', object: '/m' }).allow).toBe(true)
  })

  it('has the documented id', () => {
    const framed = (text: string): Buffer => {
      const length = Buffer.alloc(4)
      length.writeUInt32BE(Buffer.byteLength(text))
      return Buffer.concat([length, Buffer.from(text)])
    }
    const root = JSON.stringify({ version: '1.0', include: ['base.json'], fs: { read: ['/r'] }, budgets: { calls: 9 } })
    const order = ['', root, 'base.json', files['base.json'] ?? '', 'more.toml', files['more.toml'] ?? ''].map(framed)
    const expected = createHash('sha256')
      .update(Buffer.concat([Buffer.from('authority-policy-files-1\n'), ...order]))
      .digest('hex')
    expect(load('base.json').id).toBe(expected)
    expect(policyFrom({}).id).toBe(createHash('sha256').update('{"version":"1.0"}').digest('hex'))
  })

  it.each([
    [['loop.json'], 'loop.json:1:29: /include/0: `loop.json` includes itself: root.json → loop.json → loop.json'],
    [['back.json'], 'includes itself: root.json → back.json → root.json'],
    [['missing.json'], '`missing.json` cannot be read: there is no such file'],
    [['bad.json'], 'bad.json:1:24: /fs/raed: unknown key `raed` in `fs` (did you mean `read`?)'],
    [['base.json', 'hosts.json'], '`db.example.org` is mapped to another address in another file'],
    [['../up.json'], '`../up.json` is not in the same folder'],
    [['/etc/x.json'], 'is not in the same folder'],
    [['.hidden.json'], 'is not the name of a policy file'],
    [['policy'], 'is not the name of a policy file'],
  ])('%j: %s', (names, problem) => expect(() => load(...names)).toThrow(problem))

  it('counts a file once, and stops at the depth and size limits', () => {
    expect(load('base.json', 'more.toml', 'base.json').document.fs.read).toEqual(['/r', '/b/**', '/m'])
    const chain = (name: string): Uint8Array =>
      bytesOf(JSON.stringify({ version: '1.0', include: [`${Number.parseInt(name, 10) + 1}.json`] }))
    expect(() => loadPolicy(chain('-1'), 'root.json', { include: chain })).toThrow('deeper than 8')
    const large = bytesOf(`{"version":"1.0"}${' '.repeat(3 << 20)}`)
    const two = bytesOf('{"version":"1.0","include":["a.json","b.json"]}')
    expect(() => loadPolicy(two, 'root.json', { include: () => large })).toThrow('bytes together')
  })

  it('is not for images', () => {
    expect(() => asImageRequest(loadPolicy(bytesOf('{"version":"1.0","include":["a.json"]}'), 'image'))).toThrow('cannot include files')
  })
})

describe('expectations of a run', () => {
  const policy = policyFrom({
    env: { allow: ['LANG', 'LC_*'], require: ['API_URL'] },
    mounts: { allow: ['/cache', '/ro:ro'], require: ['/work:rw', '/data:ro'] },
  })
  const work = { guest: '/work', readonly: false }
  const data = { guest: '/data', readonly: true }
  const check = (env: string[], mounts: { guest: string; readonly: boolean }[], image: string[] = []): string =>
    checkExpectations(policy, { env, mounts, image }).join('; ')

  it('hold', () => {
    expect(check(['API_URL', 'LC_ALL', 'LANG'], [work, data, { guest: '/cache', readonly: false }])).toBe('')
    expect(check([], [work, data], ['API_URL', 'PATH'])).toBe('')
    expect(checkExpectations(policyFrom({}), { env: ['ANY'], mounts: [work] })).toEqual([])
    expect(checkExpectations(policyFrom({ mounts: { allow: [] } }), { env: [], mounts: [work] })).toHaveLength(1)
  })

  it.each([
    [['LANG'], [work, data], 'requires the environment variable API_URL'],
    [['API_URL', 'TOKEN'], [work, data], 'does not allow passing the environment variable TOKEN'],
    [['API_URL'], [data], 'requires a mount at /work'],
    [['API_URL'], [{ ...work, readonly: true }, data], 'at /work to be writable'],
    [['API_URL'], [work, { ...data, readonly: false }], 'at /data to be read-only'],
    [['API_URL'], [work, data, { guest: '/etc', readonly: true }], 'does not allow a mount at /etc'],
    [['API_URL'], [work, data, { guest: '/ro', readonly: false }], 'only read-only'],
  ])('%j %j: %s', (env, mounts, sentence) => expect(check(env, mounts)).toContain(sentence))

  it.each([
    [{ env: { allow: ['A=1'] } }, 'write `A`: a policy holds no values'],
    [{ env: { require: ['A*'] } }, 'is not the name of an environment variable'],
    [{ mounts: { allow: ['work'] } }, 'is not a guest path'],
    [{ mounts: { require: ['/host:/work'] } }, 'the host side is the operator’s'.replace('’', "'")],
  ])('%j is refused', (document, problem) => expect(problemsOf(document)).toContain(problem))

  it('survive rendering', () => {
    for (const document of [{ mounts: { allow: [] } }, { env: { allow: [], require: ['A'] } }, { ask: { timeout_ms: 5 } }])
      expect(loadPolicy(bytesOf(renderDocument(policyFrom(document).document)), 'p').document).toEqual(policyFrom(document).document)
  })
})
