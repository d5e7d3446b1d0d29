/** The outside the network tests reach: servers on loopback, which the names of the tests are mapped to. */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer as createWeb, type Server as WebServer } from 'node:http'
import { createServer as createTlsWeb } from 'node:https'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'

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
  const { key, cert, authority } = certificates(folder)
  const tls = createTlsWeb({ key, cert }, (_request, response) => {
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
    authority,
    witness,
    close: () => {
      for (const server of servers) server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

function listen(server: Server, port: number, host: string): Promise<number> {
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

/** A fresh authority and a certificate of it for tls.test and other.test, as strict as Python 3.13 wants them (RFC 5280: key usage, key identifiers). */
function certificates(folder: string): { key: Buffer; cert: Buffer; authority: string } {
  const at = (name: string): string => join(folder, name)
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const uses = ['-addext', 'keyUsage=critical,keyCertSign,cRLSign']
  openssl('req', '-x509', ...curve, ...uses, '-keyout', at('ca.key'), '-out', at('ca.pem'), '-days', '2', '-subj', '/CN=authority tests')
  openssl('req', ...curve, '-keyout', at('server.key'), '-out', at('server.csr'), '-subj', '/CN=tls.test')
  writeFileSync(at('names'), 'subjectAltName=DNS:tls.test,DNS:other.test\nauthorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n')
  const signer = ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial', '-extfile', at('names')]
  openssl('x509', '-req', '-in', at('server.csr'), '-out', at('server.pem'), '-days', '2', ...signer)
  return { key: readFileSync(at('server.key')), cert: readFileSync(at('server.pem')), authority: readFileSync(at('ca.pem'), 'utf8') }
}

function openssl(...args: string[]): void {
  const run = spawnSync('openssl', args, { encoding: 'utf8' })
  if (run.status !== 0) throw new Error(`openssl ${args[0]}: ${run.stderr}`)
}
