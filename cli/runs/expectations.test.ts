import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadPolicy } from '@authority/kernel/policy'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { assertExpected } from './expectations.ts'
import { openGateCore } from './gate/core.ts'

let home: string
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'authority-expected-'))
  for (const name of ['runs', 'runs/one', 'work']) mkdirSync(join(home, name), { mode: 0o700 })
})
afterEach(() => rmSync(home, { recursive: true, force: true }))

const bytes = (document: object): Uint8Array => Buffer.from(JSON.stringify({ version: '1.0', ...document }))
const given = { image: ['PATH'], env: ['TOKEN'] }

test('a run that lacks what its policy expects does not begin', () => {
  const check = (document: object): void =>
    assertExpected(loadPolicy(bytes(document), 'p.json'), { given, mounts: [{ host: '/h', guest: '/work', readonly: false }] }, 'do this')
  expect(() => check({ env: { require: ['PATH', 'TOKEN'], allow: [] }, mounts: { require: ['/work:rw'] } })).not.toThrow()
  expect(() => check({ env: { require: ['OTHER'] } })).toThrow(expect.objectContaining({ code: 'policy', exitCode: 64, hint: 'do this' }))
  expect(() => check({ mounts: { require: ['/work:ro'] } })).toThrow('to be read-only')
})

test('a reload whose expectations the run does not meet changes nothing', async () => {
  const mounts = [{ host: join(home, 'work'), guest: '/work', readonly: true }]
  const core = await openGateCore({
    run: '1'.padStart(32, '0'),
    home: join(home, 'authority'),
    folder: join(home, 'runs/one'),
    build: 'test',
    isolation: 'none',
    policy: { bytes: bytes({ fs: { read: ['/work/**'] } }), source: 'test', kind: 'operator' },
    hosts: [],
    resolver: { kind: 'system' },
    budgets: {},
    given,
    mounts,
    guarded: [],
    cpus: 1,
    detail: {},
    operator: new Map(),
  })
  const reload = async (document: object): Promise<string> =>
    (await core.reload({ source: 'p.json', bytes: bytes(document), includes: [] }, 'test')).policy
  const before = core.policy.id
  try {
    for (const document of [
      { env: { require: ['OTHER'] } },
      { env: { allow: [] } },
      { mounts: { allow: [] } },
      { mounts: { require: ['/work:rw'] } },
    ])
      await expect(reload(document)).rejects.toMatchObject({ code: 'E_CONFLICT', message: expect.stringContaining('changes nothing') })
    expect(core.policy.id).toBe(before)
    expect(core.policy.decide({ action: 'fs.read', object: '/work/a' }).allow).toBe(true)
    const after = await reload({ env: { require: ['TOKEN'], allow: [] }, mounts: { require: ['/work:ro'] } })
    expect(core.policy.id).toBe(after)
    expect(core.policy.decide({ action: 'fs.read', object: '/work/a' }).allow).toBe(false)
  } finally {
    await core.close({ endedBy: 'stop', exitCode: 0 })
  }
})
