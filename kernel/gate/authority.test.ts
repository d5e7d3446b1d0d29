import { afterEach, describe, expect, test } from 'vitest'
import { attenuate, seal } from '../capability/index.ts'
import { greeted, openClass, serve } from './testing/serve.ts'
import { closeWorlds, makeWorld, settle } from './testing/world.ts'

afterEach(closeWorlds)

const FOREVER = { notBefore: 0, expires: 253402300799999 }
const OPEN = ['/work/a', 1, 0] as const

async function setup() {
  const { effect, seen } = openClass()
  const world = await makeWorld({ effects: [effect] })
  const token = world.capability.mint({ fs: { read: ['/work/**'] } }, FOREVER)
  return { world, seen, token }
}

/** What a session that says hello with this token is told; `WELCOME` when it is let in. */
async function told(world: Awaited<ReturnType<typeof makeWorld>>, token: string): Promise<string> {
  const { peer } = serve(world)
  peer.hello(token)
  await peer.until(() => peer.received.length > 0)
  return peer.names[0] ?? ''
}

describe('tokens that do not hold', () => {
  test('forged, cut, flipped, of another run, expired, not yet valid, sealed and extended: the session is refused, and so is binding', async () => {
    const { world, seen, token } = await setup()
    const other = await makeWorld()
    const bad: [string, string][] = [
      ['E_CAP_INVALID', ''],
      ['E_CAP_INVALID', 'cap1_'],
      ['E_CAP_INVALID', token.toUpperCase()],
      ['E_CAP_INVALID', `${token}A`],
      ['E_CAP_INVALID', `${token} `],
      ['E_CAP_INVALID', attenuate(seal(token), { fs: { read: ['/work/a'] } })],
      ['E_CAP_RUN', other.capability.mint({ fs: { read: ['/work/**'] } }, FOREVER)],
      ['E_CAP_RUN', other.capability.runToken],
      ['E_CAP_EXPIRED', world.capability.mint({ fs: { read: ['/work/**'] } }, { notBefore: 0, expires: 1 })],
      [
        'E_CAP_EXPIRED',
        world.capability.mint({ fs: { read: ['/work/**'] } }, { notBefore: FOREVER.expires - 1, expires: FOREVER.expires }),
      ],
      ...Array.from({ length: 40 }, (_, i): [string, string] => ['E_CAP_INVALID', token.slice(0, Math.floor((token.length * i) / 40))]),
      ...Array.from({ length: 60 }, (_, i): [string, string] => ['E_CAP_*', flipped(token, i, 60)]),
    ]
    const { peer } = await greeted(world)
    for (const [code, text] of bad) {
      expect(await told(world, text), text).toMatch(new RegExp(`^GOODBYE ${code.replace('*', '(INVALID|RUN)')}$`))
      expect(await peer.call('cap.bind', [text]), text).toMatch(new RegExp(`^${code.replace('*', '(INVALID|RUN)')}$`))
    }
    expect(seen).toEqual([])
    expect(await told(world, token)).toBe('WELCOME')
  })

  test('revoked: neither a new session nor an old one', async () => {
    const { world, seen, token } = await setup()
    const child = attenuate(token, { fs: { read: ['/work/a'] } })
    const { peer } = await greeted(world, child)
    expect(await peer.call('fs.open', OPEN)).toEqual([1, 0])
    const [root] = world.capability.check('x', world.capability.bind('x', token), []).allow ? idsOf(world, token) : []
    world.capability.revoke(root ?? '')
    expect(await peer.call('fs.open', OPEN)).toBe('E_CAP_REVOKED')
    expect(await told(world, child)).toBe('GOODBYE E_CAP_REVOKED')
    expect(seen.length).toBe(1)
  })

  test('without a token the session acts under the run’s own capability, and policy decides', async () => {
    const { world, seen } = await setup()
    const { peer } = await greeted(world)
    expect(await peer.call('fs.open', OPEN)).toEqual([1, 0])
    expect(await peer.call('fs.open', ['/etc/passwd', 1, 0])).toBe('E_POLICY_DENY')
    expect(seen).toEqual(['/work/a'])
  })

  test('what the policy allows and the run’s own capability does not grant is refused', async () => {
    const { effect, seen } = openClass()
    const world = await makeWorld({ effects: [effect], grants: { fs: { read: ['/work/only/**'] } } })
    const { peer } = await greeted(world)
    expect(await peer.call('fs.open', ['/work/only/x', 1, 0])).toEqual([1, 0])
    expect(await peer.call('fs.open', OPEN)).toBe('E_CAP_MISSING')
    expect(seen).toEqual(['/work/only/x'])
  })

  test('once the run is over nothing holds', async () => {
    const { world, seen, token } = await setup()
    const { peer } = await greeted(world)
    world.capability.end()
    expect(await peer.call('fs.open', OPEN)).toBe('E_CAP_REVOKED')
    expect(await told(world, token)).toBe('GOODBYE E_CAP_REVOKED')
    expect(seen).toEqual([])
  })
})

describe('handles', () => {
  test('another session’s handle is nobody’s here', async () => {
    const { world, seen, token } = await setup()
    const [mine, other] = [await greeted(world), await greeted(world)]
    const [handle] = (await mine.peer.call('cap.bind', [token])) as [number]
    expect(await mine.peer.call('fs.open', OPEN, { handle })).toEqual([1, 0])
    for (const forged of [handle, handle + 1, 0xffffffff]) {
      expect(await other.peer.call('fs.open', OPEN, { handle: forged })).toBe('E_CAP_INVALID')
      expect(await other.peer.call('budget.status', [], { handle: forged })).toBe('E_CAP_INVALID')
      expect(await other.peer.call('budget.history', ['run'], { handle: forged })).toBe('E_CAP_INVALID')
      expect(await other.peer.call('session.ping', [new Uint8Array(1)], { handle: forged })).toBe('E_CAP_INVALID')
      expect(await other.peer.call('cap.release', [forged])).toBe('E_CAP_INVALID')
    }
    expect(seen.length).toBe(1)
    expect(world.appended.filter((record) => record.type === 'DENY' && record.code === 'E_CAP_INVALID').length).toBe(1)
  })

  test('a handle ends with its session, and is given to nobody again', async () => {
    const { world, token } = await setup()
    const mine = await greeted(world)
    const [handle] = (await mine.peer.call('cap.bind', [token])) as [number]
    await mine.session.end()
    expect(world.capability.check(mine.session.subject.session, handle, [], true)).toMatchObject({ allow: false, code: 'E_CAP_INVALID' })
    const next = await greeted(world)
    expect(await next.peer.call('fs.open', OPEN, { handle })).toBe('E_CAP_INVALID')
    const [fresh] = (await next.peer.call('cap.bind', [token])) as [number]
    expect(fresh).not.toBe(handle)
  })

  test('a released handle holds no more', async () => {
    const { world, token } = await setup()
    const { peer } = await greeted(world)
    const [handle] = (await peer.call('cap.bind', [token])) as [number]
    expect(await peer.call('cap.release', [handle])).toEqual([])
    expect(await peer.call('fs.open', OPEN, { handle })).toBe('E_CAP_INVALID')
  })
})

describe('a session that said hello with a narrower token', () => {
  test('acts under it with handle 0, with its own handle, and with no other', async () => {
    const { world, seen, token } = await setup()
    const wide = await greeted(world)
    const [wideHandle] = (await wide.peer.call('cap.bind', [token])) as [number]
    const { peer } = await greeted(world, attenuate(token, { fs: { read: ['/work/only/**'] } }))
    const welcome = peer.received[0]
    const own = welcome !== undefined && 'handle' in welcome ? welcome.handle : 0
    expect(own).toBeGreaterThan(0)
    for (const handle of [0, own]) {
      expect(await peer.call('fs.open', ['/work/only/x', 1, 0], { handle })).toEqual([1, 0])
      expect(await peer.call('fs.open', OPEN, { handle })).toBe('E_CAP_SCOPE')
    }
    expect(await peer.call('fs.open', OPEN, { handle: wideHandle })).toBe('E_CAP_INVALID')
    expect(seen).toEqual(['/work/only/x', '/work/only/x'])
  })

  test('cannot fetch the run’s token, nor fall back to it by giving up its own', async () => {
    const { world, seen, token } = await setup()
    const { peer } = await greeted(world, attenuate(token, { fs: { read: ['/work/only/**'] } }))
    const welcome = peer.received[0]
    const own = welcome !== undefined && 'handle' in welcome ? welcome.handle : 0
    expect(await peer.call('cap.self', [])).toBe('E_CAP_SCOPE')
    expect(await peer.call('cap.self', [], { handle: own })).toBe('E_CAP_SCOPE')
    expect(await peer.call('cap.release', [own])).toEqual([])
    expect(await peer.call('cap.self', [])).toBe('E_CAP_SCOPE')
    expect(await peer.call('fs.open', OPEN)).toBe('E_CAP_INVALID')
    expect(await peer.call('fs.open', ['/work/only/x', 1, 0])).toBe('E_CAP_INVALID')
    expect(await peer.call('budget.status', [])).toBe('E_CAP_INVALID')
    expect(seen).toEqual([])
  })

  test('one without a token may fetch it and narrow it offline', async () => {
    const { world } = await setup()
    const { peer } = await greeted(world)
    const [self] = (await peer.call('cap.self', [])) as [string]
    expect(self).toBe(world.capability.runToken)
    const narrow = await greeted(world, attenuate(self, { fs: { read: ['/work/only/**'] } }))
    expect(await narrow.peer.call('fs.open', OPEN)).toBe('E_CAP_SCOPE')
    expect(await narrow.peer.call('fs.open', ['/work/only/x', 1, 0])).toEqual([1, 0])
    await settle()
  })
})

function idsOf(world: Awaited<ReturnType<typeof makeWorld>>, token: string): readonly string[] {
  const verdict = world.capability.check('ids', world.capability.bind('ids', token), [])
  return verdict.allow ? verdict.blocks : []
}

/** One character of the token changed to another of the alphabet. */
function flipped(token: string, i: number, of: number): string {
  const at = 5 + Math.floor(((token.length - 5) * i) / of)
  const other = token[at] === 'A' ? 'B' : 'A'
  return token.slice(0, at) + other + token.slice(at + 1)
}
