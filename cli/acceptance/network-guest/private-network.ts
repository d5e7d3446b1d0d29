/**
 * A network of a test's own, where forbidden and public addresses are this machine's and have servers, nothing leads out, and the machine's own resolver is the
 * test's. For a process that `unshare --net --mount` started; and the gate, the compiled one, in it.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { FORBIDDEN, GOOD, OWN } from '@authority/kernel/effects/net/rebinding'
import { BINARY, gateProcess, untilServing } from '../gate-load.ts'

/** Runs a file of this folder as root of a network and a mount namespace of its own; what it printed, as JSON. */
export function inPrivateNetwork<Found>(file: string, ...args: readonly string[]): Found {
  const asRoot = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user']
  const ran = spawnSync('unshare', [...asRoot, '--net', '--mount', process.execPath, join(import.meta.dirname, file), ...args], {
    encoding: 'utf8',
    timeout: 110_000,
    maxBuffer: 64 << 20,
    env: { PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
  })
  if (ran.status !== 0) throw new Error(`${ran.error ?? ''} ${ran.stderr}`)
  return JSON.parse(ran.stdout) as Found
}

export function furnish(folder: string): void {
  run('ip', 'link', 'set', 'lo', 'up')
  const [own, own6, routed] = OWN
  for (const address of FORBIDDEN)
    if (address !== '127.0.0.1' && address !== '::1' && address !== routed)
      run('ip', 'addr', 'add', ...(address.includes(':') ? [`${address}/128`, 'nodad'] : [`${address}/32`]), 'dev', 'lo')
  run('ip', 'route', 'add', 'local', routed, 'dev', 'lo')
  // Reached from another address, as a host elsewhere is.
  run('ip', 'route', 'add', 'local', GOOD, 'dev', 'lo', 'src', own)
  if (own6 === undefined) throw new Error('no address of IPv6')
  const files = { 'resolv.conf': 'nameserver 127.0.0.1\noptions timeout:2 attempts:1\n', 'nsswitch.conf': 'hosts: files dns\n' }
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(folder, name), content)
    run('mount', '--bind', join(folder, name), join('/etc', name))
  }
}

export function run(command: string, ...args: string[]): void {
  const ran = spawnSync(command, args, { encoding: 'utf8' })
  if (ran.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${ran.error ?? ran.stderr}`)
}

/** A server that answers whoever comes, before it is asked, and remembers them. */
export async function greeting(address: string, port: number): Promise<string[]> {
  const log: string[] = []
  const server = createServer((socket: Socket) => {
    log.push(`${socket.remoteAddress}`)
    socket.on('error', () => undefined).end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, address, resolve))
  return log
}

/** One at each forbidden address. */
export async function forbiddenServers(port: number): Promise<Readonly<Record<string, readonly string[]>>> {
  return Object.fromEntries(await Promise.all(FORBIDDEN.map(async (address) => [address, await greeting(address, port)] as const)))
}

export interface OwnGate {
  readonly socket: string
  /** Of the gate process itself, which runs below the command. */
  pid(): number
  /** Seals the log and hands it over, with what `audit verify` said of it. */
  end(): Promise<{ readonly records: readonly { readonly type: string; readonly op?: string }[]; readonly verified: number | null }>
}

/** `authority gate serve`, the compiled one. */
export async function openGate(
  folder: string,
  net: object,
  flags: readonly string[] = [],
  variables: Readonly<Record<string, string>> = {},
): Promise<OwnGate> {
  const policy = join(folder, 'policy.json')
  writeFileSync(policy, JSON.stringify({ version: '1.0', net }))
  const env = { PATH: process.env.PATH ?? '', HOME: folder, AUTHORITY_HOME: join(folder, 'home'), ...variables }
  const runs = join(env.AUTHORITY_HOME, 'runs')
  const earlier = existsSync(runs) ? readdirSync(runs) : []
  const line = ['gate', 'serve', '--policy', policy, '--socket', join(folder, 'gate.sock'), ...flags]
  const gate = spawn(BINARY, line, { env, stdio: ['ignore', 'ignore', 'pipe'] })
  const socket = await untilServing(gate)
  const asked = (...verb: string[]): ReturnType<typeof spawnSync> =>
    spawnSync(BINARY, ['audit', ...verb], { env, encoding: 'utf8', maxBuffer: 256 << 20 })
  return {
    socket,
    pid: () => gateProcess(join(runs, readdirSync(runs).find((run) => !earlier.includes(run)) ?? '')),
    end: async () => {
      const over = once(gate, 'exit')
      gate.kill('SIGTERM')
      await over
      const { status } = asked('verify', 'last')
      const lines = String(asked('show', 'last', '--json').stdout)
        .split('\n')
        .filter(Boolean)
      return { records: lines.map((one) => JSON.parse(one) as { type: string }), verified: status }
    },
  }
}
