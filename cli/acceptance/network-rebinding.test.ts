/** Rebinding in every pattern, by a hostile resolver of each kind, with the forbidden servers listening at their true addresses: their own logs are the witness. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freshFolder, removeFolder } from './vm-support.ts'

const PROCESS = join(import.meta.dirname, '../../kernel/effects/net/testing/rebinding-process.ts')
/** The only public address there is. */
const GOOD = '93.184.216.34'
const folder = freshFolder('rebinding-')
afterAll(() => removeFolder(folder))

interface Found {
  readonly outcomes: Readonly<Record<string, readonly string[]>>
  /** Connections the public server saw. */
  readonly good: number
  /** Who came to each forbidden one. */
  readonly forbidden: Readonly<Record<string, readonly string[]>>
  readonly denied: number
}

/** In a network of its own, where every address is this machine's and nothing leads out. */
function inNamespace(kind: string): Found {
  const asRoot = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user']
  const ran = spawnSync('unshare', [...asRoot, '--net', '--mount', process.execPath, PROCESS, kind, folder], {
    encoding: 'utf8',
    timeout: 60_000,
    env: { PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
  })
  if (ran.status !== 0) throw new Error(`${ran.error ?? ''} ${ran.stderr}`)
  return JSON.parse(ran.stdout) as Found
}

describe.each(['system', 'servers', 'https'])('a hostile resolver: %s', (kind) => {
  let found: Found
  beforeAll(() => {
    found = inNamespace(kind)
  }, 60_000)
  const to = (name: string): readonly string[] => found.outcomes[`${name}.attack.example`] ?? []

  test('leads nowhere but to the public address', () => {
    expect(Object.entries(found.forbidden).filter(([, log]) => log.length > 0)).toEqual([])
    const reached = Object.values(found.outcomes)
      .flat()
      .filter((outcome) => !outcome.startsWith('E_'))
    expect(found.good).toBe(reached.length)
    expect(found.denied).toBeGreaterThan(0)
  })

  test('a true answer is followed, also among others', () => {
    for (const name of ['good', 'mixed']) expect(to(name)).toEqual([GOOD, 'answered', GOOD, 'answered'])
  })

  test('an answer that changes is vetted each time it is given', () => {
    expect(to('later')[0]).toBe(GOOD)
    expect(to('later').slice(1)).toEqual(['E_POLICY_DENY', 'E_POLICY_DENY', 'E_POLICY_DENY'])
    expect(to('before')).toEqual(['E_POLICY_DENY', 'answered', GOOD, 'answered'])
  })

  test.each(['private', 'metadata', 'loopback', 'zero', 'mapped', 'alias', 'inside', 'cut'])('%s: refused', (name) => {
    const refused = to(name)
    expect(refused.length).toBe(4)
    for (const outcome of refused) expect(outcome).toMatch(/^E_(POLICY_DENY|UPSTREAM)$/)
  })
})
