import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { verifyRun } from '@authority/kernel/audit'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type GateCore, openGateCore } from './core.ts'
import { PolicyUpload } from './policy-upload.ts'

let home: string
let core: GateCore
const policyOf = (document: object): Uint8Array => Buffer.from(JSON.stringify({ version: '1.0', ...document }))

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'authority-reload-'))
  for (const name of ['runs', 'runs/one']) mkdirSync(join(home, name), { mode: 0o700 })
  core = await openGateCore({
    run: '2'.padStart(32, '0'),
    home: join(home, 'authority'),
    folder: join(home, 'runs/one'),
    build: 'test',
    isolation: 'none',
    policy: { bytes: policyOf({ budgets: { calls: 10, tokens: 50 } }), source: 'test', kind: 'operator' },
    hosts: [],
    resolver: { kind: 'system' },
    budgets: { bytes: 1000 },
    mounts: [],
    guarded: [],
    cpus: 1,
    detail: {},
    operator: new Map(),
  })
})
afterEach(() => rmSync(home, { recursive: true, force: true }))

const reload = (document: object) => core.reload({ source: 'p.json', bytes: policyOf(document), includes: [] }, 'test')
const spend = (charges: { calls?: number; cost_nano_usd?: number }): boolean => {
  const taken = core.budget.reserve(['run'], charges)
  if (taken.ok) core.budget.settle(taken.reservation, charges)
  return taken.ok
}
const end = () => core.close({ endedBy: 'stop', exitCode: 0 })

describe('budgets of a reload', () => {
  test('are lowered, held to, and on record; what would be more stays as it was', async () => {
    expect(spend({ calls: 3 })).toBe(true)
    const { lowered, kept } = await reload({ budgets: { calls: 4, tokens: 90, cost: '$1', bytes: 2000, log_bytes: 5 } })
    expect(lowered).toEqual({ calls: 4, cost_nano_usd: 1e9 })
    expect(kept).toEqual({ tokens: 50, bytes: 1000 })
    expect(core.limits).toEqual({ calls: 4, tokens: 50, bytes: 1000, cost_nano_usd: 1e9 })
    expect([spend({ calls: 2 }), spend({ calls: 1 }), spend({ cost_nano_usd: 1e9 + 1 })]).toEqual([false, true, false])
    const again = await reload({})
    expect([again.lowered, again.kept]).toEqual([{}, { calls: 4, tokens: 50, bytes: 1000, cost_nano_usd: 1e9 }])
    await end()
    expect((await verifyRun(join(home, 'runs/one/audit'))).findings).toEqual([])
  })

  test('below what is spent or reserved change nothing, and the message says both', async () => {
    expect(spend({ calls: 3 })).toBe(true)
    core.budget.reserve(['run'], { calls: 2 })
    const before = core.policy.id
    await expect(reload({ budgets: { calls: 4 } })).rejects.toMatchObject({
      code: 'E_CONFLICT',
      message: 'calls: 3 are spent and 2 reserved, the new policy allows 4; nothing was changed',
    })
    expect([core.policy.id, core.limits['calls']]).toEqual([before, 10])
    await reload({ budgets: { calls: 5 } })
    await end()
  })
})

describe('a policy in pieces', () => {
  const text = (files: readonly (readonly [string, Uint8Array])[]): string[] =>
    files.map(([name, content]) => `${name}:${Buffer.from(content).toString()}`)

  test('is put together file by file, once', () => {
    const upload = new PolicyUpload()
    for (const [name, offset, content] of [
      ['', 0, 'ab'],
      ['', 2, 'c'],
      ['x.json', 0, 'd'],
      ['x.json', 1, 'e'],
    ] as const)
      upload.add('/p', name, offset, Buffer.from(content))
    expect(text(upload.take('/p'))).toEqual([':abc', 'x.json:de'])
    expect(() => upload.take('/p')).toThrow(expect.objectContaining({ code: 'E_CONFLICT' }))
  })

  test('with a gap, of two policies mixed, or too large is refused', () => {
    const upload = new PolicyUpload()
    const add = (source: string, name: string, offset: number, size: number) => () => upload.add(source, name, offset, new Uint8Array(size))
    expect(add('/p', 'x.json', 0, 1)).toThrow('does not follow')
    add('/p', '', 0, 4)()
    expect(add('/p', '', 5, 1)).toThrow('does not follow')
    expect(add('/q', '', 4, 1)).toThrow('does not follow')
    expect(add('/p', '', 4, 4 << 20)).toThrow(expect.objectContaining({ code: 'E_FRAME_TOO_LARGE' }))
    expect(() => upload.take('/q')).toThrow('no policy was sent')
  })
})
