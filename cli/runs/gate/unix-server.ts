import { chmodSync, existsSync, unlinkSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import type { Transport } from '@authority/kernel/gate'
import { BunTransport } from '../../machine/transport-bun.ts'
import { CliError } from '../errors.ts'

/** Clients one socket serves at a time. */
const MAX_CLIENTS = 64
/** Bytes of a unix socket's path (sun_path less its final NUL). */
export const MAX_SOCKET_PATH = 107

export interface UnixServer {
  stop(): void
}

/** Listens on a unix socket, mode 0600. Throws CliError `usage` when the path is taken or too long. */
export function listenUnix(path: string, onClient: (transport: Transport, number: number) => void): UnixServer {
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH)
    throw new CliError(
      'usage',
      `the socket path ${path} is longer than ${MAX_SOCKET_PATH} bytes`,
      'choose a shorter one, for example under /tmp in a folder of your own',
    )
  if (existsSync(path))
    throw new CliError(
      'usage',
      `there is something at ${path} already`,
      'another gate may be using it; remove it if not, or choose another --socket',
    )
  let clients = 0
  let serial = 0
  const mask = process.umask(0o177)
  try {
    const server = Bun.listen<BunTransport>({
      unix: path,
      socket: {
        binaryType: 'uint8array',
        open(socket) {
          const transport = new BunTransport(socket)
          clients += 1
          if (clients > MAX_CLIENTS) return transport.close()
          serial += 1
          onClient(transport, serial)
        },
        data: (socket, chunk) => socket.data?.received(chunk),
        drain: (socket) => socket.data?.drained(),
        close(socket) {
          clients -= 1
          socket.data?.ended()
        },
        // A handler threw: what this client sent or was sent is not known any more.
        error(socket) {
          socket.terminate()
          socket.data?.ended()
        },
      },
    })
    chmodSync(path, 0o600)
    return {
      stop: () => {
        server.stop(true)
        if (existsSync(path)) unlinkSync(path)
      },
    }
  } catch (cause) {
    throw new CliError(
      'io',
      `cannot listen on ${basename(path)} in ${dirname(path)}: ${(cause as Error).message}`,
      'is the folder there, and yours?',
      { cause },
    )
  } finally {
    process.umask(mask)
  }
}
