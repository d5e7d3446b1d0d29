import { afterEach, describe, expect, test } from 'vitest'
import { closeWorlds } from '../../gate/testing/world.ts'
import { SyntheticAddresses } from './synthetic.ts'
import { netWorld, witness } from './testing/world.ts'

afterEach(closeWorlds)

describe('net.dns', () => {
  test('names some rule could allow have a stand-in; others do not exist; nobody is asked either way', async () => {
    const net = await netWorld({ connect: ['dns:api.example.com:443', 'dns:*.wild.example:80'], dns: ['only-dns.example'] })
    for (const name of ['api.example.com', 'API.Example.COM.', 'a.wild.example', 'only-dns.example'])
      expect(await net.peer.call('net.dns', [name]), name).toEqual([[expect.stringMatching(/^198\.1[89]\./)]])
    for (const name of [
      'other.example',
      'wild.example',
      'xapi.example.com',
      'api.example.com.evil.example',
      'data-carried-out.other.example',
      '',
      'a b',
      'a'.repeat(64),
    ])
      expect(await net.peer.call('net.dns', [name]), name).toBe('E_POLICY_DENY')
    expect(net.resolved).toEqual([])
    expect(net.dialled).toEqual([])
  })

  test('the same name has the same address, in any spelling; another name another', async () => {
    const net = await netWorld({ connect: ['dns:a.example:1', 'dns:b.example:1'] })
    const [a, again, b] = [
      await net.peer.call('net.dns', ['a.example']),
      await net.peer.call('net.dns', ['A.EXAMPLE.']),
      await net.peer.call('net.dns', ['b.example']),
    ]
    expect(again).toEqual(a)
    expect(b).not.toEqual(a)
  })

  test('an address is no name, whatever a rule says of it', async () => {
    const net = await netWorld({ connect: ['ip:127.0.0.1:80'] })
    for (const name of ['127.0.0.1', '::1', '2130706433']) expect(await net.peer.call('net.dns', [name])).toBe('E_POLICY_DENY')
  })

  test('a right to resolve is no right to connect', async () => {
    const net = await netWorld({ dns: ['only-dns.example'], answers: { 'only-dns.example': ['127.0.0.1'] } })
    const [[address]] = (await net.peer.call('net.dns', ['only-dns.example'])) as [[string]]
    for (const host of ['only-dns.example', address]) expect(await net.peer.call('net.connect', [host, 443])).toBe('E_POLICY_DENY')
    expect([net.resolved, net.dialled]).toEqual([[], []])
  })

  test('a stand-in is connected to as its name; the host’s real address is dialled', async () => {
    const server = await witness()
    const net = await netWorld({ connect: [`dns:a.example:${server.port}`], hosts: { 'a.example': '127.0.0.1' } })
    const [[address]] = (await net.peer.call('net.dns', ['a.example'])) as [[string]]
    expect(await net.peer.call('net.connect', [address, server.port])).toEqual([expect.any(Number), '127.0.0.1'])
    expect(net.world.appended.find((record) => record.type === 'INTENT')).toMatchObject({ object: `dns:a.example:${server.port}` })
    expect(net.dialled).toEqual([`127.0.0.1:${server.port}`])
    await net.session.end()
    await server.close()
  })

  test('a stand-in of another run stands for nobody', async () => {
    const net = await netWorld({ connect: ['dns:a.example:80'], answers: { 'a.example': ['127.0.0.1'] } })
    expect(await net.peer.call('net.connect', ['198.18.0.1', 80])).toBe('E_POLICY_DENY')
    expect([net.resolved, net.dialled]).toEqual([[], []])
  })
})

describe('the table of stand-ins', () => {
  test('stays within 198.18.0.0/15 and ends', () => {
    const table = new SyntheticAddresses()
    let last = ''
    for (let i = 0; i < 65_536; i++) last = table.addressOf(`n${i}.example`) ?? ''
    expect(last).toMatch(/^198\.1[89]\./)
    expect(table.addressOf('one.more.example')).toBeUndefined()
    expect(table.addressOf('n7.example')).toBe('198.18.0.8')
    expect(table.nameOf('198.18.0.8')).toBe('n7.example')
  })
})
