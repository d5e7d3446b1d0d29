/**
 * A hostile resolver and the servers it would lead to, at their true addresses. Runs as root of a network and a mount namespace of its own, which
 * cli/acceptance/network-rebinding.test.ts makes. argv: system | servers | https, and a folder for files. Prints one JSON object: what each connection came to, and each server's own log.
 */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { createServer as createHttps } from 'node:https'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Answer } from 'dns-packet'
import { greeted } from '../../../gate/testing/serve.ts'
import { makeWorld } from '../../../gate/testing/world.ts'
import { createResolver, netEffects, type ResolverChoice } from '../index.ts'
import { AUTHORITY, SERVER } from './certificates.ts'
import { answering, askedOf, type DnsAsked, dnsServer } from './dns-server.ts'

const PORT = 8000
const GOOD = '93.184.216.34'
/** Each has a server of its own here. */
const FORBIDDEN = ['127.0.0.1', '10.9.8.7', '192.168.1.1', '100.64.0.1', '169.254.169.254', '100.100.100.200', '::1', 'fd00::1'] as const

const four = (name: string, data: string): Answer => ({ type: 'A', name, data, ttl: 0 })
const six = (name: string, data: string): Answer => ({ type: 'AAAA', name, data, ttl: 0 })
const alias = (name: string, data: string): Answer => ({ type: 'CNAME', name, data, ttl: 0 })

/** What the resolver says to the first, second… question of each type about a name; the last goes on. */
const LIES: Readonly<Record<string, readonly (readonly Answer[])[]>> = {
  'good.attack.example': [[four('good.attack.example', GOOD)]],
  'later.attack.example': [[four('later.attack.example', GOOD)], [four('later.attack.example', '127.0.0.1')]],
  'before.attack.example': [[four('before.attack.example', '10.9.8.7')], [four('before.attack.example', GOOD)]],
  'mixed.attack.example': [
    ['10.9.8.7', '169.254.169.254', GOOD, '127.0.0.1']
      .map((address) => four('mixed.attack.example', address))
      .concat([six('mixed.attack.example', '::1'), six('mixed.attack.example', 'fd00::1')]),
  ],
  'private.attack.example': [[four('private.attack.example', '192.168.1.1'), four('private.attack.example', '100.64.0.1')]],
  'metadata.attack.example': [[four('metadata.attack.example', '169.254.169.254'), four('metadata.attack.example', '100.100.100.200')]],
  'loopback.attack.example': [[four('loopback.attack.example', '127.0.0.1'), six('loopback.attack.example', '::1')]],
  'zero.attack.example': [[four('zero.attack.example', '0.0.0.0'), six('zero.attack.example', '::')]],
  'mapped.attack.example': [
    ['::ffff:127.0.0.1', '::ffff:10.9.8.7', '64:ff9b::a00:1', '2002:7f00:1::'].map((address) => six('mapped.attack.example', address)),
  ],
  'alias.attack.example': [[alias('alias.attack.example', 'localhost'), four('localhost', '127.0.0.1'), six('localhost', '::1')]],
  'inside.attack.example': [[alias('inside.attack.example', 'db.corp.example'), four('db.corp.example', '10.9.8.7')]],
  'cut.attack.example': [[four('cut.attack.example', '10.9.8.7')]],
}

const counts = new Map<string, number>()
function lie(asked: DnsAsked): readonly Uint8Array[] {
  const name = asked.name.toLowerCase()
  const turns = LIES[name]
  if (turns === undefined) return [answering(asked, [], { flags: 0x0183 })]
  if (name.startsWith('cut') && asked.over === 'udp') return [answering(asked, [], { flags: 0x0380 })]
  const turn = counts.get(`${name} ${asked.type}`) ?? 0
  counts.set(`${name} ${asked.type}`, turn + 1)
  const answers = turns[Math.min(turn, turns.length - 1)] ?? []
  return [
    answering(
      asked,
      answers.filter(({ type }) => type === asked.type || type === 'CNAME'),
    ),
  ]
}

/** Every address is this machine's, and its own resolver is the hostile one. */
function furnish(folder: string): void {
  run('ip', 'link', 'set', 'lo', 'up')
  for (const address of [GOOD, ...FORBIDDEN])
    if (address !== '127.0.0.1' && address !== '::1')
      run('ip', 'addr', 'add', ...(address.includes(':') ? [`${address}/128`, 'nodad'] : [`${address}/32`]), 'dev', 'lo')
  const files = { 'resolv.conf': 'nameserver 127.0.0.1\noptions timeout:2 attempts:1\n', 'nsswitch.conf': 'hosts: files dns\n' }
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(folder, name), content)
    run('mount', '--bind', join(folder, name), join('/etc', name))
  }
}

function run(command: string, ...args: string[]): void {
  const ran = spawnSync(command, args, { encoding: 'utf8' })
  if (ran.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${ran.error ?? ran.stderr}`)
}

/** A server that answers whoever comes, before it is asked, and remembers them. */
async function greeting(address: string): Promise<string[]> {
  const log: string[] = []
  const server = createServer((socket: Socket) => {
    log.push(`${socket.remoteAddress}`)
    socket.on('error', () => undefined).end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(PORT, address, resolve))
  return log
}

async function choiceOf(kind: string): Promise<ResolverChoice> {
  await dnsServer(lie, 53)
  if (kind === 'system') return { kind }
  if (kind === 'servers') return { kind, servers: [{ address: '127.0.0.1', port: 53 }] }
  const https = createHttps(SERVER, (request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      response.writeHead(200, { 'content-type': 'application/dns-message' })
      response.end(lie(askedOf(Buffer.concat(parts), 'https'))[0])
    })
  })
  await new Promise<void>((resolve) => https.listen(8443, '127.0.0.1', resolve))
  return { kind: 'https', url: 'https://good.example:8443/dns-query', address: '127.0.0.1' }
}

if (import.meta.main) {
  const [kind = 'system', folder = '.'] = process.argv.slice(2)
  furnish(folder)
  const choice = await choiceOf(kind)
  const good = await greeting(GOOD)
  const forbidden = Object.fromEntries(await Promise.all(FORBIDDEN.map(async (address) => [address, await greeting(address)] as const)))
  const world = await makeWorld({
    policy: { version: '1.0', net: { connect: [`dns:*.attack.example:${PORT}`] } },
    effects: netEffects({ resolve: createResolver(choice, [AUTHORITY]), hosts: new Map() }),
  })
  const { peer } = await greeted(world)
  const outcomes: Record<string, unknown[]> = {}
  for (const name of Object.keys(LIES)) {
    outcomes[name] = []
    for (let turn = 0; turn < 2; turn++) {
      const connected = await peer.call('net.connect', [name, PORT])
      const fetched = await peer.call('net.fetch', ['GET', `http://${name}:${PORT}/`, [], null, 0, 2000, 0, 0, null])
      outcomes[name].push(typeof connected === 'string' ? connected : connected[1], typeof fetched === 'string' ? fetched : 'answered')
    }
  }
  const denied = world.appended.filter(({ type }) => type === 'DENY').length
  process.stdout.write(JSON.stringify({ outcomes, good: good.length, forbidden, denied }))
  world.close()
  process.exit(0)
}
