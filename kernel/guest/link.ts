import {
  AuthorityError,
  encodeGateToGuest,
  FENCES,
  GATE_TO_GUEST,
  type GateToGuestMessage,
  GUEST_TO_GATE,
  GUEST_VERSION,
  type GuestFile,
  type GuestMessage,
  LinkReader,
  parseGuestMessage,
} from '@authority/protocol'
import type { Transport } from '../gate/transport.ts'
import { Asking } from './asking.ts'
import { Deferred } from './deferred.ts'
import { Heartbeat } from './heartbeat.ts'
import { InputPump } from './input.ts'
import {
  ARMED_DEADLINE_MS,
  MAX_CONTROL_FRAME_BYTES,
  MAX_CONTROL_UNREAD_BYTES,
  POWER_OFF_DEADLINE_MS,
  READY_DEADLINE_MS,
  STARTED_DEADLINE_MS,
} from './limits.ts'
import { LookingAgain } from './looking-again.ts'
import { OutputMeter } from './output.ts'
import { OpenQuestions } from './questions.ts'
import { Ticks } from './ticks.ts'
import {
  type GuestClock,
  type GuestExit,
  GuestFault,
  type GuestHandlers,
  type GuestReady,
  type GuestSetup,
  type GuestStart,
} from './types.ts'

type Phase = 'booting' | 'ready' | 'arming' | 'armed' | 'starting' | 'running' | 'exited' | 'over'
type Of<T extends number> = Extract<GuestMessage, { readonly type: T }>

const EXIT_KINDS = ['exit', 'signal', 'exec'] as const

/**
 * The gate's end of one guest's control port: waitReady → arm → start → exit → powerOff, each with a deadline. What the guest sends is a claim: bounded,
 * checked against the phase, and the first breach of the protocol ends the link, which makes init power off. After a failure every wait rejects with it.
 */
export class GuestLink {
  readonly #transport: Transport
  readonly #clock: GuestClock
  readonly #handlers: GuestHandlers
  readonly #reader = new LinkReader({ maxFrameBytes: MAX_CONTROL_FRAME_BYTES })
  readonly #ready = new Deferred<GuestReady>()
  readonly #armed = new Deferred<void>()
  readonly #started = new Deferred<number>()
  readonly #exit = new Deferred<GuestExit>()
  readonly #closed = new Deferred<void>()
  readonly #outputs: { readonly 1: OutputMeter; readonly 2: OutputMeter }
  readonly #input: InputPump
  readonly #questions: OpenQuestions
  readonly #programs: Asking<string>
  readonly #signals: Asking<boolean>
  readonly #looking: LookingAgain
  readonly #heartbeat: Heartbeat
  readonly #ticks: Ticks
  #phase: Phase = 'booting'
  #failure: Error | null = null
  #cancelDeadline: (() => void) | null = null

  constructor(transport: Transport, clock: GuestClock, handlers: GuestHandlers) {
    this.#transport = transport
    this.#clock = clock
    this.#handlers = handlers
    const output = (fd: 1 | 2) =>
      new OutputMeter(
        fd,
        (data) => handlers.onOutput(fd, data),
        (bytes) => this.#send({ type: GATE_TO_GUEST.STDOUT_CREDIT, fd, bytes }),
        (error) => this.#fail(error),
      )
    this.#outputs = { 1: output(1), 2: output(2) }
    this.#input = new InputPump(
      (data) => this.#send({ type: GATE_TO_GUEST.STDIN, data }),
      () => this.#send({ type: GATE_TO_GUEST.STDIN_END }),
    )
    this.#questions = new OpenQuestions(
      (question) => handlers.onOpen(question),
      (id, { allow, cacheable }) => this.#send({ type: GATE_TO_GUEST.OPEN_ANSWER, id, allow, cacheable }),
    )
    this.#programs = new Asking('WHO', clock, (pid) => this.#send({ type: GATE_TO_GUEST.WHO, pid }))
    this.#signals = new Asking('SIGNALLED', clock, (pid) => this.#send({ type: GATE_TO_GUEST.SIGNALLED, pid }))
    this.#looking = new LookingAgain(
      clock,
      (files) => this.#send({ type: GATE_TO_GUEST.LOOK_AGAIN, files }),
      (error) => this.#fail(error),
    )
    this.#heartbeat = new Heartbeat(
      clock,
      (n) => this.#send({ type: GATE_TO_GUEST.PING, n }),
      (error) => this.#fail(error),
    )
    this.#ticks = new Ticks(clock)
    this.#deadline(READY_DEADLINE_MS, 'the guest did not boot: no READY')
    transport.onData = (chunk) => this.#receive(chunk)
    transport.onClose = () => this.#transportClosed()
  }

  /** Resolves when init runs and nothing is mounted yet. Rejects with E_TIMEOUT, E_PROTOCOL, E_UNSUPPORTED or E_IO (the port closed). */
  waitReady(): Promise<GuestReady> {
    return this.#ready.promise
  }

  /** Resolves when every fence is armed; rejects with GuestFault when one could not be, and then no agent may be started. */
  arm(setup: GuestSetup): Promise<void> {
    this.#enter('ready', 'arming')
    this.#send({ type: GATE_TO_GUEST.SETUP, version: GUEST_VERSION, ...setup })
    this.#deadline(ARMED_DEADLINE_MS, 'the guest did not arm its fences')
    return this.#armed.promise
  }

  /** Resolves with the agent's process id when it is about to execute. */
  start({ argv, env, cwd, uid, gid, tty }: GuestStart): Promise<number> {
    this.#enter('armed', 'starting')
    this.#send({
      type: GATE_TO_GUEST.START,
      argv,
      env,
      cwd,
      uid,
      gid,
      tty: tty !== null,
      rows: tty?.rows ?? 0,
      cols: tty?.cols ?? 0,
    })
    this.#deadline(STARTED_DEADLINE_MS, 'the guest did not start the agent')
    return this.#started.promise
  }

  /** How the agent ended, after all its output was taken. No deadline of its own: the run's time limit decides; a guest that hangs is noticed by its silence. */
  get exit(): Promise<GuestExit> {
    return this.#exit.promise
  }

  /** Settles when the port is closed, whatever happened. */
  get closed(): Promise<void> {
    return this.#closed.promise
  }

  /** CPU time of the guest so far, in µs, as it claims. */
  get cpuUs(): number {
    return this.#ticks.cpuUs
  }

  /** Resolves true once all bytes were sent, false when the agent is gone; wait before writing more. */
  writeStdin(data: Uint8Array): Promise<boolean> {
    return this.#input.write(data)
  }

  endStdin(): void {
    this.#input.end()
  }

  /** The program of a process, as init claims: empty when there is none, null when the guest is silent or over. */
  program(pid: number): Promise<string | null> {
    return this.#phase === 'running' ? this.#programs.ask(pid) : Promise.resolve(null)
  }

  /** Whether a signal waits for a process, as init claims; null when the guest is silent or over. */
  signalled(pid: number): Promise<boolean | null> {
    return this.#phase === 'running' ? this.#signals.ask(pid) : Promise.resolve(null)
  }

  /** Resolves when the guest's kernel believes nothing old of this host file any more, or the guest is over. */
  lookAgain(file: GuestFile): Promise<void> {
    return this.#phase === 'running' ? this.#looking.ask(file) : Promise.resolve()
  }

  /** To the agent's process group; nothing happens when none runs. */
  signal(signal: number): void {
    if (this.#phase === 'running') this.#send({ type: GATE_TO_GUEST.SIGNAL, signal })
  }

  resize(rows: number, cols: number): void {
    if (this.#phase === 'running') this.#send({ type: GATE_TO_GUEST.WINDOW, rows, cols })
  }

  /** Asks the guest to power off and resolves when the port is closed, by the guest or at the deadline by us. Allowed in every phase. */
  powerOff(): Promise<void> {
    if (this.#phase !== 'over') {
      this.#send({ type: GATE_TO_GUEST.POWER_OFF })
      this.#finish(new AuthorityError('E_CANCELLED', 'the guest was powered off'))
      this.#cancelDeadline = this.#clock.after(POWER_OFF_DEADLINE_MS, () => this.#transport.close())
    }
    return this.#closed.promise
  }

  #enter(from: Phase, to: Phase): void {
    if (this.#failure !== null) throw this.#failure
    if (this.#phase !== from) throw new AuthorityError('E_INTERNAL', `the guest is ${this.#phase}, not ${from}`)
    this.#phase = to
  }

  #send(message: GateToGuestMessage): void {
    if (this.#phase === 'over') return
    if (this.#transport.queued > MAX_CONTROL_UNREAD_BYTES)
      return this.#fail(new AuthorityError('E_PROTOCOL', 'the guest does not read its control port'))
    this.#transport.write(encodeGateToGuest(message))
  }

  #receive(chunk: Uint8Array): void {
    if (this.#phase === 'over') return
    try {
      this.#reader.push(chunk, (session, item) => {
        if (session !== 0) throw new AuthorityError('E_PROTOCOL', `the guest used session ${session} on the control port`)
        this.#handle(parseGuestMessage(item))
      })
    } catch (error) {
      this.#fail(error)
    }
  }

  #handle(message: GuestMessage): void {
    switch (message.type) {
      case GUEST_TO_GATE.READY:
        return this.#onReady(message)
      case GUEST_TO_GATE.ARMED:
        return this.#onArmed(message)
      case GUEST_TO_GATE.STARTED:
        return this.#onStarted(message)
      case GUEST_TO_GATE.PONG:
        return this.#heartbeat.answered(message.n)
      case GUEST_TO_GATE.FAULT:
        throw new GuestFault(message.stage, message.errno, message.detail)
      case GUEST_TO_GATE.STDIN_CREDIT:
        this.#expect('STDIN_CREDIT', 'starting', 'running')
        return this.#input.credit(message.bytes)
      case GUEST_TO_GATE.OUTPUT_END:
        this.#expect('OUTPUT_END', 'starting', 'running')
        return this.#output(message.fd).end()
      case GUEST_TO_GATE.OUTPUT:
        this.#expect('OUTPUT', 'running')
        return this.#output(message.fd).receive(message.data)
      case GUEST_TO_GATE.OPEN_QUESTION: {
        this.#expect('OPEN_QUESTION', 'running')
        const { id, pid, exec, nlink, path } = message
        return this.#questions.ask(id, { pid, exec, nlink, path })
      }
      case GUEST_TO_GATE.PROGRAM:
        return this.#programs.answered(message.pid, message.exe)
      case GUEST_TO_GATE.SIGNAL_WAITS:
        return this.#signals.answered(message.pid, message.waits)
      case GUEST_TO_GATE.LOOKED_AGAIN:
        return this.#looking.answered()
      case GUEST_TO_GATE.TICK:
        return this.#onTick(message.cpuUs)
      case GUEST_TO_GATE.EXITED:
        return this.#onExited(message)
    }
  }

  #expect(name: string, ...phases: readonly Phase[]): void {
    if (!phases.includes(this.#phase)) throw new AuthorityError('E_PROTOCOL', `the guest sent ${name} while ${this.#phase}`)
  }

  #output(fd: number): OutputMeter {
    return fd === 1 ? this.#outputs[1] : this.#outputs[2]
  }

  #onReady({ version, bootMs, kernel }: Of<typeof GUEST_TO_GATE.READY>): void {
    this.#expect('READY', 'booting')
    if (version !== GUEST_VERSION) {
      throw new AuthorityError('E_UNSUPPORTED', `the guest's init speaks version ${version}, this gate ${GUEST_VERSION}`, {
        hint: 'use the init of this build, not of another',
      })
    }
    this.#phase = 'ready'
    this.#met()
    this.#heartbeat.start()
    this.#ready.resolve({ bootMs, kernel })
  }

  #onArmed({ fences }: Of<typeof GUEST_TO_GATE.ARMED>): void {
    this.#expect('ARMED', 'arming')
    const missing = FENCES.filter((fence) => !fences.includes(fence))
    if (missing.length > 0) throw new AuthorityError('E_PROTOCOL', `the guest did not arm ${missing.join(', ')}`)
    this.#phase = 'armed'
    this.#met()
    this.#armed.resolve()
  }

  #onStarted({ pid }: Of<typeof GUEST_TO_GATE.STARTED>): void {
    this.#expect('STARTED', 'starting')
    this.#phase = 'running'
    this.#met()
    this.#ticks.start()
    this.#started.resolve(pid)
  }

  #onTick(cpuUs: number): void {
    this.#expect('TICK', 'running')
    this.#ticks.take(cpuUs)
    this.#handlers.onTick(this.#ticks.cpuUs)
  }

  #onExited({ kind, value, cpuUs, maxRssKib, oomKills }: Of<typeof GUEST_TO_GATE.EXITED>): void {
    this.#expect('EXITED', 'running')
    if (!this.#outputs[1].ended || !this.#outputs[2].ended)
      throw new AuthorityError('E_PROTOCOL', 'the guest sent EXITED before its output ended')
    this.#phase = 'exited'
    this.#input.close()
    const exit: GuestExit = { kind: EXIT_KINDS[kind] ?? 'exit', value, cpuUs, maxRssKib, oomKills }
    void Promise.all([this.#outputs[1].drained, this.#outputs[2].drained]).then(() => this.#exit.resolve(exit))
  }

  #deadline(ms: number, message: string): void {
    this.#met()
    this.#cancelDeadline = this.#clock.after(ms, () =>
      this.#fail(
        new AuthorityError('E_TIMEOUT', `${message} within ${ms / 1000} s`, {
          hint: 'run again with --console to see the guest kernel’s log',
        }),
      ),
    )
  }

  #met(): void {
    this.#cancelDeadline?.()
    this.#cancelDeadline = null
  }

  #transportClosed(): void {
    this.#fail(new AuthorityError('E_IO', `the guest closed its control port while ${this.#phase}`))
    this.#met()
    this.#closed.resolve()
  }

  #fail(cause: unknown): void {
    if (this.#phase === 'over') return
    const error = cause instanceof Error ? cause : new AuthorityError('E_INTERNAL', 'the guest’s messages could not be handled', { cause })
    this.#finish(error)
    this.#transport.close()
  }

  /** Ends every wait with `error` where it is not over yet. */
  #finish(error: Error): void {
    this.#phase = 'over'
    this.#programs.end()
    this.#signals.end()
    this.#looking.end()
    this.#failure = error
    this.#reader.stop()
    this.#met()
    this.#heartbeat.stop()
    this.#input.close()
    for (const wait of [this.#ready, this.#armed, this.#started, this.#exit]) wait.reject(error)
  }
}
