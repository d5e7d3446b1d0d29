import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { closeWorlds } from '../../gate/testing/world.ts'
import { LOOPBACK, loads, NEVER, NON_GLOBAL, UNSPECIFIED, WIDEST } from './testing/forbidden-addresses.ts'
import { type NetWorld, netWorld, type Witness, witness } from './testing/world.ts'

let server: Witness
beforeEach(async () => {
  server = await witness()
})
afterEach(async () => {
  closeWorlds()
  await server.close()
})

const url = (host: string, port: number): string => `http://${host}:${port}/`
const bracketed = (host: string): string => (host.includes(':') && !host.startsWith('[') ? `[${host}]` : host)

/** Both operations; neither may perform anything. */
async function refusedByBoth(net: NetWorld, host: string, port: number): Promise<void> {
  for (const spelling of new Set([host, bracketed(host)]))
    expect(await net.peer.call('net.connect', [spelling, port]), spelling).toMatch(/^E_/)
  expect(await net.peer.call('net.fetch', ['GET', url(bracketed(host), port), [], null, 0, 2000, 3, 0, null]), host).toMatch(/^E_/)
}

describe('literal addresses', () => {
  test('the widest policy is wide', () => expect(WIDEST.length).toBeGreaterThan(200))

  test.each([
    ['loopback', LOOPBACK],
    ['unspecified', UNSPECIFIED],
    ['never', NEVER],
  ])('%s, in every spelling: no rule of the widest policy opens them', async (_name, hosts) => {
    const net = await netWorld({ connect: WIDEST })
    for (const host of hosts) {
      await refusedByBoth(net, host, server.port)
      expect([net.dialled, net.resolved, server.connections.length], host).toEqual([[], [], 0])
    }
  })

  test('private, shared, documentation, translated: no rule about names opens them', async () => {
    const net = await netWorld({ connect: ['dns:*.example.com:*'] })
    for (const host of NON_GLOBAL) {
      await refusedByBoth(net, host, server.port)
      expect([net.dialled, server.connections.length], host).toEqual([[], 0])
    }
  })

  test('loopback is opened by a literal rule for that address and port, in any spelling of it, and by nothing near it', async () => {
    const net = await netWorld({ connect: [`ip:127.0.0.1:${server.port}`] })
    for (const host of ['127.0.0.1', '127.1', '0x7f.1', '2130706433', '[::ffff:127.0.0.1]'])
      expect(await net.peer.call('net.connect', [host, server.port]), host).toEqual([expect.any(Number), '127.0.0.1'])
    expect(await net.peer.call('net.connect', ['127.0.0.2', server.port])).toBe('E_POLICY_DENY')
    expect(await net.peer.call('net.connect', ['::1', server.port])).toBe('E_POLICY_DENY')
    expect(await net.peer.call('net.connect', ['127.0.0.1', server.port === 65535 ? 1 : server.port + 1])).toBe('E_POLICY_DENY')
    expect(net.dialled.every((where) => where === `127.0.0.1:${server.port}`)).toBe(true)
  })

  test('what is no host at all is denied and recorded like any other', async () => {
    const net = await netWorld({ connect: WIDEST })
    for (const host of [
      '',
      ' ',
      'a b',
      'a@127.0.0.1',
      '127.0.0.1:80',
      '[::1',
      '::1%eth0',
      '[fe80::1%25eth0]',
      'a..b',
      '%31%32%37.0.0.1',
      'a\u0000.example',
      'a/b',
      'a\\b',
      '-'.repeat(64),
    ])
      expect(await net.peer.call('net.connect', [host, server.port]), JSON.stringify(host)).toMatch(/^E_/)
    expect([net.dialled, server.connections.length]).toEqual([[], 0])
  })
})

describe('names', () => {
  test('that resolve to any of these are not followed', async () => {
    let answer = ''
    const net = await netWorld({ connect: ['dns:evil.example:*'], answers: { 'evil.example': () => [answer] } })
    for (const host of [...LOOPBACK, ...UNSPECIFIED, ...NEVER, ...NON_GLOBAL]) {
      answer = host.replace(/^\[|\]$/g, '')
      await refusedByBoth(net, 'evil.example', server.port)
      expect([net.dialled, server.connections.length], host).toEqual([[], 0])
    }
  })

  test.each([
    'localhost',
    'LOCALHOST',
    'localhost.',
    'foo.localhost',
    'metadata.google.internal',
    'metadata',
    'instance-data.ec2.internal',
    'ip6-localhost',
  ])('%s: allowed by name, refused by address', async (host) => {
    const names = ['localhost', 'foo.localhost', 'metadata.google.internal', 'metadata', 'instance-data.ec2.internal', 'ip6-localhost']
    const answer = (name: string): string[] =>
      name.startsWith('ip6') ? ['::1'] : name.endsWith('localhost') ? ['127.0.0.1'] : ['169.254.169.254']
    const answers = Object.fromEntries(names.map((name) => [name, answer(name)]))
    const net = await netWorld({ connect: [...WIDEST, ...names.map((name) => `dns:${name}:*`).filter(loads)], answers })
    await refusedByBoth(net, host, server.port)
    expect([net.dialled, server.connections.length]).toEqual([[], 0])
  })

  test('mixed answers: only those that are vetted are dialled, and each that is not is on record', async () => {
    // 127.0.0.1 stands in for the public address: a literal rule opens it here.
    const connect = [`dns:mixed.example:${server.port}`, `ip:127.0.0.1:${server.port}`]
    const net = await netWorld({
      connect,
      answers: { 'mixed.example': ['10.0.0.1', '169.254.169.254', '127.0.0.1', '192.168.0.1', '::1'] },
    })
    expect(await net.peer.call('net.connect', ['mixed.example', server.port])).toEqual([expect.any(Number), '127.0.0.1'])
    expect(net.dialled).toEqual([`127.0.0.1:${server.port}`])
    const denied = net.world.appended.flatMap((record) => (record.type === 'DENY' ? [record.reason] : []))
    expect(denied.length).toBeGreaterThan(0)
    // What was opened although it is not global stands in the log before it was dialled.
    expect(
      net.world.appended.some((record) => record.type === 'LOOK' && record.counts[0]?.object.includes(`ip:127.0.0.1:${server.port}`)),
    ).toBe(true)
  })

  test('an answer that changes between check and dial changes nothing: asked once, and what was vetted is dialled', async () => {
    let asked = 0
    const connect = [`dns:rebind.example:${server.port}`, `ip:127.0.0.1:${server.port}`]
    const net = await netWorld({ connect, answers: { 'rebind.example': () => (asked++ === 0 ? ['127.0.0.1'] : ['127.0.0.2']) } })
    expect(await net.peer.call('net.connect', ['rebind.example', server.port])).toEqual([expect.any(Number), '127.0.0.1'])
    expect([asked, net.dialled]).toEqual([1, [`127.0.0.1:${server.port}`]])
    // The second time it is decided again.
    expect(await net.peer.call('net.connect', ['rebind.example', server.port])).toBe('E_POLICY_DENY')
    expect([asked, net.dialled.length]).toEqual([2, 1])
  })

  test('the same for fetch: the connection goes where was vetted, whatever the resolver says later', async () => {
    const hits: string[] = []
    const http = createServer((request, response) => {
      hits.push(`${request.headers.host}`)
      response.end('ok')
    })
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
    const { port } = http.address() as AddressInfo
    let asked = 0
    const net = await netWorld({
      connect: [`dns:rebind.example:${port}`, `ip:127.0.0.1:${port}`],
      answers: { 'rebind.example': () => (asked++ === 0 ? ['127.0.0.1'] : ['127.0.0.2']) },
    })
    expect((await net.peer.call('net.fetch', ['GET', url('rebind.example', port), [], null, 0, 2000, 0, 0, null]))[0]).toBe(200)
    expect([asked, net.dialled, hits]).toEqual([1, [`127.0.0.1:${port}`], [`rebind.example:${port}`]])
    await net.session.end()
    http.closeAllConnections()
    http.close()
  })

  test('a name no rule allows is not even looked up', async () => {
    const net = await netWorld({ connect: ['dns:good.example:443'], answers: { 'other.example': ['127.0.0.1'] } })
    for (const [host, port] of [
      ['other.example', 443],
      ['good.example', 80],
      ['xgood.example', 443],
      ['good.example.evil.example', 443],
    ] as const) {
      expect(await net.peer.call('net.connect', [host, port])).toBe('E_POLICY_DENY')
      expect(await net.peer.call('net.fetch', ['GET', url(host, port), [], null, 0, 2000, 0, 0, null])).toBe('E_POLICY_DENY')
    }
    expect([net.resolved, net.dialled]).toEqual([[], []])
  })

  test('a name without an address', async () => {
    const net = await netWorld({
      connect: ['dns:empty.example:*', 'dns:junk.example:*'],
      answers: { 'junk.example': ['not an address', 'fe80::1%eth0', ''] },
    })
    for (const host of ['empty.example', 'junk.example']) expect(await net.peer.call('net.connect', [host, 443])).toBe('E_UPSTREAM')
    expect(net.dialled).toEqual([])
  })
})

describe('a public address of the gate’s own machine', () => {
  const own = '93.184.216.99'
  const isOwnAddress = async (address: string) => address === own
  const answers = { 'home.example': [own], 'both.example': [own, '127.0.0.1'] }

  test('is no host a name leads to: denied by its address, and never dialled', async () => {
    const net = await netWorld({ connect: ['dns:home.example:*'], answers, isOwnAddress })
    await refusedByBoth(net, 'home.example', server.port)
    expect([net.dialled, server.connections.length]).toEqual([[], 0])
    const denied = net.world.appended.flatMap((record) => (record.type === 'DENY' ? [record.reason] : []))
    expect(denied).toContainEqual(expect.stringContaining(`ip:${own}:${server.port}`))
  })

  test('others of the same name are dialled', async () => {
    const net = await netWorld({ connect: ['dns:both.example:*', `ip:127.0.0.1:${server.port}`], answers, isOwnAddress })
    expect(await net.peer.call('net.connect', ['both.example', server.port])).toEqual([expect.any(Number), '127.0.0.1'])
    expect(net.dialled).toEqual([`127.0.0.1:${server.port}`])
  })

  test.each(['ip:93.184.216.99:*', 'ip:93.184.216.0/24:*'])('is opened by %s', async (rule) => {
    const net = await netWorld({ connect: ['dns:home.example:*', rule], answers, isOwnAddress })
    // Vetted and dialled, where the test's own fence stops it.
    expect(await net.peer.call('net.connect', ['home.example', server.port])).toBe('E_INTERNAL')
    expect(net.dialled).toEqual([`${own}:${server.port}`])
  })

  test('a machine that cannot say whose an address is dials it for nobody', async () => {
    const unknown = () => Promise.reject(new Error('no descriptors are left'))
    const net = await netWorld({ connect: ['dns:home.example:*'], answers, isOwnAddress: unknown })
    expect(await net.peer.call('net.connect', ['home.example', server.port])).toBe('E_UPSTREAM')
    expect(net.dialled).toEqual([])
  })
})

describe('what the operator maps', () => {
  test('counts as the rule for that address, on that name’s ports', async () => {
    const net = await netWorld({ connect: [`dns:mine.example:${server.port}`], hosts: { 'mine.example': '127.0.0.1' } })
    expect(await net.peer.call('net.connect', ['mine.example', server.port])).toEqual([expect.any(Number), '127.0.0.1'])
    const other = server.port === 65535 ? 1 : server.port + 1
    for (const host of ['mine.example', '127.0.0.1']) expect(await net.peer.call('net.connect', [host, other])).toBe('E_POLICY_DENY')
    expect(await net.peer.call('net.connect', ['127.0.0.2', server.port])).toBe('E_POLICY_DENY')
    expect(net.resolved).toEqual([])
  })
})

describe('a token that says less than the policy', () => {
  test('refuses the address of a name it allows', async () => {
    const connect = [`dns:a.example:${server.port}`, `dns:b.example:${server.port}`, `ip:127.0.0.1:${server.port}`]
    const net = await netWorld({
      connect,
      answers: { 'a.example': ['127.0.0.1'] },
      token: (world) =>
        world.capability.mint({ net: { connect: [`dns:a.example:${server.port}`] } }, { notBefore: 0, expires: 253402300799999 }),
    })
    expect(await net.peer.call('net.connect', ['b.example', server.port])).toBe('E_CAP_SCOPE')
    expect(await net.peer.call('net.connect', ['a.example', server.port])).toBe('E_CAP_SCOPE')
    expect([net.dialled, server.connections.length]).toEqual([[], 0])
  })
})
