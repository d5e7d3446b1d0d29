import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import { createServer as createSecure } from 'node:https'
import type { AddressInfo } from 'node:net'

export interface HttpWitness {
  readonly port: number
  /** `METHOD url host` of every request. */
  readonly seen: string[]
  readonly requests: { readonly headers: IncomingMessage['headers']; readonly rawHeaders: readonly string[]; body: string }[]
  close(): Promise<void>
}

/** An HTTP server on loopback that keeps its own log. */
export async function httpWitness(answer: RequestListener, tls?: { readonly key: string; readonly cert: string }): Promise<HttpWitness> {
  const seen: string[] = []
  const requests: HttpWitness['requests'] = []
  const listener: RequestListener = (request, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers.host}`)
    const entry = { headers: request.headers, rawHeaders: request.rawHeaders, body: '' }
    requests.push(entry)
    request.on('data', (data: Buffer) => {
      entry.body += data.toString('latin1')
    })
    request.on('error', () => undefined)
    answer(request, response)
  }
  const server: Server = tls === undefined ? createServer(listener) : createSecure(tls, listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    seen,
    requests,
    close: () => {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}
