/** Data in names: what a wildcard rule lets out, by the log of the DNS server itself. */
import { createHash } from 'node:crypto'
import { afterEach, describe, expect, test } from 'vitest'
import { greeted } from '../../gate/testing/serve.ts'
import { closeWorlds, makeWorld } from '../../gate/testing/world.ts'
import { createResolver, netEffects } from './index.ts'
import { LONG_LABEL_BYTES, MAX_RESOLVED_INFORMATION } from './limits.ts'
import { informationOf } from './name-budget.ts'
import { answering, type DnsServerUnderTest, dnsServer } from './testing/dns-server.ts'

const nobody: ReadonlySet<string> = new Set()
let server: DnsServerUnderTest | null = null
afterEach(() => {
  server?.close()
  server = null
  closeWorlds()
})

/** A run whose policy lets it reach any host below one name, with a resolver that says that none exists. */
async function tunnel() {
  const dns = await dnsServer((asked) => [answering(asked, [], { flags: 0x0183 })])
  server = dns
  const resolve = createResolver({ kind: 'servers', servers: [{ address: '127.0.0.1', port: dns.port }] }, [])
  const world = await makeWorld({
    policy: { version: '1.0', net: { connect: ['dns:*.example.com:443', 'dns:plain.test:443'] } },
    effects: netEffects({ resolve, hosts: new Map() }),
  })
  const { peer } = await greeted(world)
  return { world, peer, asked: dns.asked, heard: () => new Set(dns.asked.map(({ name }) => name.toLowerCase())) }
}

/** 32 characters of base 32, 20 bytes of somebody's data. */
const secret = (i: number): string =>
  createHash('sha256')
    .update(`${i}`)
    .digest('base64url')
    .replace(/[^A-Za-z]/g, 'a')
    .slice(0, 32)
    .toLowerCase()

describe('data in names below a wildcard', () => {
  test('a thousand queries are answered and not one reaches the DNS server', async () => {
    const { peer, heard } = await tunnel()
    for (let i = 0; i < 1000; i++) expect(await peer.call('net.dns', [`${secret(i)}.example.com`])).toBeInstanceOf(Array)
    expect(heard().size).toBe(0)
  })

  test('names that are dialled stop reaching it once they said too much; names known by then still do', async () => {
    const { world, peer, heard, asked } = await tunnel()
    const codes: unknown[] = []
    for (let i = 0; i < 400; i++) codes.push(await peer.call('net.connect', [`${secret(i)}.example.com`, 443]))
    const through = codes.filter((code) => code === 'E_UPSTREAM').length
    expect(heard().size).toBe(through)
    expect(through).toBeGreaterThan(100)
    expect(through * 20).toBeLessThan(1.5 * MAX_RESOLVED_INFORMATION)
    expect(new Set(codes.slice(through))).toEqual(new Set(['E_RATE_LIMIT']))
    const refused = peer.received.at(-1)
    expect(refused).toMatchObject({ message: expect.stringContaining(`${secret(399)}.example.com is not resolved`) })
    const recorded = world.appended.filter((record) => record.type === 'OUTCOME').at(-1)
    expect(JSON.stringify(recorded)).toContain('E_RATE_LIMIT')
    const before = asked.length
    expect(await peer.call('net.connect', [`${secret(0)}.example.com`, 443])).toBe('E_UPSTREAM')
    expect(asked.length).toBeGreaterThan(before)
  })

  test('a thousand ordinary hosts are reached', async () => {
    const { peer, heard } = await tunnel()
    const words = ['api', 'mail', 'static', 'login', 'eu-west', 'cdn', 'images', 'shop', 'status', 'docs']
    for (let i = 0; i < 1000; i++)
      expect(await peer.call('net.connect', [`${words[i % 10]}${Math.floor(i / 10)}.example.com`, 443])).toBe('E_UPSTREAM')
    expect(heard().size).toBe(1000)
  })
})

describe('what a name could carry', () => {
  test('nothing in a label of one character again and again, most in random ones, all in one that no word is as long as', () => {
    expect(informationOf('aaaaaaaa', nobody)).toBe(0)
    expect(informationOf('mail', nobody)).toBeLessThan(2)
    expect(informationOf(secret(1), nobody)).toBeGreaterThan(12)
    expect(informationOf('a'.repeat(LONG_LABEL_BYTES + 1), nobody)).toBe(LONG_LABEL_BYTES + 1)
  })

  test('is counted from the longest known name on: labels in another order are new', () => {
    const known = new Set(['b.example.com', 'example.com', 'com'])
    expect(informationOf('mail.example.com', known)).toBe(informationOf('mail', nobody))
    expect(informationOf('mail.shop.example.com', known)).toBe(informationOf('mail.shop', nobody))
    expect(informationOf('b.example.com', known)).toBe(0)
  })
})
