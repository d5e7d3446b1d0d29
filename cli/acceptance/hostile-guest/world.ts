/** Host folders around a hostile run: two mounts, and canaries outside of what is granted that must never reach the guest. */

import { lstatSync, lutimesSync, mkdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { RunSpec } from '../../runs/run-spec.ts'
import { freshFolder, removeFolder } from '../vm-support.ts'

/** May be read: seeing it proves that what looks for the others would find them. */
export const GRANTED = 'CANARY-granted-2d1b6f'
const DENIED = 'CANARY-denied-9e07c4'
const OUTSIDE = 'CANARY-outside-51f3aa'
export const FORBIDDEN = [DENIED, OUTSIDE]

export interface World {
  readonly folder: string
  readonly data: string
  readonly out: string
  readonly outside: string
  readonly mounts: RunSpec['mounts']
  readonly policy: object
  /** Port of the witness server, and what reached it. */
  readonly port: number
  readonly connections: string[]
  /**
   * Files outside the mounts and files no rule grants hold what they held at first, and a link out there was never even followed: whoever resolves a path beyond its
   * mount and refuses only what comes out of it has walked the host at an agent's bidding.
   */
  untouched(): boolean
  close(): Promise<void>
}

export async function makeWorld(): Promise<World> {
  const folder = freshFolder('hostile-world-')
  const at = (...parts: string[]): string => join(folder, ...parts)
  for (const name of ['data', 'data/private', 'data/sub', 'out', 'outside', 'hops']) mkdirSync(at(name))
  writeFileSync(at('data/read.txt'), GRANTED)
  writeFileSync(at('data/private/secret.txt'), DENIED)
  writeFileSync(at('outside/secret.txt'), OUTSIDE)
  writeFileSync(at('data/big'), '')
  truncateSync(at('data/big'), 1 << 20)
  symlinkSync('../outside/secret.txt', at('data/link-file'))
  symlinkSync('../outside', at('data/link-folder'))
  symlinkSync(at('outside/secret.txt'), at('data/link-absolute'))
  symlinkSync('/proc/self/root', at('data/link-proc'))
  symlinkSync('private/secret.txt', at('data/link-denied'))
  for (const name of ['hop', 'followed']) {
    symlinkSync('../outside/secret.txt', at('hops', name))
    lutimesSync(at('hops', name), 0, 0)
  }
  symlinkSync('../hops/hop', at('data/link-hop'))
  readFileSync(at('hops/followed'))
  if (lstatSync(at('hops/followed')).atimeMs === 0) throw new Error(`${folder}: this file system does not tell when a link was followed`)
  const guarded = ['outside/secret.txt', 'data/private/secret.txt', 'data/read.txt'].map((path) => [
    at(path),
    readFileSync(at(path), 'utf8'),
  ])
  const connections: string[] = []
  const server = await listen(connections)
  const { port } = server.address() as AddressInfo
  return {
    folder,
    data: at('data'),
    out: at('out'),
    outside: at('outside'),
    mounts: [
      { host: at('data'), guest: '/data', readonly: false },
      { host: at('out'), guest: '/out', readonly: false },
    ],
    policy: {
      fs: { read: ['/data', '/data/**', '/out/**'], write: ['/out/**'], deny: { read: ['/data/private/**'] } },
      net: { dns: ['granted.example'], connect: ['dns:granted.example:443'] },
    },
    port,
    connections,
    untouched: () =>
      guarded.every(([path = '', content]) => readFileSync(path, 'utf8') === content) && lstatSync(at('hops/hop')).atimeMs === 0,
    close: async () => {
      await new Promise((resolve) => server.close(resolve))
      removeFolder(folder)
    },
  }
}

function listen(connections: string[]): Promise<Server> {
  const server = createServer((request, response) => response.end(`${request.url}`))
  server.on('connection', (socket) => connections.push(`${socket.remoteAddress}`))
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)))
}
