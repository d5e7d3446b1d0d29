/**
 * Sockets of a guest through the gate, against the network card of QEMU's user-mode network: same guest kernel, same program, same server on this host.
 * That network decides nothing, records nothing and lets its guest reach every address the host can.
 */
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Machines, type Measured, measured, prepareMachines } from './machines.ts'
import { scratchFolder } from './server-process.ts'
import { atMost, median, type Row } from './statistics.ts'

const GUEST = join(import.meta.dirname, 'network-guest')
/** Machines of each kind, in turn, so that what disturbs one disturbs the other. */
const ROUNDS = 3

/** What is measured; `rate`: MB/s, more is better. */
const METRICS = [
  { name: 'connect-p50', what: 'connect, p50', unit: 'µs', rate: false },
  { name: 'echo-p50', what: 'echo of 64 B, p50', unit: 'µs', rate: false },
  { name: 'echo-p99', what: 'echo of 64 B, p99', unit: 'µs', rate: false },
  { name: 'down', what: '64 MiB down', unit: 'MB/s', rate: true },
  { name: 'up', what: '64 MiB up', unit: 'MB/s', rate: true },
  { name: 'parallel', what: '100 downloads of 512 KiB at once', unit: 'ms', rate: false },
] as const
/** ms between connections that are held open and a look at the gate. */
const LOOK_AFTER_MS = 1500
/** KiB of the gate for each: ours to choose. Busy: a download that the agent does not read; what was read from the host at once and what was sent on before. */
const MAX_KIB = { idle: 64, busy: 1536 } as const

export async function networkSuite(): Promise<readonly Row[]> {
  const scratch = scratchFolder()
  try {
    chmodSync(scratch.path, 0o755)
    const machines = await prepareMachines(scratch.path, {
      sources: GUEST,
      cache: 'bench-net-home',
      kernel: { moreModules: ['virtio_net'] },
    })
    const server = Bun.spawn([join(scratch.path, 'measure'), 'serve'], { stdio: ['ignore', 'pipe', 'inherit'] })
    try {
      const { value } = await server.stdout.getReader().read()
      const port = new TextDecoder().decode(value).trim()
      return [...againstUserMode(scratch.path, machines, port), ...(await memory(machines, port))]
    } finally {
      server.kill()
      await server.exited
    }
  } finally {
    scratch.remove()
  }
}

function againstUserMode(folder: string, machines: Machines, port: string): readonly Row[] {
  writePolicy(folder, port)
  const all: Measured[] = []
  const host = Bun.spawnSync([join(folder, 'measure'), 'host', '127.0.0.1', port])
  all.push(measured(host.stdout.toString()))
  for (let round = 0; round < ROUNDS; round++) {
    all.push(machines.ours('./measure', [...granted, '--', 'ours', 'peer.test', port]))
    all.push(machines.bare(port, ['-netdev', 'user,id=n', '-device', 'virtio-net-pci,netdev=n']))
  }
  const of = (key: string): number => median(all.flatMap((each) => each.get(key) ?? []))
  return METRICS.map(({ name, what, unit, rate }) => {
    const [ours, theirs, plain] = ['ours', 'slirp', 'host'].map((peer) => of(`${peer} ${name}`)) as [number, number, number]
    const figures = `${ours.toFixed(0)} ${unit} against ${theirs.toFixed(0)} (the host without a machine: ${plain.toFixed(0)})`
    return atMost(`${what}, against QEMU's user-mode network`, figures, rate ? theirs / ours : ours / theirs, 1)
  })
}

const granted = ['--policy', 'policy.json', '--host', 'peer.test=127.0.0.1'] as const

function writePolicy(folder: string, port: string): void {
  const net = { connect: [`dns:peer.test:${port}`] }
  writeFileSync(join(folder, 'policy.json'), JSON.stringify({ version: '1.0', profiles: ['tier1-musl'], net }))
}

/** What the gate's process grows by, for each connection that is open. */
async function memory(machines: Machines, port: string): Promise<readonly Row[]> {
  const run = machines.start('./measure', [...granted, '--', 'ours', 'peer.test', port, 'hold'])
  const found: { readonly kind: keyof typeof MAX_KIB; readonly count: number; readonly kib: number }[] = []
  for await (const text of run.stdout.pipeThrough(new TextDecoderStream())) {
    const [, kind, count] = /holding (idle|busy) (\d+)/.exec(text) ?? []
    if (kind !== 'idle' && kind !== 'busy') continue
    await Bun.sleep(LOOK_AFTER_MS)
    found.push({ kind, count: Number(count), kib: residentKib(gateOf(run.pid)) })
  }
  await run.exited
  const before = found[0]?.kib ?? Number.NaN
  return found.slice(1).map(({ kind, count, kib }) => {
    const each = (kib - before) / count
    const figures = `${each.toFixed(1)} KiB each with ${count} open (the gate: ${(before / 1024).toFixed(0)} MiB without)`
    return atMost(`memory of the gate for a connection, ${kind}`, figures, each / MAX_KIB[kind], 1)
  })
}

/** The child of the supervisor that QEMU is a child of. */
function gateOf(supervisor: number): number {
  const children = (pid: number): number[] =>
    readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
  return children(supervisor).find((pid) => children(pid).length > 0) ?? supervisor
}

function residentKib(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
}
