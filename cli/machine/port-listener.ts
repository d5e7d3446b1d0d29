import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AuthorityError } from '@authority/protocol'
import type { UnixSocketListener } from 'bun'
import { MAX_SOCKET_PATH_BYTES } from './limits.ts'
import { BunTransport } from './transport-bun.ts'

/** Adapter: a unix socket that takes exactly one connection and is then gone from the file system. */

export interface PortListener {
  readonly path: string
  /** The one connection. Never rejects; the caller holds the deadline. */
  readonly connected: Promise<BunTransport>
  /** Stops listening and removes the path; harmless when done already. */
  stop(): void
}

export function listenOnce(path: string): PortListener {
  let listener: UnixSocketListener<BunTransport> | null = null
  let taken = false
  let resolve: (transport: BunTransport) => void = () => {}
  const connected = new Promise<BunTransport>((done) => {
    resolve = done
  })
  const stop = () => {
    listener?.stop(false)
    listener = null
    rmSync(path, { force: true })
  }
  try {
    listener = Bun.listen<BunTransport>({
      unix: path,
      socket: {
        binaryType: 'uint8array',
        open(socket) {
          // A second one slipped into the backlog: it gets nothing.
          if (taken) return void socket.terminate()
          taken = true
          stop()
          resolve(new BunTransport(socket))
        },
        data: (socket, chunk) => socket.data?.received(chunk),
        drain: (socket) => socket.data?.drained(),
        close: (socket) => socket.data?.ended(),
        error: (socket) => socket.data?.ended(),
      },
    })
  } catch (cause) {
    throw new AuthorityError('E_IO', `cannot listen on ${path}`, { hint: 'is there space, and may this user write there?', cause })
  }
  // Bun creates it 0755; the folder is 0700 all the same.
  chmodSync(path, 0o600)
  return { path, connected, stop }
}

/** A fresh 0700 folder for sockets in `preferred`, or in the system's temporary folder when the path would not fit a socket address. */
export function socketFolder(preferred: string, longestName: number): string {
  const fits = Buffer.byteLength(join(preferred, 'vm-XXXXXX')) + 1 + longestName <= MAX_SOCKET_PATH_BYTES
  return mkdtempSync(join(fits ? preferred : tmpdir(), fits ? 'vm-' : 'authority-vm-'))
}
