import { describe, expect, test } from 'vitest'
import { attenuate, seal } from './attenuate.ts'
import { bunMac } from './mac-bun.ts'
import { patternRules } from './pattern-rules.ts'
import { createCapabilityStage } from './stage.ts'
import { codeOf, GRANTS, NOW, RUN, read, testStage, turnableClock, write } from './testing/index.ts'
import type { CapabilityVerdict } from './types.ts'

const codeIn = (verdict: CapabilityVerdict): string => (verdict.allow ? 'allowed' : verdict.code)
const blocksIn = (verdict: CapabilityVerdict): readonly string[] => {
  if (!verdict.allow) throw new Error(verdict.reason)
  return verdict.blocks
}

describe('the run’s own capability', () => {
  test('is handle 0 on every session and covers what the policy grants', () => {
    const { stage } = testStage()
    for (const session of ['effects:1', 'fuse:0']) expect(stage.check(session, 0, [read('/work/a')]).allow).toBe(true)
    expect(stage.check('s', 0, [read('/work/a'), write('/work/a')])).toMatchObject({ allow: false, code: 'E_CAP_MISSING' })
    expect(codeIn(stage.check('s', 0, [{ action: 'infer', object: 'm' }]))).toBe('E_CAP_MISSING')
  })

  test('as a token can be bound, and does not spell out the policy’s rules', () => {
    const { stage } = testStage()
    const handle = stage.bind('s', stage.runToken)
    expect(stage.check('s', handle, [read('/work/a')]).allow).toBe(true)
    expect(codeIn(stage.check('s', handle, [read('/etc/passwd')]))).toBe('E_CAP_MISSING')
    expect(atob(stage.runToken.slice(5).replaceAll('-', '+').replaceAll('_', '/'))).not.toContain('/work')
  })

  test('fits a token however large the policy is', () => {
    const list = Array.from({ length: 200 }, (_, i) => `/data/${'x'.repeat(100)}/${i}/**`)
    const { stage } = testStage({ grants: { fs: { read: list } } })
    const handle = stage.bind('s', attenuate(stage.runToken, { fs: { read: ['/data/**'] } }))
    expect(stage.check('s', handle, [read(`/data/${'x'.repeat(100)}/7/a`)]).allow).toBe(true)
  })
})

describe('narrowing', () => {
  test('present sections restrict, absent ones stay, closed denies them', () => {
    const { stage } = testStage()
    const open = stage.bind('s', attenuate(stage.runToken, { fs: { read: ['/work/docs/**'] } }))
    expect(codeIn(stage.check('s', open, [read('/work/src/a')]))).toBe('E_CAP_SCOPE')
    expect(stage.check('s', open, [read('/work/docs/a')]).allow).toBe(true)
    expect(stage.check('s', open, [write('/work/out/a')]).allow).toBe(true)
    const closed = stage.bind('s', attenuate(stage.runToken, { fs: { read: ['/work/docs/**'] }, closed: true }))
    expect(stage.check('s', closed, [read('/work/docs/a')]).allow).toBe(true)
    expect(codeIn(stage.check('s', closed, [write('/work/out/a')]))).toBe('E_CAP_SCOPE')
    expect(codeIn(stage.check('s', closed, [{ action: 'tools', object: 'search' }]))).toBe('E_CAP_SCOPE')
  })

  test('a tree ends where its name does', () => {
    const { stage } = testStage()
    const handle = stage.bind('s', stage.mint({ fs: { read: ['/work/**'] } }, { notBefore: NOW, expires: NOW + 1000 }))
    expect(['/work', '/work/a', '/workshop', '/wor'].map((path) => stage.check('s', handle, [read(path)]).allow)).toEqual([
      true,
      true,
      false,
      false,
    ])
  })

  test('an empty list is nothing, not everything', () => {
    const { stage } = testStage()
    const handle = stage.bind('s', attenuate(stage.runToken, { fs: { read: [] } }))
    expect(codeIn(stage.check('s', handle, [read('/work/a')]))).toBe('E_CAP_SCOPE')
  })

  test('a child wider than its parent gains nothing', () => {
    const { stage } = testStage()
    const narrow = attenuate(stage.runToken, { fs: { read: ['/work/docs/**'] }, closed: true })
    const handle = stage.bind('s', attenuate(narrow, { fs: { read: ['/**'], write: ['/**'] }, uses: 1_000_000 }))
    expect(codeIn(stage.check('s', handle, [read('/etc/passwd')]))).toBe('E_CAP_SCOPE')
    expect(codeIn(stage.check('s', handle, [read('/work/src/a')]))).toBe('E_CAP_SCOPE')
    expect(codeIn(stage.check('s', handle, [write('/work/out/a')]))).toBe('E_CAP_SCOPE')
  })

  test('two half-rights are not a whole one: each handle stands alone', () => {
    const { stage } = testStage()
    const reader = stage.bind('s', attenuate(stage.runToken, { fs: { read: ['/work/a'], write: [] } }))
    const writer = stage.bind('s', attenuate(stage.runToken, { fs: { read: [], write: ['/work/out/a'] } }))
    for (const handle of [reader, writer]) expect(stage.check('s', handle, [read('/work/a'), write('/work/out/a')]).allow).toBe(false)
  })

  test('looking is restricted only when both reading and writing are', () => {
    const { stage } = testStage()
    const look = (object: string) => ({ action: 'fs.look' as const, object })
    const one = stage.bind('s', attenuate(stage.runToken, { fs: { read: ['/work/docs/**'] } }))
    const both = stage.bind('s', attenuate(stage.runToken, { fs: { read: ['/work/docs/**'], write: [] } }))
    expect(stage.check('s', one, [look('/work/src')]).allow).toBe(true)
    expect(stage.check('s', both, [look('/work/src')]).allow).toBe(false)
    expect(stage.check('s', both, [look('/work')]).allow).toBe(true)
    expect(stage.check('s', one, [look('/etc')]).allow).toBe(false)
  })

  test('looking can be granted and restricted for itself; a token without the section is unchanged', () => {
    const { stage } = testStage()
    const look = (object: string) => ({ action: 'fs.look' as const, object })
    const granted = stage.bind('s', stage.mint({ fs: { look: ['/l/**'] } }, { notBefore: NOW, expires: NOW + 1000 }))
    expect(['/', '/l/a', '/m'].map((object) => stage.check('s', granted, [look(object)]).allow)).toEqual([true, true, false])
    expect(stage.check('s', granted, [read('/l/a')]).allow).toBe(false)
    const narrowed = stage.bind('s', attenuate(stage.runToken, { fs: { look: ['/work/docs/**'] } }))
    expect(['/work', '/work/docs/a', '/work/src'].map((object) => stage.check('s', narrowed, [look(object)]).allow)).toEqual([
      true,
      true,
      false,
    ])
    // Looking alone is narrowed: what may be read is left as it was.
    expect(stage.check('s', narrowed, [read('/work/src')]).allow).toBe(true)
    const closed = stage.bind('s', attenuate(stage.runToken, { closed: true, fs: { look: ['/work/docs/**'] } }))
    expect(stage.check('s', closed, [look('/work/docs/a')]).allow).toBe(true)
    expect(stage.check('s', closed, [read('/work/docs/a')]).allow).toBe(false)
  })

  test('a block says how many may follow', () => {
    const { stage } = testStage()
    const one = attenuate(stage.runToken, { delegate: 1 })
    const two = attenuate(one, { uses: 5 })
    stage.bind('s', two)
    expect(codeOf(() => stage.bind('s', attenuate(two, { uses: 4 })))).toBe('E_CAP_SCOPE')
    // A later block cannot give back what an earlier one took.
    expect(codeOf(() => stage.bind('s', attenuate(attenuate(one, { delegate: 9 }), { uses: 4 })))).toBe('E_CAP_SCOPE')
  })

  test('sealed tokens work and cannot be extended', () => {
    const { stage } = testStage()
    const sealed = seal(attenuate(stage.runToken, { fs: { read: ['/work/a'] } }))
    expect(stage.check('s', stage.bind('s', sealed), [read('/work/a')]).allow).toBe(true)
    expect(codeOf(() => stage.bind('s', attenuate(sealed, { uses: 1 })))).toBe('E_CAP_INVALID')
    expect(codeOf(() => stage.bind('s', seal(sealed)))).toBe('E_CAP_INVALID')
  })

  test('a pattern that is none kills the token, not the gate', () => {
    const { stage } = testStage()
    expect(codeOf(() => stage.bind('s', attenuate(stage.runToken, { fs: { read: ['relative/**'] } })))).toBe('E_CAP_INVALID')
    expect(codeOf(() => stage.mint({ fs: { read: ['relative/**'] } }, { notBefore: NOW, expires: NOW + 1 }))).not.toBe('accepted')
  })

  test('a matcher that fails allows nothing', () => {
    const { stage } = testStage({
      compile: () => ({
        allows: () => {
          throw new Error('broken')
        },
      }),
    })
    expect(stage.check('s', 0, [read('/work/a')]).allow).toBe(false)
  })
})

describe('time', () => {
  test('valid from not-before, and until just before expiry', () => {
    const { stage, clock } = testStage()
    const token = stage.mint(GRANTS, { notBefore: NOW + 100, expires: NOW + 200 })
    clock.pass(99)
    expect(codeOf(() => stage.bind('s', token))).toBe('E_CAP_EXPIRED')
    clock.pass(1)
    const handle = stage.bind('s', token)
    clock.pass(99)
    expect(stage.check('s', handle, [read('/work/a')]).allow).toBe(true)
    clock.pass(1)
    expect(codeIn(stage.check('s', handle, [read('/work/a')]))).toBe('E_CAP_EXPIRED')
    expect(codeOf(() => stage.bind('s', token))).toBe('E_CAP_EXPIRED')
  })

  test('a restriction narrows the time and cannot widen it', () => {
    const { stage, clock } = testStage()
    const token = stage.mint(GRANTS, { notBefore: NOW, expires: NOW + 100 })
    const wider = stage.bind('s', attenuate(token, { notBefore: 0, expires: NOW + 9999 }))
    const narrower = stage.bind('s', attenuate(token, { expires: NOW + 50 }))
    clock.pass(50)
    expect(stage.check('s', wider, [read('/work/a')]).allow).toBe(true)
    expect(codeIn(stage.check('s', narrower, [read('/work/a')]))).toBe('E_CAP_EXPIRED')
    clock.pass(50)
    expect(codeIn(stage.check('s', wider, [read('/work/a')]))).toBe('E_CAP_EXPIRED')
  })

  test('a clock set back revives nothing and stops no expiry', () => {
    const { stage, clock } = testStage()
    const token = stage.mint(GRANTS, { notBefore: NOW, expires: NOW + 1000 })
    const handle = stage.bind('s', token)
    clock.setWall(NOW - 86_400_000)
    expect(stage.check('s', handle, [read('/work/a')]).allow).toBe(true)
    clock.pass(1000)
    expect(codeIn(stage.check('s', handle, [read('/work/a')]))).toBe('E_CAP_EXPIRED')
    clock.setWall(NOW)
    expect(codeOf(() => stage.bind('s', token))).toBe('E_CAP_EXPIRED')
  })

  test('a clock set forward ends tokens a ms later, and setting it back does not revive them', () => {
    const { stage, clock } = testStage()
    const token = stage.mint(GRANTS, { notBefore: NOW, expires: NOW + 1000 })
    clock.setWall(NOW + 86_400_000)
    clock.pass(1)
    expect(codeOf(() => stage.bind('s', token))).toBe('E_CAP_EXPIRED')
    clock.setWall(NOW)
    expect(codeOf(() => stage.bind('s', token))).toBe('E_CAP_EXPIRED')
  })

  test('a clock that tells no time allows nothing', () => {
    const clock = turnableClock()
    const { stage } = testStage({ clock: { ...clock, wallMs: clock.wallMs } })
    const handle = stage.bind('s', stage.runToken)
    clock.setWall(Number.NaN)
    clock.pass(1)
    expect(stage.check('s', handle, [read('/work/a')]).allow).toBe(false)
    let monotonic = 0
    const other = testStage({ clock: { wallMs: () => NOW, monotonicMs: () => monotonic } }).stage
    monotonic = Number.NaN
    expect(other.check('s', 0, [read('/work/a')]).allow).toBe(false)
  })
})

describe('a handle', () => {
  test('is valid on its session and nowhere else', () => {
    const { stage } = testStage()
    const handle = stage.bind('effects:1', stage.runToken)
    expect(codeIn(stage.check('effects:2', handle, [read('/work/a')]))).toBe('E_CAP_INVALID')
    expect(codeOf(() => stage.release('effects:2', handle))).toBe('E_CAP_INVALID')
    expect(stage.check('effects:1', handle, [read('/work/a')]).allow).toBe(true)
  })

  test('made up, released, or of an ended session is nobody’s', () => {
    const { stage } = testStage()
    const first = stage.bind('s', stage.runToken)
    const second = stage.bind('s', stage.runToken)
    stage.release('s', first)
    for (const handle of [first, 99, -1, 1.5, Number.NaN]) expect(codeIn(stage.check('s', handle, [read('/work/a')]))).toBe('E_CAP_INVALID')
    stage.endSession('s')
    expect(codeIn(stage.check('s', second, [read('/work/a')]))).toBe('E_CAP_INVALID')
    expect(stage.bind('s', stage.runToken)).toBeGreaterThan(second)
  })

  test('asked nothing, is only looked at for being alive', () => {
    const { stage } = testStage()
    const handle = stage.bind('s', attenuate(stage.runToken, { uses: 1 }))
    for (let i = 0; i < 3; i++) expect(stage.check('s', handle, []).allow).toBe(true)
    expect(codeIn(stage.check('other', handle, []))).toBe('E_CAP_INVALID')
  })
})

describe('revocation', () => {
  test('kills the block, its descendants and their warm handles, and nothing else', () => {
    const { stage } = testStage()
    const parent = attenuate(stage.runToken, { uses: 100 })
    const child = attenuate(parent, { fs: { read: ['/work/a'] } })
    const sibling = stage.bind('s', attenuate(stage.runToken, { uses: 200 }))
    const warmParent = stage.bind('s', parent)
    const warmChild = stage.bind('t', child)
    const [, id = ''] = blocksIn(stage.check('t', warmChild, [read('/work/a')]))
    stage.revoke(id)
    for (const [session, handle] of [
      ['s', warmParent],
      ['t', warmChild],
    ] as const)
      expect(stage.check(session, handle, [read('/work/a')])).toMatchObject({ allow: false, code: 'E_CAP_REVOKED', block: id })
    for (const token of [parent, child, attenuate(child, { uses: 1 }), seal(child)])
      expect(codeOf(() => stage.bind('u', token))).toBe('E_CAP_REVOKED')
    expect(stage.check('s', sibling, [read('/work/a')]).allow).toBe(true)
  })

  test('of the run’s own block ends everything', () => {
    const { stage } = testStage()
    const handle = stage.bind('s', stage.runToken)
    const [root = ''] = blocksIn(stage.check('s', 0, [read('/work/a')]))
    stage.revoke(root)
    for (const each of [0, handle]) expect(codeIn(stage.check('s', each, [read('/work/a')]))).toBe('E_CAP_REVOKED')
  })

  test('can come before the token is ever seen, and survives a restart', () => {
    const first = testStage().stage
    const token = first.mint(GRANTS, { notBefore: NOW, expires: NOW + 1000 })
    const [id = ''] = blocksIn(first.check('s', first.bind('s', token), [read('/work/a')]))
    const restarted = testStage({ revoked: [id] }).stage
    expect(codeOf(() => restarted.bind('s', token))).toBe('E_CAP_REVOKED')
    expect(testStage().stage.bind('s', token)).toBe(1)
  })

  test('of something that is no id is refused', () => {
    const { stage } = testStage()
    for (const id of ['', 'x', 'A'.repeat(32), '0'.repeat(31), '0'.repeat(33)]) expect(codeOf(() => stage.revoke(id))).toBe('E_NOT_FOUND')
  })
})

describe('replay elsewhere', () => {
  const token = testStage().stage.mint(GRANTS, { notBefore: NOW, expires: NOW + 1000 })
  test('another run, installation or key refuses it', () => {
    expect(codeOf(() => testStage({ run: `${RUN.slice(0, 31)}0` }).stage.bind('s', token))).toBe('E_CAP_RUN')
    expect(codeOf(() => testStage({ installation: 'another' }).stage.bind('s', token))).toBe('E_CAP_RUN')
    expect(codeOf(() => testStage({ secret: new Uint8Array(32) }).stage.bind('s', token))).toBe('E_CAP_RUN')
  })
  test('a run with random key refuses the token of the one before', () => {
    const fresh = () =>
      createCapabilityStage({
        run: RUN,
        installation: 'i',
        grants: GRANTS,
        compile: patternRules,
        clock: turnableClock(),
        random: (bytes) => crypto.getRandomValues(new Uint8Array(bytes)),
        mac: bunMac,
        declareBudget: () => undefined,
      })
    expect(codeOf(() => fresh().bind('s', fresh().runToken))).toBe('E_CAP_RUN')
  })
  test('an ended run takes nothing, its own tokens included', () => {
    const { stage } = testStage()
    const handle = stage.bind('s', token)
    stage.end()
    expect(codeIn(stage.check('s', handle, [read('/work/a')]))).toBe('E_CAP_REVOKED')
    expect(codeIn(stage.check('s', 0, [read('/work/a')]))).toBe('E_CAP_REVOKED')
    expect(codeOf(() => stage.bind('s', token))).toBe('E_CAP_REVOKED')
    expect(codeOf(() => stage.mint(GRANTS, { notBefore: NOW, expires: NOW + 1 }))).toBe('E_CAP_REVOKED')
  })
})
