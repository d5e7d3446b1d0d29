import { describe, expect, it } from 'vitest'
import type { Action, Question } from '../vocabulary/index.ts'
import { denyAllPolicy, loadPolicy } from './index.ts'
import { bytesOf, policyFrom } from './testing.ts'

const ask = (action: Action, object: string, more: Partial<Question> = {}): Question => ({ action, object, ...more })

describe('order of decision', () => {
  const policy = policyFrom({
    fs: { read: ['/work/**'], write: ['/work/**', '/work/r/.envrc'], deny: { read: ['/work/Secret/**'], write: ['/work/keep/**'] } },
    net: {
      dns: ['time.example.org'],
      connect: ['dns:*.example.org:443'],
      deny: { dns: ['hidden.example.org'], connect: ['dns:old.example.org:*'] },
    },
    tools: { allow: ['git.*'], deny: ['git.push'] },
    infer: { models: ['small-*'] },
  })

  it.each<[Action, string, boolean, string | null]>([
    ['fs.read', '/work/a', true, '/fs/read/0'],
    ['fs.read', '/etc/passwd', false, null],
    ['fs.read', '/work/Secret/x', false, '/fs/deny/read/0'],
    ['fs.read', '/work/secret/x', false, '/fs/deny/read/0'],
    ['fs.read', '/work/SECRET', false, '/fs/deny/read/0'],
    ['fs.read', '/work/sec\u200bret/x', false, '/fs/deny/read/0'],
    ['fs.write', '/work/Secret/x', true, '/fs/write/0'],
    ['fs.write', '/work/keep/x', false, '/fs/deny/write/0'],
    ['fs.write', '/work/.envrc', false, 'always-deny:direnv'],
    ['fs.write', '/work/r/.envrc', true, '/fs/write/0'],
    ['fs.read', '/work/.envrc', true, '/fs/read/0'],
    ['net.dns', 'a.example.org', true, '/net/connect/0'],
    ['net.dns', 'hidden.example.org', false, '/net/deny/dns/0'],
    ['net.connect', 'dns:hidden.example.org:443', false, '/net/deny/dns/0'],
    ['net.connect', 'dns:old.example.org:443', false, '/net/deny/connect/0'],
    ['net.connect', 'dns:new.example.org:443', true, '/net/connect/0'],
    ['net.connect', 'dns:time.example.org:80', false, null],
    ['net.connect', 'ip:169.254.169.254:80', false, 'always-deny:address'],
    ['net.listen', 'ip:127.0.0.1:80', false, null],
    ['tools', 'git.log', true, '/tools/allow/0'],
    ['tools', 'git.push', false, '/tools/deny/0'],
    ['infer', 'small-1', true, '/infer/models/0'],
    ['infer', 'large-1', false, null],
  ])('%s %s', (action, object, allow, rule) => {
    expect(policy.decide(ask(action, object))).toMatchObject({ allow, rule })
  })

  it('resolves only what a rule could allow and none denies', () => {
    expect(
      ['a.example.org', 'time.example.org', 'example.org', 'hidden.example.org', 'A.example.org', '10.0.0.1', ''].map((name) =>
        policy.mayResolve(name),
      ),
    ).toEqual([true, true, false, false, false, false, false])
  })

  it('lets be looked at what may be read or written, and the way there', () => {
    const look = (object: string): boolean => policy.decide(ask('fs.look', object)).allow
    expect(['/', '/work', '/work/a', '/work/.envrc', '/work/Secret', '/etc', '/worker'].map(look)).toEqual([
      true,
      true,
      true,
      true,
      true,
      false,
      false,
    ])
    const both = policyFrom({ fs: { read: ['/w/**'], write: ['/w/**'], deny: { read: ['/w/x/**'], write: ['/w/x/**'] } } })
    expect(both.decide(ask('fs.look', '/w/x'))).toMatchObject({ allow: false, rule: '/fs/deny/read/0' })
    expect(policyFrom({ fs: { read: ['/w/**'], deny: { read: ['/w/x/**'] } } }).decide(ask('fs.look', '/w/x')).allow).toBe(false)
  })

  it('lets be looked at and no more what `fs.look` names, and the way there', () => {
    const looking = policyFrom({ fs: { look: ['/l/a', '/t/**'] } })
    const looks = (object: string): boolean => looking.decide(ask('fs.look', object)).allow
    expect(['/', '/l', '/l/a', '/t/x/y', '/l/b', '/l/a/b'].map(looks)).toEqual([true, true, true, true, false, false])
    for (const action of ['fs.read', 'fs.write'] as const) expect(looking.decide(ask(action, '/l/a')).allow).toBe(false)
    expect(looking.decide(ask('fs.look', '/l/b'))).toMatchObject({ rule: null, fix: '{"version":"1.0","fs":{"look":["/l/b"]}}' })
    expect(looking.decide(ask('fs.look', '/t/x'))).toMatchObject({ rule: '/fs/look/1' })
  })

  it('what may not be looked at is neither read nor changed; what may be neither is not looked at, whatever lets it', () => {
    const all = { look: ['/w/**'], read: ['/w/**'], write: ['/w/**'] }
    const hidden = policyFrom({ fs: { ...all, deny: { look: ['/w/s'] } } })
    for (const action of ['fs.look', 'fs.read', 'fs.write'] as const)
      for (const object of ['/w/s', '/w/S'])
        expect(hidden.decide(ask(action, object))).toMatchObject({ allow: false, rule: '/fs/deny/look/0' })
    expect(hidden.decide(ask('fs.look', '/w/t')).allow).toBe(true)
    const both = policyFrom({ fs: { ...all, deny: { read: ['/w/s'], write: ['/w/s'] } } })
    expect(both.decide(ask('fs.look', '/w/s'))).toMatchObject({ allow: false, rule: '/fs/deny/read/0' })
    expect(policyFrom({ fs: { look: ['/w/s'], deny: { read: ['/w/s'] } } }).decide(ask('fs.look', '/w/s')).allow).toBe(true)
  })

  it('asks about a look only where `fs.ask.look` names the object itself', () => {
    const asking = policyFrom({ fs: { read: ['/w/**'], ask: { look: ['/w/a/b'], read: ['/r/c'] } } })
    expect(asking.decide(ask('fs.look', '/w/a/b'))).toMatchObject({ allow: false, ask: true, rule: '/fs/ask/look/0' })
    expect(['/w/a', '/w/c', '/r/c', '/r'].map((object) => asking.decide(ask('fs.look', object)).allow)).toEqual([true, true, true, true])
    expect(policyFrom({ fs: { ask: { look: ['/w/a/b'] } } }).decide(ask('fs.look', '/w/a')).allow).toBe(true)
  })

  it('refuses objects that are not canonical, and says so', () => {
    for (const object of [
      'work/a',
      '/work/../etc',
      '/work//a',
      '/work/a/',
      '/work/./a',
      '/work/a\u0000',
      '/work/a\nb',
      '/work/\ud800',
      `/work/${'a'.repeat(256)}`,
      `/work${'/a'.repeat(2100)}`,
    ]) {
      expect(policy.decide(ask('fs.read', object))).toMatchObject({
        allow: false,
        rule: null,
        fix: null,
        reason: expect.stringContaining('canonical'),
      })
    }
    for (const object of [
      'dns:A.example.org:443',
      'dns:a.example.org.:443',
      'a.example.org:443',
      'dns:a.example.org:0',
      'ip:127.1:80',
      'ip:10.0.0.1:080',
    ]) {
      expect(policy.decide(ask('net.connect', object)).allow).toBe(false)
    }
  })

  it('turns a fault inside into a denial', () => {
    const broken = { action: 'fs.read', object: null } as unknown as Question
    expect(policy.decide(broken)).toMatchObject({
      allow: false,
      rule: null,
      fix: null,
      reason: expect.stringContaining('could not be evaluated'),
    })
    expect(policy.decide(ask('fs.delete' as Action, '/work/a')).allow).toBe(false)
  })
})

describe('every spelling of this machine and of metadata', () => {
  const wide = policyFrom({
    net: {
      dns: ['a.test'],
      connect: [
        'ip:10.0.0.0/8:*',
        'ip:[fc00::/7]:*',
        'ip:100.64.0.0/10:*',
        'dns:*.example.org:*',
        'ip:169.0.0.0/8:*',
        'ip:168.0.0.0/8:*',
        'ip:126.0.0.0/8:*',
        'ip:192.0.0.0/8:*',
      ],
    },
  })
  it.each([
    '127.0.0.1',
    '127.1.2.3',
    '0.0.0.0',
    '0.1.2.3',
    '[::1]',
    '[::]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    '[::127.0.0.1]',
    '[64:ff9b::7f00:1]',
    '[2002:7f00:1::]',
    '169.254.169.254',
    '169.254.170.2',
    '[::ffff:a9fe:a9fe]',
    '[64:ff9b::169.254.169.254]',
    '[2002:a9fe:a9fe::]',
    '[fd00:ec2::254]',
    '[fe80::1]',
    '100.100.100.200',
    '168.63.129.16',
    '192.0.0.192',
    '224.0.0.1',
    '255.255.255.255',
    '[ff02::1]',
  ])('%s stays closed', (host) => {
    expect(wide.decide(ask('net.connect', `ip:${host}:80`)).allow).toBe(false)
  })

  it.each([
    '127.1',
    '0x7f.0.0.1',
    '2130706433',
    '017700000001',
    '127.0.0.1.',
    'localhost',
    'LOCALHOST',
    '0',
    '[::ffff:7f00:1]',
    '169.254.169.254',
    '2852039166',
    '0xa9fea9fe',
  ])('dns:%s is no way to it', (host) => {
    expect(wide.decide(ask('net.connect', `dns:${host}:80`)).allow).toBe(false)
    expect(wide.mayResolve(host)).toBe(false)
  })

  it('opens loopback by its literal rule only', () => {
    const one = policyFrom({ net: { connect: ['ip:127.0.0.1:8080'] } })
    const open = (object: string): boolean => one.decide(ask('net.connect', object)).allow
    expect(open('ip:127.0.0.1:8080')).toBe(true)
    expect(['ip:127.0.0.1:8081', 'ip:127.0.0.2:8080', 'ip:[::1]:8080', 'ip:0.0.0.0:8080', 'dns:localhost:8080'].map(open)).toEqual([
      false,
      false,
      false,
      false,
      false,
    ])
  })
})

describe('explanations', () => {
  const policy = policyFrom({ fs: { read: ['/work/src/**'] }, net: { connect: ['dns:api.example.org:443'] } })

  it('name the nearest rule', () => {
    expect(policy.decide(ask('fs.read', '/work/docs/a')).reason).toBe(
      'no rule allows fs.read `/work/docs/a`; the nearest is /fs/read/0 `/work/src/**`',
    )
    expect(policy.decide(ask('net.connect', 'dns:api.example.org:80')).reason).toContain(
      'the nearest is /net/connect/0 `dns:api.example.org:443`',
    )
    expect(policy.decide(ask('net.connect', 'dns:www.example.org:443')).reason).toContain('the nearest is /net/connect/0')
    expect(policy.decide(ask('net.connect', 'dns:other.net:443')).reason).toBe('no rule allows net.connect `dns:other.net:443`')
  })

  it('escape what the agent sent', () => {
    expect(policy.decide(ask('tools', '\u001b[2J\u202e')).reason).toBe('no rule allows tools `\\u{1b}[2J\\u{202e}`')
  })

  it('tell which profile holds a file of the image', () => {
    expect(policy.decideImage(ask('fs.read', '/usr/bin/python3.11')).reason).toContain('the profile `python` has it')
    expect(policy.decide(ask('fs.read', '/usr/bin/python3.11')).reason).not.toContain('profile')
  })

  it.each<[Action, string, string | null]>([
    ['fs.read', '/a/[x] *?{y}\\z', '{"version":"1.0","fs":{"read":["/a/[[]x[]] [*][?][{]y[}][\\\\]z"]}}'],
    ['fs.write', '/a', '{"version":"1.0","fs":{"write":["/a"]}}'],
    ['net.dns', 'a.example.org', '{"version":"1.0","net":{"dns":["a.example.org"]}}'],
    ['net.dns', 'localhost', null],
    ['net.connect', 'dns:a.example.org:80', '{"version":"1.0","net":{"connect":["dns:a.example.org:80"]}}'],
    ['net.connect', 'ip:127.0.0.1:80', '{"version":"1.0","net":{"connect":["ip:127.0.0.1:80"]}}'],
    ['net.connect', 'ip:[::ffff:10.0.0.1]:80', '{"version":"1.0","net":{"connect":["ip:10.0.0.1:80"]}}'],
    ['net.connect', 'ip:[fe80::1]:80', null],
    ['net.connect', 'ip:169.254.169.254:80', null],
    ['net.connect', 'nonsense', null],
    ['net.listen', 'ip:0.0.0.0:80', '{"version":"1.0","net":{"listen":["ip:0.0.0.0:80"]}}'],
    ['net.listen', 'ip:224.0.0.1:80', null],
    ['tools', 'a b', null],
    ['infer', 'org/model-1', '{"version":"1.0","infer":{"models":["org/model-1"]}}'],
  ])('the fix of %s %s', (action, object, fix) => {
    expect(policy.decide(ask(action, object)).fix).toBe(fix)
  })
})

describe('profiles', () => {
  it.each(['tier1-musl', 'tier2-glibc', 'python', 'node', 'bun'])('%s grants its program and reading only', (name) => {
    const policy = policyFrom({ profiles: [name] })
    expect(policy.decide(ask('fs.read', '/app/main'))).toMatchObject({ allow: true, rule: `profile:${name}/fs/read/0` })
    expect(policy.decide(ask('fs.read', '/etc/resolv.conf')).allow).toBe(true)
    expect(policy.decide(ask('fs.read', '/etc/shadow')).allow).toBe(false)
    expect(policy.decide(ask('fs.read', '/root/x')).allow).toBe(false)
    expect(policy.grants.fs?.write).toEqual([])
    expect(policy.grants.net).toEqual({ dns: [], connect: [], listen: [] })
  })

  it('keep libraries from static programs', () => {
    expect(policyFrom({ profiles: ['tier1-musl'] }).decide(ask('fs.read', '/usr/lib/x.so')).allow).toBe(false)
    expect(policyFrom({ profiles: ['tier2-glibc'] }).decide(ask('fs.read', '/usr/lib/x.so')).allow).toBe(true)
  })
})

describe('without any policy', () => {
  const policy = denyAllPolicy()
  it('a program may read its image and nothing else', () => {
    expect(policy.decideImage(ask('fs.read', '/usr/bin/anything')).allow).toBe(true)
    expect(policy.decideImage(ask('fs.read', '/usr/../x')).allow).toBe(false)
    expect(policy.decideImage(ask('fs.write', '/x')).allow).toBe(false)
    for (const [action, object] of [
      ['fs.read', '/app/main'],
      ['fs.read', '/'],
      ['fs.write', '/tmp/x'],
      ['net.dns', 'a.example.org'],
      ['net.connect', 'dns:a.example.org:443'],
      ['tools', 't'],
      ['infer', 'm'],
    ] as const) {
      expect(policy.decide(ask(action, object)).allow).toBe(false)
    }
    expect(policy.decide(ask('fs.look', '/')).allow).toBe(false)
    expect(policy.mayResolve('a.example.org')).toBe(false)
    expect(policy).toMatchObject({ source: 'built-in: deny everything outside', budgets: {} })
  })

  it('an empty policy does not even allow that', () => {
    expect(policyFrom({}).decideImage(ask('fs.read', '/app/main')).allow).toBe(false)
  })
})

describe('10,000 rules', () => {
  it('load, and decide by the same rules', () => {
    const read = Array.from({ length: 10_000 }, (_, index) => `/work/p${index}/**`)
    const connect = Array.from({ length: 10_000 }, (_, index) => `dns:h${index}.example.org:443`)
    const policy = loadPolicy(bytesOf(JSON.stringify({ version: '1.0', fs: { read }, net: { connect } })), 'p')
    expect(policy.decide(ask('fs.read', '/work/p9999/a/b')).rule).toBe('/fs/read/9999')
    expect(policy.decide(ask('net.connect', 'dns:h9999.example.org:443')).rule).toBe('/net/connect/9999')
    expect(policy.decide(ask('fs.read', '/work/q')).allow).toBe(false)
  })
})
