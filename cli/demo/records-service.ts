import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const RECORDS = [
  { city: 'Bergen', celsius: 7 },
  { city: 'Porto', celsius: 19 },
  { city: 'Graz', celsius: 12 },
]

export interface RecordsService {
  readonly port: number
  /** `METHOD PATH` of every request that arrived: the witness of what was not sent. */
  readonly requests: readonly string[]
  stop(): void
}

/** The demo's HTTP peer, on a loopback port of its own. */
export async function startRecordsService(): Promise<RecordsService> {
  const requests: string[] = []
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`)
    response.setHeader('content-type', 'application/json')
    if (request.url === '/records') response.end(JSON.stringify(RECORDS))
    else response.writeHead(404).end('{}')
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  return { port: (server.address() as AddressInfo).port, requests, stop: () => server.close() }
}
