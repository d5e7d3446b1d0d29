import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { resolverTexts } from '@authority/kernel/effects/net'
import { type Session, serveSocketSession } from '@authority/kernel/gate'
import { processStartTicks, type RunRecord, runFolder, writeRun } from '../run-record.ts'
import type { EndFacts, GateEvent, ServeSpec, SupervisorCommand } from '../run-spec.ts'
import { type GateCore, openGateCore, sharedFacts } from './core.ts'
import { type End, sealRun } from './ending.ts'
import { fingerprints } from './fingerprints.ts'
import { operatorOperations } from './operator.ts'
import { publishedFacts } from './published-facts.ts'
import { TimeKeeper } from './time-keeper.ts'
import { listenUnix } from './unix-server.ts'

/** What the first record and the start line say separates the client from the host. */
const ISOLATION = 'none: gate without a machine, only what is sent to it is mediated'
const EXIT_TIMEOUT = 124
const EXIT_FAILED = 125
const SIGTERM = 15
/** ms between two looks at the log's health. */
const WATCH_MS = 250

/** One gate on a unix socket, from its first record to its seal: the same pipeline as a run's, without a machine. */
export class ServeRun {
  private readonly spec: ServeSpec
  private readonly folder: string
  private readonly emit: (event: GateEvent) => Promise<void>
  private readonly sessions = new Set<Session>()
  private record: RunRecord
  private approvals: GateCore['approvals'] | null = null
  private endWith: (end: End) => void = () => undefined
  private readonly ended = new Promise<End>((resolve) => {
    this.endWith = resolve
  })

  constructor(spec: ServeSpec, emit: (event: GateEvent) => Promise<void>) {
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
      isolation: ISOLATION,
      image_sha256: '',
    }
  }

  command(command: SupervisorCommand): void {
    if (command.command === 'decide') return this.decide(command)
    if (command.command === 'stop') this.endWith({ endedBy: 'stop', exitCode: 0, reason: command.reason })
    else if (command.command === 'ended') this.endWith({ endedBy: command.endedBy, exitCode: command.exitCode, reason: null })
  }

  /** Somebody else may have decided meanwhile, or the time was up: then there is nothing left to do. */
  private decide({ id, decision, by }: Extract<SupervisorCommand, { command: 'decide' }>): void {
    this.approvals?.decide(id, decision, by).catch(() => undefined)
  }

  async run(): Promise<EndFacts> {
    const core = await this.openCore()
    this.save({ policy: core.policy.id })
    this.approvals = core.approvals
    try {
      return await this.seal(core, await this.listenAndServe(core))
    } catch (error) {
      await this.seal(core, { endedBy: 'gate', exitCode: EXIT_FAILED, reason: 'the gate failed' })
      throw error
    }
  }

  private async openCore(): Promise<GateCore> {
    const { spec } = this
    let opened: GateCore | null = null
    const core = (): GateCore => {
      if (opened === null) throw new Error('the gate is not open yet')
      return opened
    }
    opened = await openGateCore({
      run: spec.run,
      home: spec.home,
      folder: this.folder,
      build: spec.build,
      isolation: ISOLATION,
      policy: {
        bytes: Buffer.from(spec.policy.base64, 'base64'),
        source: spec.policy.source,
        kind: 'operator',
        includes: spec.policy.includes ?? [],
      },
      hosts: spec.hosts,
      resolver: spec.resolver,
      authorities: spec.authorities,
      published: spec.published ?? [],
      budgets: spec.budgets,
      ...(spec.keep === undefined ? {} : { keep: spec.keep }),
      ...(spec.given === undefined ? {} : { given: spec.given }),
      mounts: spec.mounts,
      guarded: spec.guarded,
      detail: {
        program: spec.program,
        mounts: spec.mounts.map(({ host, guest, readonly }) => ({ host, guest, readonly })),
        hosts: spec.hosts.map(([name, address]) => ({ name, address })),
        resolver: resolverTexts(spec.resolver),
        authorities: fingerprints(spec.authorities),
        published: publishedFacts(spec),
      },
      cpus: null,
      onMark: (mark) => void this.emit({ event: 'mark', mark }),
      onApproval: (pending) => void this.emit({ event: 'approval', pending }),
      onSettled: (digest) => void this.emit({ event: 'settled', digest }),
      operator: operatorOperations({
        core,
        record: () => this.record,
        stop: (reason) => this.endWith({ endedBy: 'stop', exitCode: 128 + SIGTERM, reason }),
      }),
    })
    return opened
  }

  private async listenAndServe(core: GateCore): Promise<End> {
    const undo: (() => void)[] = []
    try {
      undo.push(this.listen(this.spec.socket, core, 'session'))
      // Relative to the run's folder: a long home folder must not exceed what a socket's path may hold.
      process.chdir(this.folder)
      undo.push(this.listen('control.sock', core, 'operator'))
      const tokenFile = join(this.folder, 'token')
      writeFileSync(tokenFile, core.capability.runToken, { mode: 0o600, flag: 'wx' })
      undo.push(() => rmSync(tokenFile, { force: true }))
      return await this.serve(core, tokenFile)
    } finally {
      for (const step of undo.reverse()) step()
      await Promise.allSettled([...this.sessions].map((session) => session.end()))
    }
  }

  private listen(path: string, core: GateCore, role: 'session' | 'operator'): () => void {
    const server = listenUnix(path, (transport, number) => {
      const session = serveSocketSession({
        transport,
        subject: { session: `${role === 'session' ? 'socket' : 'operator'}:${number}`, via: role },
        run: this.spec.run,
        registry: core.registry,
        // Until all it had is closed: the log is sealed after that.
        onEnd: () => void session.end().finally(() => this.sessions.delete(session)),
      })
      this.sessions.add(session)
    })
    return () => server.stop()
  }

  private async serve(core: GateCore, tokenFile: string): Promise<End> {
    const { spec } = this
    this.save({ state: 'running' })
    await this.emit({
      event: 'started',
      start: {
        run: spec.run,
        isolation: ISOLATION,
        policy: { id: core.policy.id, source: core.policy.source },
        budgets: core.limits,
        ...sharedFacts(core),
        mounts: spec.mounts,
        scratch: [],
        audit: core.audit.path,
        resolver: resolverTexts(spec.resolver),
        authorities: fingerprints(spec.authorities),
        console: false,
        unfilteredTerminal: false,
      },
    })
    const keeper = new TimeKeeper({
      budget: core.budget,
      audit: core.audit,
      clock: core.clock,
      cpus: 1,
      shared: core.shared,
      onExhausted: (why) => this.endWith({ endedBy: 'timeout', exitCode: EXIT_TIMEOUT, reason: why }),
    })
    if (!keeper.isUsedUp) await this.emit({ event: 'serving', tokenFile })
    const watch = setInterval(() => {
      const { latched } = core.audit
      if (latched !== null) this.endWith({ endedBy: 'audit', exitCode: EXIT_FAILED, reason: `the audit log cannot be written: ${latched}` })
    }, WATCH_MS)
    const end = await this.ended
    clearInterval(watch)
    keeper.stop()
    return end
  }

  private async seal(core: GateCore, end: End): Promise<EndFacts> {
    const facts = await sealRun({ core, end, run: this.spec.run, folder: this.folder, save: (change) => this.save(change) })
    return { ...facts, timing: [] }
  }

  private save(change: Partial<RunRecord>): void {
    this.record = { ...this.record, ...change }
    writeRun(this.folder, this.record)
  }
}
