/** Sessions that stream request bodies, keep some rules and break others, before a real HTTP server. */
import { encodeFrame, MESSAGE } from '@authority/protocol'
import { seeded } from '../../../gate/fuzz.ts'
import type { Peer } from '../../../gate/testing/client.ts'
import { greeted, type Served } from '../../../gate/testing/serve.ts'
import { makeWorld, reserved, settle } from '../../../gate/testing/world.ts'
import { netBytes, netEffects } from '../index.ts'
import { httpWitness } from './http.ts'

type Below = (n: number) => number

const INTERNAL = 57
/** Streams each session opens at first. */
const BODIES = 8

/** Sentences about promises broken: something stays open, reserved or unrecorded, or a body that broke off arrived as a whole one. */
export async function uploadConversation(seed: number, steps: number): Promise<string[]> {
  const below = seeded(seed)
  /** Requests whose body arrived whole, as the server sees it. */
  let whole = 0
  const server = await httpWitness((request, response) => {
    const path = request.url ?? ''
    response.on('error', () => undefined)
    request.on('end', () => {
      whole += 1
    })
    if (path === '/redirect') request.on('end', () => response.writeHead(307, { location: '/other' }).end()).resume()
    else if (path === '/early') response.writeHead(413).end('no')
    else if (path === '/both') request.on('data', (data: Buffer) => void response.write(data)).on('end', () => response.end())
    else request.on('end', () => response.end('all of it')).resume()
  })
  const world = await makeWorld({
    policy: { version: '1.0', net: { connect: [`dns:up.example:${server.port}`] } },
    budgets: { bytes_out: 200_000, calls: 60 },
    effects: netEffects({ resolve: async () => [], hosts: new Map([['up.example', '127.0.0.1']]) }),
    bytes: netBytes,
  })
  const broken: string[] = []
  const must = (holds: boolean, sentence: string): void => void (holds || broken.push(`seed ${seed}: ${sentence}`))
  try {
    const served: Served[] = []
    const begin = async (): Promise<Served> => {
      const one = await greeted(world)
      served.push(one)
      for (let i = 0; i < BODIES; i++) one.peer.request('net.body', [])
      return one
    }
    const sessions = [await begin(), await begin()]
    for (let step = 0; step < steps; step++) {
      const at = below(sessions.length)
      if (below(40) === 0) await sessions[at]?.session.end()
      if (sessions[at]?.peer.transport.closed !== false) sessions[at] = await begin()
      else act(below, sessions[at].peer, server.port)
      if (below(3) === 0) await settle(1)
    }
    for (const { session } of served) await session.end()
    must(reserved(world.budget) === 0, 'something stays reserved')
    must(world.pipeline.statistics.openLeases === 0, 'a lease stays open')
    const count = (type: string): number => world.appended.filter((record) => record.type === type).length
    must(count('INTENT') === count('OUTCOME'), `${count('INTENT')} INTENT and ${count('OUTCOME')} OUTCOME records`)
    const all = served.flatMap(({ peer }) => peer.received)
    must(!all.some((message) => message.type === MESSAGE.ERROR && message.code === INTERNAL), 'a fault of ours')
    const said = world.appended.filter((record) => record.type === 'CLOSE' && record.detail.request_body === 'whole').length
    must(whole <= said, `${whole} bodies arrived as whole ones, and the log knows of ${said}`)
    const { status, findings } = (await world.sealed()).verdict
    must(status === 'intact', `the log is ${status}: ${JSON.stringify(findings)}`)
  } finally {
    await server.close()
    world.close()
  }
  return broken
}

function act(below: Below, peer: Peer, port: number): void {
  const stream = 1 + below(BODIES)
  const data = (): void => peer.send({ type: MESSAGE.STREAM_DATA, stream, data: new Uint8Array(1 + below(3000)) })
  switch (below(12)) {
    case 0:
      return void peer.request('net.body', [])
    case 1:
    case 2:
    case 3: {
      const path = ['plain', 'redirect', 'early', 'both'][below(4)]
      const host = below(8) === 0 ? 'other.example' : 'up.example'
      const length = below(3) === 0 ? below(6000) : null
      const args = ['POST', `http://${host}:${port}/${path}`, [], null, 0, below(4) === 0 ? 30 : 2000, below(3), 1 + below(BODIES), length]
      return void peer.request('net.fetch', args, { deadlineMs: below(4) === 0 ? 20 : 0 })
    }
    case 4:
    case 5:
      return peer.send({ type: MESSAGE.STREAM_END, stream })
    case 6:
      return below(3) === 0 ? peer.send({ type: MESSAGE.STREAM_RESET, stream, code: below(90), message: 'x' }) : data()
    case 7:
      return peer.send({ type: MESSAGE.CANCEL, id: 1 + below(peer.nextId) })
    case 8:
      return peer.send({ type: MESSAGE.STREAM_CREDIT, stream, bytes: 1 + below(0xffff) })
    case 9:
      return below(9) === 0 ? peer.bytes(encodeFrame(0, [below(14), below(5), null])) : data()
    default:
      return data()
  }
}
