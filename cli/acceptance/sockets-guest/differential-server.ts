/** The far end of operations.c: echoes, ends and resets as it is told, and remembers how each connection went. */
import { createHash } from 'node:crypto'
import { createServer, type Socket } from 'node:net'
import { freePort, listen } from '../network-guest/world.ts'

const HEAD = 5
const RESET_HERE = 'reset by the server'
/** ms in which the last connections must be over once the program is. */
const OVER_MS = 20_000
/** ms a server that was told to be slow waits between two reads. */
const SLOW_MS = 500

export interface DifferentialServer {
  readonly port: number
  readonly closedPort: number
  /** What was seen of each connection, once that many are over, or nothing more is to be expected. */
  over(connections: number): Promise<ReadonlyMap<number, string>>
}

export async function openServer(): Promise<DifferentialServer> {
  const seen = new Map<number, string>()
  const open = new Set<Socket>()
  let onOver: () => void = () => undefined
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    open.add(socket)
    serve(socket, (number, how) => {
      open.delete(socket)
      seen.set(number, how)
      onOver()
    })
  })
  const port = await listen(server, 0, '127.0.0.1')
  return {
    port,
    closedPort: await freePort(),
    over: async (connections) => {
      const all = new Promise<void>((resolve) => {
        onOver = () => seen.size >= connections && resolve()
        onOver()
      })
      await Promise.race([all, new Promise((resolve) => setTimeout(resolve, OVER_MS).unref())])
      server.close()
      for (const socket of open) socket.destroy()
      return new Map(seen)
    },
  }
}

function serve(socket: Socket, over: (number: number, how: string) => void): void {
  const hash = createHash('sha256')
  let [number, total, ended, how] = [0, 0, false, 'closed without an end']
  let pending = Buffer.alloc(0)
  let slow = false
  const end = (): void => {
    if (!ended) socket.end()
    ended = true
  }
  const take = (kind: string, length: number, bytes: Buffer): void => {
    if (kind === 'i') number = length
    else if (kind === 'f') end()
    else if (kind === 'z') slow = true
    else if (kind === 'e' && !ended) socket.write(bytes)
    else if (kind === 'r') {
      how = RESET_HERE
      socket.resetAndDestroy()
    }
  }
  socket.on('data', (data: Buffer) => {
    if (slow) {
      socket.pause()
      setTimeout(() => socket.resume(), SLOW_MS)
    }
    hash.update(data)
    total += data.length
    pending = Buffer.concat([pending, data])
    for (;;) {
      if (pending.length < HEAD) return
      const [kind, length] = [String.fromCharCode(pending[0] ?? 0), pending.readUInt32BE(1)]
      const size = kind === 'i' ? 0 : length
      if (pending.length < HEAD + size) return
      take(kind, length, pending.subarray(HEAD, HEAD + size))
      pending = pending.subarray(HEAD + size)
    }
  })
  socket.on('end', () => {
    how = 'ended'
    end()
  })
  socket.on('error', (error: NodeJS.ErrnoException) => {
    if (how !== RESET_HERE) how = error.code ?? 'error'
  })
  socket.on('close', () => over(number, `${how} after ${total} bytes ${hash.digest('hex').slice(0, 16)}`))
}
