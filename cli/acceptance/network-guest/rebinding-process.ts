/**
 * A hostile resolver before the compiled gate, and the servers it would lead to, at their true addresses, in a private network. argv: system | servers | https, a
 * folder for files and, for random lies instead of the chosen ones, their seed and number. Prints one JSON object: what each connection came to, and each server's own log.
 */
import { writeFileSync } from 'node:fs'
import { createServer as createHttps } from 'node:https'
import { join } from 'node:path'
import { AUTHORITY, SERVER } from '@authority/kernel/effects/net/certificates'
import { CHOSEN_LIES, GOOD, type Lies, randomLies } from '@authority/kernel/effects/net/rebinding'
import { answering, askedOf, type DnsAsked, dnsServer } from '../../../kernel/effects/net/testing/dns-server.ts'
import { GateClient } from '../gate-client.ts'
import { forbiddenServers, furnish, greeting, openGate } from './private-network.ts'

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

/** The flag that makes the gate ask this kind of resolver. */
async function resolverFlags(kind: string, folder: string): Promise<readonly string[]> {
  await dnsServer(lie, 53)
  if (kind === 'system') return []
  if (kind === 'servers') return ['--resolver', '127.0.0.1:53']
  const https = createHttps(SERVER, (request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      response.writeHead(200, { 'content-type': 'application/dns-message' })
      response.end(lie(askedOf(Buffer.concat(parts), 'https'))[0])
    })
  })
  await new Promise<void>((resolve) => https.listen(8443, '127.0.0.1', resolve))
  const ca = join(folder, 'ca.pem')
  writeFileSync(ca, AUTHORITY)
  return ['--resolver', 'https://good.example:8443/dns-query=127.0.0.1', '--ca', ca]
}

const [kind = 'system', folder = '.', seed, count] = process.argv.slice(2)
if (seed !== undefined) lies = randomLies(Number(seed), Number(count))
furnish(folder)
const flags = await resolverFlags(kind, folder)
const good = await greeting(GOOD, PORT)
const forbidden = await forbiddenServers(PORT)
const gate = await openGate(folder, { connect: [`dns:*.attack.example:${PORT}`] }, flags)
const outcomes: Record<string, unknown[]> = {}
for (const name of Object.keys(lies)) {
  // Its own: a session has a bound of streams.
  const client = await GateClient.connect(gate.socket)
  outcomes[name] = []
  for (let turn = 0; turn < 2; turn++) {
    const connected = await client.call('net.connect', [name, PORT])
    const fetched = await client.call('net.fetch', ['GET', `http://${name}:${PORT}/`, [], null, 0, 5000, 0, 0, null])
    outcomes[name].push(typeof connected === 'string' ? connected : connected[1], typeof fetched === 'string' ? fetched : 'answered')
  }
  client.close()
}
const { records, verified } = await gate.end()
const denied = records.filter(({ type }) => type === 'DENY').length
process.stdout.write(JSON.stringify({ outcomes, good: good.length, forbidden, denied, verified }))
process.exit(0)
