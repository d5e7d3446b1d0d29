/**
 * A hostile resolver and the servers it would lead to, at their true addresses. Runs as root of a network and a mount namespace of its own, which
 * cli/acceptance/network-rebinding.test.ts makes. argv: system | servers | https, a folder for files and,
 * for random lies instead of the chosen ones, their seed and number. Prints one JSON object: what each connection came to, and each server's own log.
 */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { createServer as createHttps } from 'node:https'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { greeted } from '../../../gate/testing/serve.ts'
import { makeWorld } from '../../../gate/testing/world.ts'
import { createResolver, netEffects, type ResolverChoice } from '../index.ts'
import { AUTHORITY, SERVER } from './certificates.ts'
import { answering, askedOf, type DnsAsked, dnsServer } from './dns-server.ts'
import { CHOSEN_LIES, FORBIDDEN, GOOD, type Lies, randomLies } from './rebinding-lies.ts'

const PORT = 8000

const counts = new Map<string, number>()
let lies: Lies = CHOSEN_LIES
function lie(asked: DnsAsked): readonly Uint8Array[] {
  const name = asked.name.toLowerCase()
  const turns = lies[name]
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
  const [kind = 'system', folder = '.', seed, count] = process.argv.slice(2)
  if (seed !== undefined) lies = randomLies(Number(seed), Number(count))
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
  for (const name of Object.keys(lies)) {
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
