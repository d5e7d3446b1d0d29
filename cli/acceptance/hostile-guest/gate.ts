/** Runs the real gate process against a hostile guest and collects everything the gate sent to it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { verifyRun } from '@authority/kernel/audit'
import { decode, type GateMessage, LinkReader, parseFuseItem, parseGateMessage, parseGateToGuest } from '@authority/protocol'
import { compileCell, ensureInitrd, ensureKernel, type Kernel } from '../../machine/index.ts'
import { sha256 } from '../../machine/store.ts'
import type { Home } from '../../runs/home.ts'
import { createRunFolder } from '../../runs/registry.ts'
import { type EndFacts, GATE_COMMAND, type GateEvent, type RunSpec } from '../../runs/run-spec.ts'
import { readLines } from '../../runs/supervisor.ts'
import { CACHE, waitGone } from '../machine-support.ts'
import { compileStatic, descendantsOf, freshFolder, freshHome, leftovers, removeFolder } from '../vm-support.ts'
import type { Script } from './script.ts'

export interface Hostile {
  readonly folder: string
  readonly home: Home
  readonly kernel: Kernel
  readonly initrd: RunSpec['machine']['initrd']
  readonly cell: string
  clean(): void
}

/** Compiles the hostile init and everything a gate needs to boot it. */
export async function prepareHostile(): Promise<Hostile> {
  const folder = freshFolder('hostile-')
  const home = freshHome(folder)
  await compileCell(join(folder, 'authority-cell'))
  const cell = join(folder, 'taken-cell')
  copyFileSync(join(import.meta.dirname, 'taken-cell.sh'), cell)
  mkdirSync(join(folder, 'empty'))
  const init = join(folder, 'init')
  await compileStatic(join(import.meta.dirname, 'script-init.c'), init)
  const kernel = await ensureKernel({ cacheFolder: CACHE, arch: 'x86_64' })
  const initrd = ensureInitrd(kernel, readFileSync(init))
  return { folder, home, kernel, initrd, cell, clean: () => removeFolder(folder) }
}

/** The same with another hostile init, and the product's own cell. */
export async function withQueueInit(hostile: Hostile, attack: number): Promise<Hostile> {
  const init = join(hostile.folder, `queue-init-${attack}`)
  await compileStatic(join(import.meta.dirname, 'queue-init.c'), init, [`-DATTACK=${attack}`])
  return { ...hostile, cell: join(hostile.folder, 'authority-cell'), initrd: ensureInitrd(hostile.kernel, readFileSync(init)) }
}

export interface HostileRun {
  readonly script: Script
  readonly mounts?: RunSpec['mounts']
  readonly policy?: object
  readonly hosts?: RunSpec['hosts']
  readonly published?: RunSpec['published']
  readonly timeoutMs?: number
  /** False: nobody reads the agent's output before the run is over. */
  readonly takeOutput?: boolean
  /** Called once the guest is `running`, with the gate's process id. */
  readonly onRunning?: (gate: number) => void
}

export interface FuseAnswer {
  readonly mount: number
  readonly unique: bigint
  /** 0 or a positive errno. */
  readonly errno: number
  readonly body: Buffer
}

export interface Outcome {
  /** What the gate told its supervisor. */
  readonly end: EndFacts
  readonly exitCode: number | null
  /** Everything the gate sent to the guest, as one text of bytes per connection. */
  readonly sent: readonly Buffer[]
  readonly fuse: ReadonlyMap<bigint, FuseAnswer>
  /** Answers on the effects port in order; a message of init's own (session 0) has `null`. */
  readonly effects: readonly { readonly session: number; readonly message: GateMessage | null; readonly item: readonly unknown[] }[]
  readonly control: readonly ReturnType<typeof parseGateToGuest>[]
  readonly peakMib: number
  readonly stdout: Buffer
  readonly stderr: string
  readonly verdict: Awaited<ReturnType<typeof verifyRun>>
  /** Files of the run's folder that should be gone, and processes that outlived the gate. */
  readonly left: readonly string[]
}

/** ms for one whole run, boot included. */
const RUN_MS = 60_000

export async function runHostile(hostile: Hostile, run: HostileRun): Promise<Outcome> {
  const id = randomBytes(16).toString('hex')
  const folder = createRunFolder(hostile.home, id)
  const taps = join(hostile.folder, `taps-${id}`)
  mkdirSync(taps)
  const disk = run.script.disk()
  const image = join(hostile.folder, `script-${id}`)
  writeFileSync(image, disk)
  const gate = spawn(process.execPath, [join(import.meta.dirname, 'tapped-gate.ts'), taps, GATE_COMMAND], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH ?? '', BUN_OPTIONS: '--no-orphans' },
  })
  const output = [run.takeOutput === false ? null : collect(gate.stdout), collect(gate.stderr)] as const
  const family = new Set<number>()
  const { end, exitCode } = await converse(gate, specOf(hostile, run, id, { path: image, sha256: sha256(disk) }), (pid) => {
    for (const one of descendantsOf(pid)) family.add(one)
    run.onRunning?.(pid)
  })
  const sent = readdirSync(taps)
    .filter((name) => name.startsWith('tap-'))
    .map((name) => readFileSync(join(taps, name)))
  const [stdout, stderr] = [(await output[0]) ?? Buffer.alloc(0), await output[1]]
  return {
    end,
    exitCode,
    sent,
    ...understood(sent),
    peakMib: Number(readFileSync(join(taps, 'peak-kib'), 'utf8')) / 1024,
    stdout,
    stderr: stderr.toString(),
    verdict: await verifyRun(join(folder, 'audit'), { installation: join(hostile.home.path, 'installation'), run: id }),
    left: [...leftovers(folder), ...[...family].filter((pid) => !waitGone(pid, 5_000)).map((pid) => `process ${pid}`)],
  }
}

function specOf(hostile: Hostile, run: HostileRun, id: string, image: { path: string; sha256: string }): RunSpec {
  const policy = Buffer.from(JSON.stringify({ version: '1.0', ...run.policy }))
  return {
    format: 1,
    run: id,
    home: hostile.home.path,
    build: 'test',
    program: 'hostile',
    image: { ...image, name: 'hostile', profiles: [] },
    machine: {
      arch: 'x86_64',
      accel: 'tcg',
      isolation: 'emulated',
      memoryMib: 128,
      cpus: 1,
      kernel: { path: hostile.kernel.path, sha256: hostile.kernel.manifest.kernelSha256, release: hostile.kernel.manifest.version },
      initrd: hostile.initrd,
      cell: hostile.cell,
      console: false,
    },
    agent: { argv: ['/agent'], env: [], cwd: '/', tty: false },
    // Without a mount there is no port for files, and the scripts want all.
    mounts: run.mounts ?? [{ host: join(hostile.folder, 'empty'), guest: '/empty', readonly: true }],
    scratch: [],
    policy: { base64: policy.toString('base64'), source: 'test', kind: 'operator' },
    guarded: [],
    hosts: run.hosts ?? [],
    resolver: { kind: 'system' },
    authorities: [],
    published: run.published ?? [],
    budgets: {},
    timeoutMs: run.timeoutMs ?? RUN_MS,
    timing: true,
  }
}

function converse(
  gate: ChildProcess,
  spec: RunSpec,
  onRunning: (pid: number) => void,
): Promise<{ end: EndFacts; exitCode: number | null }> {
  const commands = gate.stdio[3] as Writable
  commands.on('error', () => undefined)
  commands.write(`${JSON.stringify(spec)}\n`)
  return new Promise((resolve, reject) => {
    let end: EndFacts | null = null
    let failure: string | null = null
    readLines(gate.stdio[4] as Readable, (line) => {
      const event = JSON.parse(line) as GateEvent
      if (event.event === 'running') onRunning(gate.pid ?? 0)
      if (event.event === 'ended') end = event.end
      if (event.event === 'failed') failure = event.message
    })
    const deadline = setTimeout(() => gate.kill('SIGKILL'), 2 * Math.max(RUN_MS, spec.timeoutMs ?? 0))
    let said = ''
    gate.stderr?.on('data', (chunk: Buffer) => {
      said += chunk.toString()
    })
    gate.on('close', (exitCode, signal) => {
      clearTimeout(deadline)
      commands.destroy()
      if (end === null) reject(new Error(`the gate ended without an end: ${failure ?? signal ?? exitCode} ${said}`))
      else resolve({ end, exitCode })
    })
  })
}

async function collect(stream: Readable | null): Promise<Buffer> {
  const chunks: Buffer[] = []
  if (stream !== null) for await (const chunk of stream) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** Which connection is which port is seen by what was said first. */
function understood(sent: readonly Buffer[]): Pick<Outcome, 'fuse' | 'effects' | 'control'> {
  const fuse = new Map<bigint, FuseAnswer>()
  const effects: { session: number; message: GateMessage | null; item: readonly unknown[] }[] = []
  const control: ReturnType<typeof parseGateToGuest>[] = []
  for (const bytes of sent) {
    const frames: { session: number; item: Uint8Array }[] = []
    new LinkReader({ maxFrameBytes: 8 << 20 }).push(bytes, (session, item) => frames.push({ session, item: item.slice() }))
    const first = frames[0]
    if (first === undefined) continue
    const values = decode(first.item)
    if (values instanceof Uint8Array) {
      for (const { session, item } of frames) {
        const answer = Buffer.from(parseFuseItem(item))
        const unique = answer.readBigUInt64LE(8)
        if (fuse.has(unique)) throw new Error(`the gate answered FUSE request ${unique} twice`)
        fuse.set(unique, { mount: session, unique, errno: Math.abs(answer.readInt32LE(4)), body: answer.subarray(16) })
      }
    } else if (Array.isArray(values) && values[0] === 1) {
      for (const { item } of frames) control.push(parseGateToGuest(item))
    } else {
      for (const { session, item } of frames) {
        const array = decode(item) as readonly unknown[]
        effects.push({ session, item: array, message: session === 0 ? null : parseGateMessage(item) })
      }
    }
  }
  return { fuse, effects, control }
}
