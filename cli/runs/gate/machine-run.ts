import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { FuseServer, followFolders, type HostChanges } from '@authority/kernel/effects/fs'
import { EffectsLink, FuseLink, linkNumberOf } from '@authority/kernel/gate'
import { type GuestExit, GuestLink } from '@authority/kernel/guest'
import { AGENT_UID, AuthorityError } from '@authority/protocol'
import { type ExitReport, locateQemu, type Machine, startMachine } from '../../machine/index.ts'
import type { RunSpec } from '../run-spec.ts'
import { AgentIo } from './agent-io.ts'
import { ClaimedPrograms } from './claimed-programs.ts'
import type { GateCore } from './core.ts'
import { imageOpens } from './image-opens.ts'
import { machineCpuMs } from './machine-cpu.ts'
import { onWindowChange, windowSize } from './window.ts'

/** ms for what an agent that ended had sent to arrive where it goes: its machine holds it, as the kernel of a host would. */
const LAST_WORDS_MS = 5_000
/** ms for QEMU, whose ports have closed, to be gone. */
const GONE_MS = 2_000

export interface MachineRunOptions {
  readonly spec: RunSpec
  readonly core: GateCore
  readonly folder: string
  /** A step was reached, `agoMs` before now when it is only learned of now. */
  readonly mark: (step: string, agoMs?: number) => void
  /** CPU time of the machine in ms, as the host counts it, or as the guest claims where that is more. */
  readonly onCpu: (ms: number) => void
  readonly onRunning: () => void
}

/** One VM from boot to power-off: the machine, its ports and the agent inside. */
export class MachineRun {
  readonly io: AgentIo
  /** The last file of the image that policy refused: the likely cause when the agent cannot be started. */
  deniedImageFile: string | null = null
  private readonly options: MachineRunOptions
  private machine: Machine | null = null
  private guest: GuestLink | null = null
  private effects: EffectsLink | null = null
  private network: EffectsLink | null = null
  private fuse: FuseLink | null = null
  private stopInput: () => void = () => undefined
  private stopWindow: () => void = () => undefined
  private cpuTimer: ReturnType<typeof setInterval> | undefined
  private stopping = false
  /** What the guest did to break a port: the reason of everything that fails after it. */
  private breach: AuthorityError | null = null

  constructor(options: MachineRunOptions) {
    this.options = options
    this.io = new AgentIo({ raw: options.spec.agent.tty })
  }

  /** Boots, arms, starts the agent and waits for its end. Throws AuthorityError when the machine or the guest fails. */
  async run(): Promise<GuestExit> {
    try {
      return await this.runGuest()
    } catch (error) {
      throw this.breach ?? (await this.explained(error))
    }
  }

  private async runGuest(): Promise<GuestExit> {
    const { spec, mark } = this.options
    const machine = await this.boot()
    const guest = this.connect(machine)
    const { kernel, bootMs } = await guest.waitReady()
    // The guest's own clock began with its kernel: a claim, good enough to see where the time of a start goes.
    mark('kernel', bootMs)
    mark('init')
    this.options.core.audit.append({ type: 'GUEST', event: 'ready', detail: { kernel, boot_ms: bootMs } })
    await guest.arm(this.setup())
    mark('mounts')
    const { argv, env, cwd } = spec.agent
    await guest.start({ argv, env, cwd, uid: AGENT_UID, gid: AGENT_UID, tty: spec.agent.tty ? windowSize() : null })
    mark('agent')
    if (spec.agent.tty) this.followWindow(guest)
    this.options.onRunning()
    this.stopInput = this.io.pumpInput(guest)
    const died = machine.exited.then(() => {
      throw new AuthorityError('E_IO', 'the machine went away')
    })
    const exit = await Promise.race([guest.exit, died])
    await Promise.race([this.network?.passOn(LAST_WORDS_MS), died])
    mark('exit')
    return exit
  }

  /** Nothing but QEMU's end closes a port of its own accord: how it ended is the cause then. */
  private async explained(error: unknown): Promise<unknown> {
    if (this.machine === null || !(error instanceof AuthorityError) || error.code !== 'E_IO') return error
    const late = new Promise<null>((resolve) => setTimeout(resolve, GONE_MS, null).unref())
    const report = await Promise.race([this.machine.exited, late])
    return report === null ? error : new AuthorityError('E_IO', `${error.message}: ${machineEnded(report)}`, { cause: error })
  }

  /** `-it`: nobody is asked at the terminal, which is the agent's. */
  holdInput(held: boolean): void {
    if (!this.options.spec.agent.tty) this.io.holdInput(held)
  }

  signal(signal: number): void {
    this.guest?.signal(signal)
  }

  /** Ends whatever runs: sessions first, then the guest, then the machine. Safe to call at any time, more than once. */
  async stop(): Promise<void> {
    if (this.stopping) return
    this.stopping = true
    clearInterval(this.cpuTimer)
    this.stopInput()
    this.stopWindow()
    await Promise.allSettled([this.effects?.close(), this.network?.close(), this.fuse?.close()])
    await this.guest?.powerOff()
    this.machine?.kill()
    await this.machine?.exited
    this.options.mark('off')
  }

  /** The size may have changed between START and here: told once more. */
  private followWindow(guest: GuestLink): void {
    const tell = ({ rows, cols }: { readonly rows: number; readonly cols: number }): void => guest.resize(rows, cols)
    this.stopWindow = onWindowChange(tell)
    tell(windowSize())
  }

  private async boot(): Promise<Machine> {
    const { spec, folder, mark } = this.options
    const { machine } = spec
    this.machine = await startMachine({
      arch: machine.arch,
      accel: machine.accel,
      memoryMiB: machine.memoryMib,
      cpus: machine.cpus,
      console: machine.console,
      qemu: await locateQemu(machine.arch, join(spec.home, 'cache')),
      launcher: machine.cell,
      kernel: machine.kernel.path,
      initrd: machine.initrd.path,
      image: spec.image,
      mounts: this.options.core.mounts.list.map(({ number }) => ({ number: linkNumberOf(number), tag: `mount${linkNumberOf(number)}` })),
      folder,
      onConsole: (chunk) => void this.io.output(2, chunk),
    })
    mark('spawned')
    const { pid } = this.machine
    this.cpuTimer = setInterval(() => this.options.onCpu(machineCpuMs(pid) ?? 0), 250)
    return this.machine
  }

  private connect(machine: Machine): GuestLink {
    const { core, spec } = this.options
    const gate = new ClaimedPrograms(core.audit, () => this.guest ?? undefined).over(core.pipeline)
    const fault = (error: AuthorityError): void => {
      this.breach ??= error
      machine.kill()
      core.audit.append({ type: 'GUEST', event: 'protocol-fault', detail: { message: error.message } })
    }
    this.effects = new EffectsLink({ transport: machine.effects, run: spec.run, registry: core.registry, onFault: fault })
    this.network = new EffectsLink({ transport: machine.net, run: spec.run, registry: core.registry, peer: 'network', onFault: fault })
    if (machine.fuse !== null)
      this.fuse = new FuseLink({
        transport: machine.fuse,
        server: (send) =>
          new FuseServer({
            context: core.fsContext,
            gate,
            subject: { session: 'fuse', via: 'fuse' },
            send,
            lookAgain: (mount, node, attributes) =>
              this.guest?.lookAgain({ mount: linkNumberOf(mount), node, attributes }) ?? Promise.resolve(),
            host: hostChanges(core),
            signalled: (pid) => this.guest?.signalled(pid) ?? Promise.resolve(null),
          }),
        onFault: fault,
      })
    this.guest = new GuestLink(machine.control, guestClock, {
      onOpen: imageOpens(gate, (path) => {
        this.deniedImageFile = path
      }),
      onOutput: (fd, data) => this.io.output(fd, data),
      onTick: (cpuUs) => this.options.onCpu(cpuUs / 1000),
    })
    return this.guest
  }

  private setup(): Parameters<GuestLink['arm']>[0] {
    const { core, spec } = this.options
    const now = core.clock.wallMs()
    return {
      entropy: randomBytes(32),
      timeS: Math.floor(now / 1000),
      timeNs: Math.floor((now % 1000) * 1e6),
      hostname: 'authority',
      mounts: core.mounts.list.map(({ number, guest, readonly, kind }) => ({
        number: linkNumberOf(number),
        path: guest,
        readonly,
        file: kind === 'file',
      })),
      scratch: spec.scratch.map(({ guest, bytes }) => ({ path: guest, size: bytes, mode: 0o1777 })),
    }
  }
}

/** QEMU ends with status 0 when its machine restarts, which is what a panic and an init that gives up come to. */
function machineEnded({ code, signal, stderrTail }: ExitReport): string {
  if (code === 0) return 'its kernel panicked or restarted (--console shows its last words)'
  return `QEMU ended (${signal ?? `status ${code}`}) ${stderrTail.trim().split('\n').at(-1) ?? ''}`.trimEnd()
}

function hostChanges(core: GateCore): HostChanges {
  return {
    follow: followFolders,
    wallMs: () => core.clock.wallMs(),
    steadyMs: () => performance.now(),
    rules: () => core.policy.id,
    every: (ms, call) => {
      const timer = setInterval(call, ms)
      return () => clearInterval(timer)
    },
  }
}

const guestClock = {
  now: () => performance.now(),
  after: (ms: number, run: () => void) => {
    const timer = setTimeout(run, ms)
    return () => clearTimeout(timer)
  },
}
