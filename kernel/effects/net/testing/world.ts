/** The network effects behind the real pipeline and a real session; dialling is watched and never leaves this machine. */

import type { AddressInfo } from 'node:net'
import { createServer as createTcp, type Server, type Socket } from 'node:net'
import { greeted, type Served } from '../../../gate/testing/serve.ts'
import { makeWorld, type World } from '../../../gate/testing/world.ts'
import type { Charges } from '../../../vocabulary/index.ts'
import { dialTcp } from '../dial.ts'
import { type Dial, type NetDependencies, netBytes, netEffects, type Resolver } from '../index.ts'

export interface NetWorld extends Served {
  readonly world: World
  /** Every address that was dialled, with its port. */
  readonly dialled: string[]
  /** Every name that was looked up. */
  readonly resolved: string[]
}

export interface NetWorldOptions {
  readonly connect?: readonly string[]
  readonly dns?: readonly string[]
  /** Operator's mappings. */
  readonly hosts?: { readonly [name: string]: string }
  /** Answers by name; a function is asked each time. */
  readonly answers?: { readonly [name: string]: readonly string[] | (() => readonly string[]) }
  readonly budgets?: Charges
  readonly roots?: readonly string[]
  readonly isOwnAddress?: NetDependencies['isOwnAddress']
  readonly token?: (world: World) => string
}

export async function netWorld(options: NetWorldOptions = {}): Promise<NetWorld> {
  const dialled: string[] = []
  const resolved: string[] = []
  const dial: Dial = (address, port, signal) => {
    dialled.push(`${address}:${port}`)
    if (!/^(127\.|::1$)/.test(address)) throw new Error(`a test would have dialled ${address}`)
    return dialTcp(address, port, signal)
  }
  const resolve: Resolver = async (name) => {
    resolved.push(name)
    const answer = options.answers?.[name] ?? []
    return typeof answer === 'function' ? answer() : answer
  }
  const policy = { version: '1.0', net: { connect: options.connect ?? [], dns: options.dns ?? [], hosts: options.hosts ?? {} } }
  const hosts = new Map(Object.entries(options.hosts ?? {}))
  const world = await makeWorld({
    policy,
    effects: netEffects({
      resolve,
      hosts,
      dial,
      ...(options.roots === undefined ? {} : { roots: options.roots }),
      ...(options.isOwnAddress === undefined ? {} : { isOwnAddress: options.isOwnAddress }),
    }),
    bytes: netBytes,
    ...(options.budgets === undefined ? {} : { budgets: options.budgets }),
  })
  const served = await greeted(world, options.token?.(world) ?? null)
  return { world, dialled, resolved, ...served }
}

export interface Witness {
  readonly port: number
  /** Connections it saw, whatever came of them. */
  readonly connections: Socket[]
  readonly received: Buffer
  close(): Promise<void>
}

/** A TCP server on loopback whose own log says who was there. */
export async function witness(onConnection: (socket: Socket) => void = () => undefined, host = '127.0.0.1'): Promise<Witness> {
  const connections: Socket[] = []
  const chunks: Buffer[] = []
  const server: Server = createTcp({ allowHalfOpen: true }, (socket) => {
    connections.push(socket)
    socket.on('error', () => undefined)
    socket.on('data', (data: Buffer) => chunks.push(data))
    onConnection(socket)
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, host, resolve))
  return {
    port: (server.address() as AddressInfo).port,
    connections,
    get received() {
      return Buffer.concat(chunks)
    },
    close: async () => {
      for (const socket of connections) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
