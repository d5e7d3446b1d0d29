/** The outside that programs of all kinds reach: HTTP, HTTPS with HTTP/2, WebSockets, packages; and a server nobody may reach. */
import { createServer as createWeb, type IncomingMessage, type ServerResponse, type Server as WebServer } from 'node:http'
import { createSecureServer } from 'node:http2'
import { createServer, type Server, type Socket } from 'node:net'
import { newAuthority } from './certificates.ts'
import { openPackageServers, type PackageServers } from './package-servers.ts'
import { listen } from './world.ts'

/** Addresses of loopback that nobody else listens on. */
export const TLS_ADDRESS = '127.83.4.2'
export const STRANGER_ADDRESS = '127.83.4.3'
/** One of the ports on which TLS is looked into. */
export const TLS_PORT = 8443

export interface ProgramsWorld {
  readonly web: number
  /** WebSockets, plain and within TLS, that say what they hear. */
  readonly sockets: number
  readonly secureSockets: number
  readonly forbidden: number
  /** Of the authority that signed tls.test; stranger.test has another one. */
  readonly authority: string
  readonly packages: PackageServers
  /** Connections to the forbidden server. */
  forbiddenConnections(): number
  close(): void
}

export async function openProgramsWorld(folder: string): Promise<ProgramsWorld> {
  const packages = await openPackageServers(folder)
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    if (packages.answer(request, response)) return
    const host = request.headers.host ?? request.headers[':authority']
    response.end(`hello ${String(host).split(':')[0]}, HTTP ${request.httpVersion}`)
  }
  const [known, unknown] = ['known', 'stranger'].map((name) => newAuthority(folder, name)) as [
    ReturnType<typeof newAuthority>,
    ReturnType<typeof newAuthority>,
  ]
  const certificate = known.issue('tls.test')
  const secure = (keys: typeof certificate): Server =>
    createSecureServer({ ...keys, allowHTTP1: true }, answer as unknown as Parameters<typeof createSecureServer>[1]) as unknown as Server
  let forbiddenConnections = 0
  const forbidden = createServer((socket) => {
    forbiddenConnections += 1
    socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nforbidden')
  })
  const web = createWeb(answer) as WebServer
  const [tls, stranger] = [secure(certificate), secure(unknown.issue('stranger.test'))]
  const servers: Server[] = [web, forbidden, tls, stranger]
  const open = new Set<Socket>()
  for (const server of servers) server.on('connection', (socket: Socket) => open.add(socket))
  await listen(tls, TLS_PORT, TLS_ADDRESS)
  await listen(stranger, TLS_PORT, STRANGER_ADDRESS)
  const [plain, encrypted] = [echo('127.0.0.1'), echo(TLS_ADDRESS, certificate)]
  return {
    web: await listen(web, 0, '127.0.0.1'),
    forbidden: await listen(forbidden, 0, '127.0.0.1'),
    sockets: plain.port ?? 0,
    secureSockets: encrypted.port ?? 0,
    authority: known.pem,
    packages,
    forbiddenConnections: () => forbiddenConnections,
    close: () => {
      for (const server of servers) server.close()
      for (const socket of open) socket.destroy()
      for (const server of [plain, encrypted]) void server.stop(true)
    },
  }
}

function echo(hostname: string, tls?: { readonly key: Buffer; readonly cert: Buffer }) {
  return Bun.serve({
    hostname,
    port: 0,
    ...(tls === undefined ? {} : { tls: { key: tls.key, cert: tls.cert } }),
    fetch: (request, server) => (server.upgrade(request) ? undefined : new Response('not a WebSocket', { status: 400 })),
    websocket: { message: (socket, message) => void socket.send(`heard ${message}`) },
  })
}
