import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'
import type { Readable, Writable } from 'node:stream'
import type { PendingApproval } from '@authority/kernel/approvals'
import { CliError } from './errors.ts'
import { rawTerminal } from './raw-terminal.ts'
import {
  type ApprovalAnswer,
  type BudgetMark,
  type EndFacts,
  GATE_COMMAND,
  type GateEvent,
  type RunSpec,
  type StartFacts,
  type SupervisorCommand,
} from './run-spec.ts'

/** ms a stopped gate has to stop the VM and seal the log before it is killed. */
const STOP_DEADLINE_MS = 20_000
/** ms the agent has to obey a passed signal before the VM is stopped. */
const SIGNAL_GRACE_MS = 3_000
const PASSED_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const
const STOPPING_SIGNALS: readonly string[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT']
/** Longest line the gate writes. */
const MAX_EVENT_BYTES = 4 << 20

/** What the gate inherits of the environment: nothing that changes how the runtime, TLS or proxies behave (DESIGN 7). */
const KEPT_ENVIRONMENT = ['PATH', 'HOME', 'LANG', 'LC_ALL', 'TZ', 'TERM', 'TMPDIR', 'XDG_RUNTIME_DIR', 'XDG_STATE_HOME']

export interface SupervisorOptions {
  /** Command line that runs this program again, e.g. [process.execPath]. */
  readonly self: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  readonly onStart: (start: StartFacts) => void
  readonly onMark?: (mark: BudgetMark) => void
  /** Somebody's answer to a request that waits, or null: then it waits for `authority approvals`. */
  readonly onApproval?: (pending: PendingApproval) => Promise<ApprovalAnswer | null>
  readonly onSettled?: (digest: string) => void
}

/** Runs one gate to its end. Resolves with what the gate says of the end; throws CliError when it could not start or died. */
export async function supervise(spec: RunSpec, options: SupervisorOptions): Promise<EndFacts> {
  const [program = process.execPath, ...args] = options.self
  const gate = spawn(program, [...args, GATE_COMMAND], {
    stdio: ['inherit', 'inherit', 'inherit', 'pipe', 'pipe'],
    env: gateEnvironment(options.env),
  })
  const commands = gate.stdio[3] as Writable
  const events = gate.stdio[4] as Readable
  // The gate may be gone before it read everything: its exit tells, not the pipe.
  commands.on('error', () => undefined)
  const send = (message: RunSpec | SupervisorCommand): void => void commands.write(`${JSON.stringify(message)}\n`)
  const signals = passSignals(send)
  const killer = { timer: undefined as ReturnType<typeof setTimeout> | undefined }
  signals.onStop = () => {
    killer.timer ??= setTimeout(() => gate.kill('SIGKILL'), STOP_DEADLINE_MS)
  }
  const terminal = spec.agent.tty ? rawTerminal() : null
  const restore = (): void => terminal?.restore()
  process.on('exit', restore)
  try {
    send(spec)
    // Not before the agent runs: until then Ctrl-C is ours and ends the run.
    return await outcome(gate, events, { ...options, onRunning: () => terminal?.begin(), onPending: decideWith(options, send) }, spec)
  } finally {
    restore()
    process.off('exit', restore)
    clearTimeout(killer.timer)
    signals.release()
    commands.destroy()
  }
}

/** Passes on what somebody decided; who is not asked decides nothing. */
export function decideWith(
  { onApproval }: { readonly onApproval?: SupervisorOptions['onApproval'] | undefined },
  send: (command: SupervisorCommand) => void,
): (pending: PendingApproval) => void {
  return (pending) => {
    onApproval?.(pending).then(
      (answer) => {
        if (answer !== null) send({ command: 'decide', id: pending.digest, ...answer })
      },
      () => undefined,
    )
  }
}

export function gateEnvironment(env: Readonly<Record<string, string | undefined>>): NodeJS.ProcessEnv {
  const kept: NodeJS.ProcessEnv = {}
  for (const name of KEPT_ENVIRONMENT) if (env[name] !== undefined) kept[name] = env[name]
  // The gate dies with its supervisor, and only the gate: baked into the binary it would stop `nohup authority run`.
  kept.BUN_OPTIONS = '--no-orphans'
  return kept
}

interface SignalRelay {
  onStop: () => void
  release(): void
}

/** The first stopping signal goes to the agent; after a grace, or at the second one, the VM is stopped. */
function passSignals(send: (command: SupervisorCommand) => void): SignalRelay {
  let asked = 0
  let timer: ReturnType<typeof setTimeout> | undefined
  const relay: SignalRelay = { onStop: () => undefined, release: () => undefined }
  const stop = (signal: string): void => {
    send({ command: 'stop', reason: signal })
    relay.onStop()
  }
  const handlers = PASSED_SIGNALS.map((signal) => {
    const handler = (): void => {
      send({ command: 'signal', signal: constants.signals[signal] })
      if (!STOPPING_SIGNALS.includes(signal)) return
      asked += 1
      if (asked > 1) stop(signal)
      else timer = setTimeout(() => stop(signal), SIGNAL_GRACE_MS)
    }
    process.on(signal, handler)
    return () => process.off(signal, handler)
  })
  relay.release = () => {
    clearTimeout(timer)
    for (const off of handlers) off()
  }
  return relay
}

interface OutcomeOptions extends SupervisorOptions {
  readonly onRunning: () => void
  readonly onPending: (pending: PendingApproval) => void
}

function outcome(gate: ChildProcess, events: Readable, options: OutcomeOptions, spec: RunSpec): Promise<EndFacts> {
  return new Promise((resolve, reject) => {
    let ended: EndFacts | null = null
    let failure: CliError | null = null
    readLines(events, (line) => {
      const event = JSON.parse(line) as GateEvent
      if (event.event === 'started') options.onStart(event.start)
      else if (event.event === 'running') options.onRunning()
      else if (event.event === 'mark') options.onMark?.(event.mark)
      else if (event.event === 'approval') options.onPending(event.pending)
      else if (event.event === 'settled') options.onSettled?.(event.digest)
      else if (event.event === 'ended') ended = event.end
      else if (event.event === 'failed') failure = new CliError('gate', event.message, event.hint, { exitCode: event.exitCode })
    })
    gate.on('error', (cause) =>
      reject(new CliError('gate', `the gate could not be started: ${cause.message}`, 'this is a fault of the installation', { cause })),
    )
    gate.on('close', (code, signal) => {
      if (failure !== null) reject(failure)
      else if (ended !== null) resolve(ended)
      else
        reject(
          new CliError(
            'gate',
            `the gate ended without a word (${signal ?? `exit ${code}`})`,
            `its log is recovered at the next start; look with \`authority audit verify ${spec.run.slice(0, 12)}\``,
          ),
        )
    })
  })
}

/** Calls back once per line; a line beyond the bound ends the stream. */
export function readLines(stream: Readable, onLine: (line: string) => void): void {
  let pending = ''
  stream.setEncoding('utf8')
  stream.on('data', (chunk: string) => {
    pending += chunk
    for (let at = pending.indexOf('\n'); at >= 0; at = pending.indexOf('\n')) {
      const line = pending.slice(0, at)
      pending = pending.slice(at + 1)
      if (line !== '') onLine(line)
    }
    if (pending.length > MAX_EVENT_BYTES) stream.destroy()
  })
  stream.on('error', () => undefined)
}
