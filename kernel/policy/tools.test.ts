import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { asImageRequest, explain, loadPolicy, renderDocument, showPolicy, suggestPolicy, viewPolicy } from './index.ts'
import { bytesOf, policyFrom } from './testing.ts'

const fix = (document: Record<string, unknown>): string => JSON.stringify({ version: '1.0', ...document })

describe('policy suggest', () => {
  it('merges, sorts, and drops names that connecting implies', () => {
    const { policy, leftOut, unreadable } = suggestPolicy([
      fix({ net: { dns: ['b.test'] } }),
      fix({ net: { connect: ['dns:a.test:443'] } }),
      fix({ net: { dns: ['a.test'] } }),
      fix({ fs: { read: ['/b'] } }),
      fix({ fs: { read: ['/a[*]'] } }),
      fix({ fs: { read: ['/b'] } }),
      fix({ tools: { allow: ['t'] } }),
    ])
    expect(JSON.parse(policy)).toEqual({
      version: '1.0',
      fs: { read: ['/a[*]', '/b'] },
      net: { dns: ['b.test'], connect: ['dns:a.test:443'] },
      tools: { allow: ['t'] },
    })
    expect({ leftOut, unreadable }).toEqual({ leftOut: [], unreadable: 0 })
  })

  it('never proposes what is always denied', () => {
    const found = suggestPolicy([fix({ fs: { write: ['/w/.git/hooks/x', '/w/ok'] } }), fix({ fs: { write: ['/w/[*]/.envrc'] } })])
    expect(JSON.parse(found.policy)).toEqual({ version: '1.0', fs: { write: ['/w/ok'] } })
    expect(found.leftOut).toEqual(['/w/.git/hooks/x', '/w/[*]/.envrc'])
  })

  it('counts what is no policy, and makes a policy of nothing', () => {
    expect(suggestPolicy(['', 'null', '{"version":"1.0","fs":{"write":["/**"]}}'])).toMatchObject({
      unreadable: 3,
      policy: '{\n  "version": "1.0"\n}\n',
    })
  })
})

describe('policy show', () => {
  const policy = policyFrom({
    profiles: ['tier1-musl'],
    fs: { write: ['/w/**'], deny: { write: ['/w/x'] } },
    net: { hosts: { 'a.test': '10.0.0.1' } },
    budgets: { cost: '$1' },
  })

  it('writes everything out, with where it comes from', () => {
    const text = showPolicy(policy)
    for (const line of [
      `policy ${policy.id}`,
      'source test.json',
      '  allow  `/app/**`  profile:tier1-musl/fs/read/0',
      '  deny   `/w/x`  /fs/deny/write/0',
      'net.connect: nothing',
      '  a.test is 10.0.0.1',
      '  cost_nano_usd 1000000000',
      '    **/.git/config',
      'budgets:',
    ]) {
      expect(text).toContain(line)
    }
    expect(showPolicy(policyFrom({}))).toContain('budgets: unlimited')
    // All Cyrillic, and looks like `apple`: what is dialled stands beside it.
    expect(showPolicy(policyFrom({ net: { connect: ['dns:*.\u0430\u0440\u0440\u04cf\u0435.example:443'] } }))).toContain(
      '(xn--80ak6aa92e.example)',
    )
  })

  it('is data too', () => {
    const view = viewPolicy(policy)
    expect(JSON.parse(JSON.stringify(view))).toEqual(view)
    expect(view.sections.find(({ permission }) => permission === 'fs.write')?.allow).toEqual([{ text: '/w/**', origin: '/fs/write/0' }])
  })
})

describe('policy why', () => {
  const policy = policyFrom({ net: { connect: ['dns:api.example.org:443'], deny: { connect: ['dns:bad.example.org:443'] } } })
  it('names the deny rule of an included file', () => {
    const include = (): Uint8Array => bytesOf('{"version":"1.0","fs":{"deny":{"read":["/a"]}}}')
    const including = loadPolicy(bytesOf('{"version":"1.0","include":["b.json"]}'), 'p.json', { include })
    expect(explain(including, 'fs.read', '/a')).toMatchObject({
      text: expect.stringContaining('change the deny rule b.json#/fs/deny/read/0'),
    })
  })

  const text = (action: string, object: string): string => {
    const found = explain(policy, action, object)
    return 'error' in found ? `${found.error} (${found.hint})` : found.text
  }

  it.each([
    ['net.connect', 'API.example.org:443', 'allowed: net.connect dns:api.example.org:443\nbecause: allowed by /net/connect/0'],
    ['net.connect', '0x7f.1:80', 'denied: net.connect ip:127.0.0.1:80'],
    ['net.connect', '169.254.169.254:80', 'no rule can allow it'],
    ['net.connect', 'bad.example.org:443', 'change the deny rule /net/deny/connect/0'],
    ['net.dns', 'Bücher.de.', 'denied: net.dns xn--bcher-kva.de'],
    ['fs.read', '/w/a', 'allow exactly this with: {"version":"1.0","fs":{"read":["/w/a"]}}'],
    ['fs.raed', '/w/a', '`fs.raed` is not a permission (did you mean `fs.read`?)'],
  ])('%s %s', (action, object, expected) => expect(text(action, object)).toContain(expected))
})

describe('an image’s own policy', () => {
  const document = {
    profiles: ['python'],
    fs: { read: ['/w/**'], write: ['/w/**', '/w/.git/hooks/pre-commit'] },
    net: {
      connect: ['dns:svc.test:80', 'ip:127.0.0.1:80', 'ip:[::1]:80', 'dns:api.example.org:443'],
      listen: ['ip:0.0.0.0:8080'],
      hosts: { 'svc.test': '127.0.0.1' },
    },
  }

  it('loses what only the operator grants', () => {
    const loaded = policyFrom(document)
    const { policy, refused } = asImageRequest(loaded)
    expect(policy.id).toBe(loaded.id)
    expect(policy.source).toBe('image')
    expect(policy.grants.net).toEqual({ dns: [], connect: ['dns:svc.test:80', 'dns:api.example.org:443'], listen: [] })
    expect(policy.hosts.size).toBe(0)
    for (const [action, object] of [
      ['net.connect', 'ip:127.0.0.1:80'],
      ['net.connect', 'ip:[::1]:80'],
      ['net.listen', 'ip:0.0.0.0:8080'],
      ['fs.write', '/w/.git/hooks/pre-commit'],
    ] as const) {
      expect(policy.decide({ action, object }).allow).toBe(false)
    }
    expect(policy.decide({ action: 'fs.read', object: '/w/a' }).allow).toBe(true)
    expect(refused).toHaveLength(5)
  })

  it('keeps the operator’s own mappings', () => {
    const { policy } = asImageRequest(policyFrom(document, { hosts: { 'api.example.org': '10.0.0.1' } }))
    expect([...policy.hosts]).toEqual([['api.example.org', '10.0.0.1']])
  })

  it('cannot have this machine’s own services asked about either', () => {
    const { policy, refused } = asImageRequest(policyFrom({ net: { ask: { connect: ['ip:127.0.0.1:80', 'dns:a.example.org:443'] } } }))
    expect(policy.document.net.ask.connect).toEqual(['dns:a.example.org:443'])
    expect(refused).toHaveLength(1)
  })

  it('asks for nothing more than it says', () => {
    const plain = policyFrom({ fs: { read: ['/w/**'] } })
    const { policy, refused } = asImageRequest(plain)
    expect(policy.grants).toEqual(plain.grants)
    expect(refused).toEqual([])
  })
})

describe('rendered documents', () => {
  it('load to the same document', () => {
    const everything = readFileSync(join(import.meta.dirname, '../../fixtures/policies/valid/everything.toml'))
    const policy = loadPolicy(everything, 'everything.toml')
    expect(loadPolicy(bytesOf(renderDocument(policy.document)), 'p').document).toEqual(policy.document)
    expect(policy.maxTokens).toBe(4096)
  })
})
