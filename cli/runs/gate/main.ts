import { createReadStream, createWriteStream } from 'node:fs'
import { AuthorityError } from '@authority/protocol'
import { CliError } from '../errors.ts'
import { EVENTS_FD, GATE_COMMAND, type GateEvent, type RunSpec, type ServeSpec, SPEC_FD, type SupervisorCommand } from '../run-spec.ts'
import { readLines } from '../supervisor.ts'
import { GateRun } from './gate-run.ts'
import { ServeRun } from './serve-run.ts'

/** ms the supervisor has to hand over the spec. */
const SPEC_DEADLINE_MS = 10_000

/** The gate process: spec in, events out, one run, then gone. Prints nothing of its own: stdout and stderr are the agent's. */
export async function gateMain(): Promise<never> {
  const events = createWriteStream('', { fd: EVENTS_FD, autoClose: false })
  events.on('error', () => undefined)
  const emit = (event: GateEvent): Promise<void> => new Promise((resolve) => events.write(`${JSON.stringify(event)}\n`, () => resolve()))
  // Interrupts of the terminal reach the whole foreground group: they are the supervisor's to pass on.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGPIPE'] as const) process.on(signal, () => undefined)
  try {
    let run: GateRun | ServeRun | null = null
    const spec = await receiveSpec((command) => run?.command(command))
    run = 'kind' in spec ? new ServeRun(spec, emit) : new GateRun(spec, emit)
    await emit({ event: 'ended', end: await run.run() })
    process.exit(0)
  } catch (error) {
    await emit(failure(error))
    process.exit(1)
  }
}

function receiveSpec(onCommand: (command: SupervisorCommand) => void): Promise<RunSpec | ServeSpec> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new CliError('internal', 'the supervisor said nothing', `${GATE_COMMAND} is not for people: use \`authority run\``)),
      SPEC_DEADLINE_MS,
    )
    let received = false
    const input = createReadStream('', { fd: SPEC_FD, autoClose: false })
    readLines(input, (line) => {
      const message: unknown = JSON.parse(line)
      if (received) return onCommand(message as SupervisorCommand)
      received = true
      clearTimeout(timer)
      resolve(message as RunSpec | ServeSpec)
    })
    // The supervisor is gone, or closed its end: the run must not outlive it. A stream that does not close its descriptor tells `end`, never `close`.
    for (const gone of ['end', 'error', 'close'] as const)
      input.on(gone, () => onCommand({ command: 'stop', reason: 'the supervisor is gone' }))
  })
}

function failure(error: unknown): GateEvent {
  if (error instanceof CliError)
    return { event: 'failed', code: error.code, message: error.message, hint: error.hint, exitCode: error.exitCode }
  if (error instanceof AuthorityError)
    return {
      event: 'failed',
      code: error.code,
      message: error.message,
      hint: error.hint ?? '`authority doctor` checks this machine',
      exitCode: 125,
    }
  const message = error instanceof Error ? error.message : String(error)
  return { event: 'failed', code: 'internal', message: `a fault in the gate: ${message}`, hint: 'please report it', exitCode: 125 }
}
