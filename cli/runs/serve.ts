import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, lstatSync, mkdtempSync, rmSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { CliError } from './errors.ts'
import { type EndFacts, GATE_COMMAND, type GateEvent, type ServeSpec, type StartFacts, type SupervisorCommand } from './run-spec.ts'
import { decideWith, gateEnvironment, readLines, type SupervisorOptions } from './supervisor.ts'

/** ms a command has to obey a signal before it is killed, once its gate is gone. */
const COMMAND_GRACE_MS = 3_000
/** ms a stopped gate has to seal its log. */
const STOP_DEADLINE_MS = 20_000
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
/** Bytes of a unix socket's path (sun_path less its final NUL). */
const MAX_SOCKET_PATH = 107

export interface ServeOptions {
  /** Command line that runs this program again. */
  readonly self: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  /** The client to run; null: serve until interrupted. */
  readonly command: readonly string[] | null
  readonly onStart: (start: StartFacts) => void
  readonly onServing: (socket: string) => void
  readonly onMark?: SupervisorOptions['onMark']
  readonly onApproval?: SupervisorOptions['onApproval']
  readonly onSettled?: SupervisorOptions['onSettled']
}

/** Where to listen when nobody said: in the run's folder, or where its path is too long for a socket, in a temporary folder that `remove` takes away. */
export function defaultSocket(folder: string): { readonly path: string; readonly remove: () => void } {
  const path = join(folder, 'gate.sock')
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH) return { path, remove: () => undefined }
  const own = mkdtempSync(join(tmpdir(), 'authority-'))
  return { path: join(own, 'gate.sock'), remove: () => rmSync(own, { recursive: true, force: true }) }
}

/** Refuses a socket path that is taken before anything is begun. Throws CliError `usage`. */
export function assertFree(socket: string): void {
  if (existsSync(socket))
    throw new CliError(
      'usage',
      `there is something at ${socket} already`,
      'another gate may be using it; remove it if not, or choose another --socket',
    )
  if (Buffer.byteLength(socket) > MAX_SOCKET_PATH)
    throw new CliError('usage', `the socket path ${socket} is longer than ${MAX_SOCKET_PATH} bytes`, 'choose a shorter one with --socket')
}

/** Runs a gate without a machine, and the command beside it, to their end. Throws CliError when the gate could not start or died. */
export function serve(spec: ServeSpec, options: ServeOptions): Promise<EndFacts> {
  return new Serving(spec, options).run()
}

class Serving {
  private readonly spec: ServeSpec
  private readonly options: ServeOptions
  private readonly gate: ChildProcess
  private client: ChildProcess | null = null
  private clientEnded: Promise<void> = Promise.resolve()
  private killer: ReturnType<typeof setTimeout> | undefined
  private ended: EndFacts | null = null
  private failure: CliError | null = null
  private served = false

  constructor(spec: ServeSpec, options: ServeOptions) {
    this.spec = spec
    this.options = options
    const [program = process.execPath, ...args] = options.self
    this.gate = spawn(program, [...args, GATE_COMMAND], {
      stdio: ['ignore', 'inherit', 'inherit', 'pipe', 'pipe'],
      env: gateEnvironment(options.env),
    })
  }

  async run(): Promise<EndFacts> {
    const commands = this.gate.stdio[3] as Writable
    // The gate may be gone before it read everything: its exit tells, not the pipe.
    commands.on('error', () => undefined)
    const release = this.passSignals()
    try {
      this.send(this.spec)
      const events = this.gate.stdio[4] as Readable
      readLines(events, (line) => this.onEvent(JSON.parse(line) as GateEvent))
      await this.gateClosed()
      if (this.served) removeSocket(this.spec.socket)
      await this.endClient()
      if (this.failure !== null) throw this.failure
      if (this.ended !== null) return this.ended
      throw new CliError(
        'gate',
        'the gate ended without a word',
        `its log is recovered at the next start; look with \`authority audit verify ${this.spec.run.slice(0, 12)}\``,
      )
    } finally {
      clearTimeout(this.killer)
      release()
      commands.destroy()
    }
  }

  private send(message: ServeSpec | SupervisorCommand): void {
    const commands = this.gate.stdio[3] as Writable
    commands.write(`${JSON.stringify(message)}\n`)
  }

  private onEvent(event: GateEvent): void {
    if (event.event === 'started') this.options.onStart(event.start)
    else if (event.event === 'serving') this.onServing(event.tokenFile)
    else if (event.event === 'mark') this.options.onMark?.(event.mark)
    else if (event.event === 'approval') decideWith(this.options, (command) => this.send(command))(event.pending)
    else if (event.event === 'settled') this.options.onSettled?.(event.digest)
    else if (event.event === 'ended') this.ended = event.end
    else if (event.event === 'failed') this.failure = new CliError('gate', event.message, event.hint, { exitCode: event.exitCode })
  }

  private onServing(tokenFile: string): void {
    const { command, env, onServing } = this.options
    const { socket } = this.spec
    this.served = true
    onServing(socket)
    if (command === null) return
    const [program = '', ...args] = command
    const client = spawn(program, args, {
      stdio: 'inherit',
      env: { ...env, AUTHORITY_SOCKET: socket, AUTHORITY_TOKEN_FILE: tokenFile },
    })
    this.client = client
    this.clientEnded = new Promise((resolve) => {
      client.on('error', (cause) => {
        this.failure = notStarted(program, cause)
        this.send({ command: 'ended', endedBy: 'exec', exitCode: this.failure.exitCode })
        resolve()
      })
      client.on('close', (code, signal) => {
        this.client = null
        if (signal === null) this.send({ command: 'ended', endedBy: 'agent', exitCode: code ?? 0 })
        else this.send({ command: 'ended', endedBy: 'signal', exitCode: 128 + constants.signals[signal] })
        resolve()
      })
    })
  }

  private gateClosed(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.gate.on('error', (cause) =>
        reject(new CliError('gate', `the gate could not be started: ${cause.message}`, 'this is a fault of the installation', { cause })),
      )
      this.gate.on('close', () => resolve())
    })
  }

  /** The gate is over and the command is not: a budget, a stop or a fault ended it. */
  private async endClient(): Promise<void> {
    const { client } = this
    if (client === null) return
    client.kill('SIGTERM')
    const timer = setTimeout(() => client.kill('SIGKILL'), COMMAND_GRACE_MS)
    await this.clientEnded
    clearTimeout(timer)
  }

  /** Signals are the command's; without one they stop the gate. A terminal has sent its own to the whole group already. */
  private passSignals(): () => void {
    const handlers = SIGNALS.map((signal) => {
      const handler = (): void => {
        if (this.client !== null) {
          if (signal !== 'SIGINT' || process.stdin.isTTY !== true) this.client.kill(signal)
          return
        }
        this.send({ command: 'stop', reason: signal })
        this.killer ??= setTimeout(() => this.gate.kill('SIGKILL'), STOP_DEADLINE_MS)
      }
      process.on(signal, handler)
      return () => process.off(signal, handler)
    })
    return () => {
      for (const off of handlers) off()
    }
  }
}

/** A gate that was killed leaves its socket. Only a socket is removed: the path was free when the gate took it. */
function removeSocket(path: string): void {
  try {
    if (lstatSync(path).isSocket()) rmSync(path)
  } catch {}
}

function notStarted(program: string, cause: Error): CliError {
  const code = (cause as NodeJS.ErrnoException).code
  return code === 'ENOENT'
    ? new CliError('not_found', `there is no program ${program}`, 'check the name and PATH', { cause })
    : new CliError('not_executable', `${program} cannot be executed: ${code ?? cause.message}`, 'check its permissions', { cause })
}
