/** The outside the network tests reach: servers on loopback, which the names of the tests are mapped to. */
import { createHash } from 'node:crypto'
import { createServer as createWeb, type Server as WebServer } from 'node:http'
import { createServer as createTlsWeb } from 'node:https'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { newAuthority } from './certificates.ts'

/** An address of loopback that nobody else listens on. */
export const TLS_ADDRESS = '127.83.4.1'
export const BIG = Buffer.alloc(8 << 20, 'authority')

export interface World {
  readonly web: number
  readonly echo: number
  readonly closed: number
  /** Of the authority that signed the TLS server. */
  readonly authority: string
  /** What each server was sent. */
  readonly witness: { connections: number; tlsRequests: number }
  close(): void
}

export async function openWorld(folder: string): Promise<World> {
  const witness = { connections: 0, tlsRequests: 0 }
  const sockets = new Set<Socket>()
  const web = createWeb((request, response) => {
    if (request.url === '/big') return void response.end(BIG)
    if (request.url !== '/digest') return void response.end(`hello ${request.headers.host?.split(':')[0]}`)
    const hash = createHash('sha256')
    request.on('data', (data) => hash.update(data)).on('end', () => response.end(hash.digest('hex')))
  })
  const echo = createServer({ allowHalfOpen: true }, (socket) => {
    witness.connections += 1
    socket.on('error', () => undefined)
    socket.on('data', (data) => (data.toString() === 'reset' ? socket.resetAndDestroy() : socket.write(data)))
    socket.on('end', () => socket.end(', heard'))
  })
  const authority = newAuthority(folder, 'authority')
  const tls = createTlsWeb(authority.issue('tls.test', 'other.test'), (_request, response) => {
    witness.tlsRequests += 1
    response.end('secure')
  })
  const servers: Server[] = [web as WebServer, echo, tls]
  for (const server of servers) server.on('connection', (socket: Socket) => sockets.add(socket))
  await listen(tls, 8443, TLS_ADDRESS)
  const ports = { web: await listen(web, 0, '127.0.0.1'), echo: await listen(echo, 0, '127.0.0.1') }
  // Last, or one of the others could be given its number.
  const closed = await freePort()
  return {
    ...ports,
    closed,
    authority: authority.pem,
    witness,
    close: () => {
      for (const server of servers) server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

export function listen(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => resolve((server.address() as AddressInfo).port))
  })
}

export async function freePort(): Promise<number> {
  const server = createServer()
  const port = await listen(server, 0, '127.0.0.1')
  await new Promise((resolve) => server.close(resolve))
  return port
}
