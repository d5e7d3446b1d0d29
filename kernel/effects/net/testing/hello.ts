import { createServer } from 'node:net'
import { connect } from 'node:tls'

/** What this runtime's own TLS client sends first, for a server of this name; '' for none. */
export async function tls(servername: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.once('data', (data) => {
        socket.destroy()
        server.close()
        resolve(Buffer.from(data))
      })
    }).listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      connect({ host: '127.0.0.1', port, ...(servername === '' ? {} : { servername }) }).on('error', () => undefined)
    })
    server.on('error', reject)
  })
}
