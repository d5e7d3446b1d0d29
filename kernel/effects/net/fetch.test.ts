import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { netEffects } from './index.ts'
import { FakeSession, permitAll } from './testing/fake-session.ts'

let server: Server
let port: number
let seen: string[]

beforeEach(async () => {
  seen = []
  server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers.host}`)
    if (request.url === '/loop') response.writeHead(302, { location: '/loop' }).end()
    else if (request.url === '/to-forbidden') response.writeHead(302, { location: `http://forbidden.example:${port}/secret` }).end()
    else if (request.url === '/big') response.end(Buffer.alloc(200_000, 'x'))
    else response.end('hello')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  port = (server.address() as AddressInfo).port
})

afterEach(() => new Promise((resolve) => server.close(resolve)))

function fetchEffect() {
  const effects = netEffects({ resolve: () => Promise.resolve([]), hosts: new Map([['records.example', '127.0.0.1']]) })
  const found = effects.find((effect) => effect.operation === 'net.fetch')
  if (found === undefined) throw new Error('no net.fetch')
  return found
}

const args = (path: string, maxBytes = 0) => ['GET', `http://records.example:${port}${path}`, [], null, maxBytes, 5000, 3, 0, null] as const

test('a mapped name is dialled at the mapped address, with its own host header', async () => {
  const session = new FakeSession()
  const effect = fetchEffect().prepare(args('/x?secret=1'), session)
  expect(effect.requested).toEqual([{ action: 'net.connect', object: `dns:records.example:${port}` }])
  expect(effect.requestedText).toBe(`GET http://records.example:${port}/x?…`)
  const permit = permitAll()
  const { result } = await effect.execute(permit)
  expect(result[0]).toBe(200)
  expect((await session.read(Number(result[3]))).toString()).toBe('hello')
  expect(seen).toEqual([`GET /x?secret=1 records.example:${port}`])
})

test('a redirect to a host no rule allows is decided again and never dialled', async () => {
  const session = new FakeSession()
  const permit = permitAll({ deny: (object) => object.includes('forbidden') })
  await expect(fetchEffect().prepare(args('/to-forbidden'), session).execute(permit)).rejects.toMatchObject({ code: 'E_POLICY_DENY' })
  expect(seen).toEqual([`GET /to-forbidden records.example:${port}`])
})

test('redirects end at the cap with the last answer', async () => {
  const session = new FakeSession()
  const { result } = await fetchEffect().prepare(args('/loop'), session).execute(permitAll())
  expect(result[0]).toBe(302)
  expect(seen.length).toBe(4)
})

test('a body beyond the cap is cut with an error, not delivered as if whole', async () => {
  const session = new FakeSession()
  const { result } = await fetchEffect().prepare(args('/big', 100_000), session).execute(permitAll())
  await expect(session.read(Number(result[3]))).rejects.toMatchObject({ code: 'E_FRAME_TOO_LARGE' })
})
