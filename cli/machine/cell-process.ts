import { AuthorityError } from '@authority/protocol'
import { messageOf } from '../process/run-program.ts'
import { type CellMounts, cellArguments } from './cell-arguments.ts'
import { KILL_GRACE_MS, MAX_STDERR_BYTES } from './limits.ts'
import type { CellFile } from './qemu-binary.ts'

/** Adapter: starts authority-cell, watches it, keeps the end of what it says. */

export interface CellOptions {
  readonly launcher: string
  readonly connect: readonly { readonly fd: number; readonly path: string }[]
  /** Our descriptors, which become 3, 4, … in the cell; they stay open here. */
  readonly inherit: readonly number[]
  readonly files: readonly CellFile[]
  readonly mounts: CellMounts | null
  readonly devices: readonly string[]
  /** Path in the cell, and arguments. */
  readonly program: readonly string[]
  /** Chunks of standard output; null sends it to /dev/null. */
  readonly onOutput: ((chunk: Uint8Array) => void) | null
}

export interface ExitReport {
  readonly code: number | null
  readonly signal: string | null
  /** The last MAX_STDERR_BYTES of standard error, untrusted text. */
  readonly stderrTail: string
}

export interface CellProcess {
  readonly pid: number
  readonly exited: Promise<ExitReport>
  kill(): void
}

/** Throws E_NOT_FOUND when the launcher cannot be started. */
export function spawnCell(options: CellOptions): CellProcess {
  const argv = cellArguments({
    launcher: options.launcher,
    parent: process.pid,
    connect: options.connect,
    keep: options.inherit.map((_, index) => 3 + index),
    files: options.files,
    mounts: options.mounts,
    devices: options.devices,
    program: options.program,
  })
  const child = start(argv, options)
  const tail = keepTail(child.stderr as ReadableStream<Uint8Array>)
  const output = options.onOutput === null ? Promise.resolve() : passOn(child.stdout as ReadableStream<Uint8Array>, options.onOutput)
  const exited = Promise.all([child.exited, tail, output]).then(([, stderrTail]) => ({
    code: child.signalCode === null ? child.exitCode : null,
    signal: child.signalCode === null ? null : String(child.signalCode),
    stderrTail,
  }))
  return { pid: child.pid, exited, kill: killer(child) }
}

function start(argv: readonly string[], options: CellOptions) {
  try {
    return Bun.spawn([...argv], {
      stdio: ['ignore', options.onOutput === null ? 'ignore' : 'pipe', 'pipe', ...options.inherit],
      env: { LC_ALL: 'C' },
      cwd: '/',
    })
  } catch (cause) {
    throw new AuthorityError('E_NOT_FOUND', `cannot start ${options.launcher}: ${messageOf(cause)}`, {
      hint: 'the installation is incomplete: install authority again',
      cause,
    })
  }
}

/** The launcher takes QEMU with it on SIGTERM, and by its own death on SIGKILL. */
function killer(child: ReturnType<typeof start>): () => void {
  let asked = false
  return () => {
    if (asked || child.exitCode !== null || child.signalCode !== null) return
    asked = true
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), KILL_GRACE_MS)
    void child.exited.then(() => clearTimeout(timer))
  }
}

async function keepTail(stream: ReadableStream<Uint8Array>): Promise<string> {
  let tail = new Uint8Array(0)
  for await (const chunk of stream) {
    const joined = new Uint8Array(tail.length + chunk.length)
    joined.set(tail)
    joined.set(chunk, tail.length)
    tail = joined.slice(Math.max(0, joined.length - MAX_STDERR_BYTES))
  }
  return new TextDecoder().decode(tail)
}

async function passOn(stream: ReadableStream<Uint8Array>, onOutput: (chunk: Uint8Array) => void): Promise<void> {
  for await (const chunk of stream) onOutput(chunk)
}
