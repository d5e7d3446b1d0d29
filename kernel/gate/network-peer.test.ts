import { encodeLinkControl, LINK_CONTROL } from '@authority/protocol'
import { afterEach, expect, test } from 'vitest'
import { netEffects } from '../effects/net/index.ts'
import { EffectsLink } from './effects-link.ts'
import { Peer } from './testing/client.ts'
import { closeWorlds, makeWorld } from './testing/world.ts'

afterEach(closeWorlds)

/** The net port: whoever forges the guest's network process gets what that process may ask for, decided like any other. */
async function networkPeer() {
  const world = await makeWorld({ effects: netEffects({ resolve: () => Promise.reject(new Error('not asked')), hosts: new Map() }) })
  const peer = new Peer({ link: true })
  const faults: string[] = []
  new EffectsLink({
    transport: peer.transport,
    run: 'a run',
    registry: world.registry,
    peer: 'network',
    onFault: (error) => faults.push(error.code),
  })
  peer.bytes(encodeLinkControl({ type: LINK_CONTROL.SESSION_OPEN, session: 1, pid: 1, uid: 0, exe: '/sbin/init' }))
  peer.hello(null, 1)
  return { world, peer, faults }
}

test('connections and names are refused by the gate, not by the guest’s word', async () => {
  const { world, peer } = await networkPeer()
  expect(await peer.call('net.connect', ['192.0.2.1', 80], { session: 1 })).toBe('E_POLICY_DENY')
  const packet = Buffer.concat([Buffer.from([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 4]), Buffer.from('evil'), Buffer.from([0, 0, 1, 0, 1])])
  expect(await peer.call('net.query', [packet, false], { session: 1 })).toBe('E_POLICY_DENY')
  const denials = world.appended.filter((record) => record.type === 'DENY')
  expect(denials.map((record) => [record.op, record.session, 'guest_claimed' in record])).toEqual([
    ['net.connect', 'net:1', false],
    ['net.query', 'net:1', false],
  ])
})

test('it may ask for nothing else', async () => {
  const { peer } = await networkPeer()
  for (const [operation, args] of [
    ['fs.open', ['/work/a', 1, 0]],
    ['net.dns', ['evil']],
    ['image.open', ['/etc/passwd', false]],
    ['run.stop', ['now']],
  ] as const)
    expect([operation, await peer.call(operation, args, { session: 1 })]).toEqual([
      operation,
      operation === 'net.dns' ? 'E_POLICY_DENY' : 'E_UNSUPPORTED',
    ])
})

test('nothing published: the question for connections is answered at once', async () => {
  const { peer } = await networkPeer()
  expect(await peer.call('net.accept', [0], { session: 1 })).toBe('E_UNSUPPORTED')
})

test('a packet that is no query is an error of that request alone', async () => {
  const { peer, faults } = await networkPeer()
  expect(await peer.call('net.query', [new Uint8Array(3), false], { session: 1 })).toBe('E_CONFLICT')
  expect(await peer.call('net.accept', [0], { session: 1 })).toBe('E_UNSUPPORTED')
  expect(faults).toEqual([])
})
