import { escapeForDisplay } from '@authority/kernel/audit'
import { resolverTexts } from '@authority/kernel/effects/net'
import { serveSocketSession } from '@authority/kernel/gate'
import { type GuestExit, GuestFault } from '@authority/kernel/guest'
import { AuthorityError } from '@authority/protocol'
import { processStartTicks, type RunRecord, runFolder, writeRun } from '../run-record.ts'
import type { EndFacts, GateEvent, RunSpec, SupervisorCommand } from '../run-spec.ts'
import { type GateCore, openGateCore, sharedFacts } from './core.ts'
import { type End, sealRun } from './ending.ts'
import { fingerprints } from './fingerprints.ts'
import { MachineRun } from './machine-run.ts'
import { operatorOperations } from './operator.ts'
import { publishedFacts } from './published-facts.ts'
import { TimeKeeper } from './time-keeper.ts'
import { listenUnix } from './unix-server.ts'

const EXIT_TIMEOUT = 124
const EXIT_FAILED = 125
const EXIT_NOT_EXECUTABLE = 126
const SIGTERM = 15
const SIGNAL_NUMBERS: Readonly<Record<string, number>> = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGTERM }
/** ms between two looks at the log's health. */
const WATCH_MS = 250

/** One run from its first record to its seal. */
export class GateRun {
  private readonly spec: RunSpec
  private readonly folder: string
  private readonly emit: (event: GateEvent) => Promise<void>
  private readonly marks: [string, number][] = []
  private readonly began = performance.now()
  private machine: MachineRun | null = null
  private record: RunRecord
  private approvals: GateCore['approvals'] | null = null
  private stopWith: (end: End) => void = () => undefined
  /** Resolves when something other than the agent ends the run. */
  private readonly stopped = new Promise<End>((resolve) => {
    this.stopWith = resolve
  })

  constructor(spec: RunSpec, emit: (event: GateEvent) => Promise<void>) {
    this.spec = spec
    this.emit = emit
    this.folder = runFolder(`${spec.home}/runs`, spec.run)
    this.record = {
      format: 1,
      id: spec.run,
      state: 'starting',
      program: spec.program,
      started: new Date().toISOString(),
      ended: null,
      ended_by: null,
      exit_code: null,
      gate: { pid: process.pid, start_ticks: processStartTicks(process.pid) ?? '' },
      policy: '',
      isolation: spec.machine.isolation,
      image_sha256: spec.image.sha256,
    }
  }

  command(command: SupervisorCommand): void {
    if (command.command === 'decide') return this.decide(command)
    if (command.command === 'signal') this.machine?.signal(command.signal)
    else if (command.command === 'stop') this.stopWith(stoppedBySignal(command.reason))
  }

  /** Somebody else may have decided meanwhile, or the time was up: then there is nothing left to do. */
  private decide({ id, decision, by }: Extract<SupervisorCommand, { command: 'decide' }>): void {
    this.approvals?.decide(id, decision, by).catch(() => undefined)
  }

  async run(): Promise<EndFacts> {
    const { spec } = this
    const core = await openGateCore({
      run: spec.run,
      home: spec.home,
      folder: this.folder,
      build: spec.build,
      isolation: spec.machine.isolation,
      policy: {
        bytes: Buffer.from(spec.policy.base64, 'base64'),
        source: spec.policy.source,
        kind: spec.policy.kind,
        includes: spec.policy.includes ?? [],
      },
      hosts: spec.hosts,
      resolver: spec.resolver,
      authorities: spec.authorities,
      published: spec.published ?? [],
      budgets: spec.budgets,
      ...(spec.given === undefined ? {} : { given: spec.given }),
      mounts: spec.mounts,
      guarded: spec.guarded,
      detail: firstRecordFacts(spec),
      cpus: spec.machine.cpus,
      onMark: (mark) => void this.emit({ event: 'mark', mark }),
      onApproval: (pending) => {
        // Before anybody is asked: what is typed from now on is the answer.
        this.machine?.holdInput(true)
        void this.emit({ event: 'approval', pending })
      },
      onSettled: (digest) => {
        this.machine?.holdInput(core.approvals.list().length > 0)
        void this.emit({ event: 'settled', digest })
      },
      operator: operatorOperations({
        core: () => core,
        record: () => this.record,
        stop: (reason) => this.stopWith({ endedBy: 'stop', exitCode: 128 + SIGTERM, reason }),
      }),
    })
    this.mark('log')
    this.save({ policy: core.policy.id })
    this.approvals = core.approvals
    // Relative to the run's folder: a long home folder must not exceed what a socket's path may hold.
    process.chdir(this.folder)
    const control = listenUnix('control.sock', (transport, number) => {
      serveSocketSession({
        transport,
        subject: { session: `operator:${number}`, via: 'operator' },
        run: spec.run,
        registry: core.registry,
        onEnd: () => undefined,
      })
    })
    await this.emit({ event: 'started', start: this.startFacts(core) })
    const timeout = spec.timeoutMs === null ? undefined : setTimeout(() => this.stopWith(timedOut(spec.timeoutMs ?? 0)), spec.timeoutMs)
    const watch = setInterval(() => this.watch(core), WATCH_MS)
    let end: End = { endedBy: 'gate', exitCode: EXIT_FAILED, reason: 'the gate failed' }
    try {
      end = await this.runMachine(core)
    } finally {
      clearTimeout(timeout)
      clearInterval(watch)
      control.stop()
    }
    return this.seal(core, end)
  }

  private async runMachine(core: GateCore): Promise<End> {
    let keeper: TimeKeeper | null = null
    const machine = new MachineRun({
      spec: this.spec,
      core,
      folder: this.folder,
      mark: (step, agoMs) => this.mark(step, agoMs),
      onCpu: (ms) => {
        if (keeper !== null && ms > keeper.cpuMs) keeper.cpuMs = Math.floor(ms)
      },
      onRunning: () => {
        this.save({ state: 'running' })
        void this.emit({ event: 'running' })
      },
    })
    this.machine = machine
    keeper = new TimeKeeper({
      budget: core.budget,
      audit: core.audit,
      clock: core.clock,
      cpus: this.spec.machine.cpus,
      shared: core.shared,
      onExhausted: (why) => this.stopWith({ endedBy: 'timeout', exitCode: EXIT_TIMEOUT, reason: why }),
    })
    const ran = (): Promise<End> => machine.run().then((exit) => agentEnd(exit, machine.deniedImageFile), machineEnd)
    const end = keeper.isUsedUp ? await this.stopped : await Promise.race([ran(), this.stopped])
    await machine.stop()
    keeper.stop()
    for (const { fd, bytes, sha256 } of machine.io.totals()) appendQuietly(core, { type: 'STDIO', fd, bytes, sha256 })
    return end
  }

  private async seal(core: GateCore, end: End): Promise<EndFacts> {
    const facts = await sealRun({ core, end, run: this.spec.run, folder: this.folder, save: (change) => this.save(change) })
    this.mark('seal')
    return { ...facts, timing: this.spec.timing ? this.marks : [] }
  }

  private watch(core: GateCore): void {
    const { latched } = core.audit
    if (latched !== null) this.stopWith({ endedBy: 'audit', exitCode: EXIT_FAILED, reason: `the audit log cannot be written: ${latched}` })
  }

  private startFacts(core: GateCore): Extract<GateEvent, { event: 'started' }>['start'] {
    const { spec } = this
    return {
      run: spec.run,
      isolation: spec.machine.isolation,
      policy: { id: core.policy.id, source: core.policy.source },
      budgets: core.limits,
      ...sharedFacts(core),
      mounts: spec.mounts,
      scratch: spec.scratch.map(({ guest }) => guest),
      resolver: resolverTexts(spec.resolver),
      authorities: fingerprints(spec.authorities),
      audit: core.audit.path,
      console: spec.machine.console,
      unfilteredTerminal: spec.agent.tty,
    }
  }

  private save(change: Partial<RunRecord>): void {
    this.record = { ...this.record, ...change }
    writeRun(this.folder, this.record)
  }

  private mark(step: string, agoMs = 0): void {
    const last = this.marks.at(-1)?.[1] ?? 0
    this.marks.push([step, Math.max(last, Math.round(performance.now() - this.began - agoMs))])
  }
}

function firstRecordFacts(spec: RunSpec): Parameters<typeof openGateCore>[0]['detail'] {
  const { machine } = spec
  return {
    program: spec.program,
    image: { name: spec.image.name, sha256: spec.image.sha256, profiles: spec.image.profiles },
    kernel: { release: machine.kernel.release, sha256: machine.kernel.sha256 },
    initrd: { sha256: machine.initrd.sha256 },
    // A verifier allows time one slice for each.
    cpus: machine.cpus,
    machine: { arch: machine.arch, accel: machine.accel, memory_mib: machine.memoryMib, cpus: machine.cpus, console: machine.console },
    mounts: spec.mounts.map(({ host, guest, readonly, cacheSeconds }) => ({
      host,
      guest,
      readonly,
      ...(cacheSeconds === undefined ? {} : { cache_seconds: cacheSeconds }),
    })),
    scratch: spec.scratch.map(({ guest, bytes }) => ({ guest, bytes })),
    hosts: spec.hosts.map(([name, address]) => ({ name, address })),
    resolver: resolverTexts(spec.resolver),
    authorities: fingerprints(spec.authorities),
    published: publishedFacts(spec),
  }
}

function agentEnd(exit: GuestExit, deniedImageFile: string | null): End {
  const { kind, value, oomKills } = exit
  const starved = oomKills === 0 ? null : 'the machine had no memory left and killed a process (`--memory` gives it more)'
  if (kind === 'exit') return { endedBy: 'agent', exitCode: value & 255, reason: starved }
  if (kind === 'signal') {
    const reason = `the agent was ended by signal ${value}${starved === null ? '' : `: ${starved}`}`
    return { endedBy: 'signal', exitCode: 128 + (value & 127), reason }
  }
  const why = deniedImageFile === null ? '' : `: the policy denies ${deniedImageFile} of its image`
  return { endedBy: 'exec', exitCode: EXIT_NOT_EXECUTABLE, reason: `the program cannot be executed in the guest (errno ${value})${why}` }
}

/** What a guest does wrong is the guest's end; what fails around it the machine's. */
function machineEnd(error: unknown): End {
  const message = error instanceof Error ? error.message : String(error)
  const byGuest =
    error instanceof GuestFault || (error instanceof AuthorityError && (error.code === 'E_PROTOCOL' || error.code === 'E_FRAME_TOO_LARGE'))
  // The guest's own words may be in it: a hostile one must not steer the operator's terminal.
  return { endedBy: byGuest ? 'guest' : 'machine', exitCode: EXIT_FAILED, reason: escapeForDisplay(message) }
}

function timedOut(ms: number): End {
  return { endedBy: 'timeout', exitCode: EXIT_TIMEOUT, reason: `--timeout of ${ms} ms is used up` }
}

function stoppedBySignal(reason: string): End {
  return { endedBy: 'signal', exitCode: 128 + (SIGNAL_NUMBERS[reason] ?? SIGTERM), reason }
}

/** At the end of a run a log that cannot be written is told by its seal. */
function appendQuietly(core: GateCore, body: Parameters<GateCore['audit']['append']>[0]): void {
  try {
    core.audit.append(body)
  } catch {}
}
