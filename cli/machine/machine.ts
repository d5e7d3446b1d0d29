import { closeSync, realpathSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Transport } from '@authority/kernel/gate'
import { AuthorityError } from '@authority/protocol'
import { type CellProcess, type ExitReport, spawnCell } from './cell-process.ts'
import { openImage } from './image-file.ts'
import { CONNECT_DEADLINE_MS } from './limits.ts'
import { listenOnce, type PortListener, socketFolder } from './port-listener.ts'
import { type Accel, type MachineArch, PORT_NAMES, type PortName, qemuArguments } from './qemu.ts'
import type { QemuBinary } from './qemu-binary.ts'

/** Adapter: boots one VM for one run and hands out its ports. Prints nothing, decides nothing. */

export interface MachineSpec {
  readonly arch: MachineArch
  readonly accel: Accel
  readonly memoryMiB: number
  readonly cpus: number
  /** Kernel log to `onConsole`. */
  readonly console: boolean
  readonly qemu: QemuBinary
  /** Path of authority-cell. */
  readonly launcher: string
  /** Kernel and initial file system on the host, mode 0444. */
  readonly kernel: string
  readonly initrd: string
  /** The read-only disk; null boots without one. */
  readonly image: { readonly path: string; readonly sha256: string } | null
  /** Host mounts: the number of each on the link and the tag the guest finds it by. */
  readonly mounts: readonly { readonly number: number; readonly tag: string }[]
  /** 0700 folder of the run, where the sockets stand until QEMU is connected. */
  readonly folder: string
  /** Bytes of the guest's kernel log, untrusted. */
  readonly onConsole?: (chunk: Uint8Array) => void
}

export interface Machine {
  readonly effects: Transport
  readonly net: Transport
  /** Null without host mounts. */
  readonly fuse: Transport | null
  readonly control: Transport
  /** Process id of the cell's launcher. */
  readonly pid: number
  /** QEMU's arguments as given, for the first record. */
  readonly argv: readonly string[]
  /** ms since the epoch of each step, for --timing. */
  readonly marks: Readonly<Record<'start' | 'imageChecked' | 'spawned' | 'connected', number>>
  /** Resolves once, when QEMU and its cell are gone; never rejects. Status 0 says nothing: the guest's report decides. */
  readonly exited: Promise<ExitReport>
  /** Takes the machine away at once; `exited` tells when it is gone. */
  kill(): void
}

/** The sockets of the gate: one for each port, and where there are host mounts one for their back end. */
type SocketName = PortName | 'fuse'
/** Descriptor numbers in the cell: 3 is the image, sockets follow. */
const IMAGE_FD = 3
const FIRST_PORT_FD = 4
const FUSE_FD = FIRST_PORT_FD + PORT_NAMES.length
const FIRST_FILES_FD = FUSE_FD + 1
/** Where the cell shows the kernel and initrd, so that QEMU's arguments hold no host path of a user. */
const CELL_KERNEL = '/boot/kernel'
const CELL_INITRD = '/boot/initrd'

/**
 * Starts QEMU in its cell and answers when all ports are connected: the guest's first message is what proves that it boots, and until then the
 * caller watches `exited` too (`startFailure` says it in words). Throws E_NOT_FOUND, E_CONFLICT (changed image), E_UNSUPPORTED (no cell possible), E_TIMEOUT,
 * E_IO; nothing is left behind then.
 */
export async function startMachine(spec: MachineSpec): Promise<Machine> {
  const start = Date.now()
  if (spec.qemu.arch !== spec.arch)
    throw new AuthorityError('E_CONFLICT', `this QEMU emulates ${spec.qemu.arch}, the image is for ${spec.arch}`)
  const imageFd = spec.image === null ? null : openImage(spec.image.path, spec.image.sha256)
  const imageChecked = Date.now()
  let folder: string | null = null
  const listeners = new Map<SocketName, PortListener>()
  let cell: CellProcess | null = null
  try {
    const names: readonly SocketName[] = spec.mounts.length === 0 ? PORT_NAMES : [...PORT_NAMES, 'fuse']
    folder = socketFolder(spec.folder, Math.max(...names.map((name) => name.length)))
    for (const name of names) listeners.set(name, listenOnce(join(folder, name)))
    const argv = machineArguments(spec)
    cell = spawnCell({
      launcher: spec.launcher,
      connect: PORT_NAMES.map((name, index) => ({ fd: FIRST_PORT_FD + index, path: join(folder ?? '', name) })),
      mounts:
        spec.mounts.length === 0
          ? null
          : {
              gate: { fd: FUSE_FD, path: join(folder ?? '', 'fuse') },
              memoryMiB: spec.memoryMiB,
              mounts: spec.mounts.map(({ number }, index) => ({ fd: FIRST_FILES_FD + index, number })),
            },
      inherit: imageFd === null ? [] : [imageFd],
      files: [
        ...spec.qemu.files,
        { source: realpathSync(spec.kernel), target: CELL_KERNEL },
        { source: realpathSync(spec.initrd), target: CELL_INITRD },
      ],
      devices: devicesFor(spec.accel),
      program: [spec.qemu.path, ...argv],
      onOutput: spec.console ? (spec.onConsole ?? (() => {})) : null,
    })
    const spawned = Date.now()
    const ports = await connectedPorts(listeners, cell)
    const { exited, kill, pid } = cell
    return { fuse: null, ...ports, pid, argv, exited, kill, marks: { start, imageChecked, spawned, connected: Date.now() } }
  } catch (failure) {
    cell?.kill()
    await cell?.exited
    throw failure
  } finally {
    if (imageFd !== null) closeSync(imageFd)
    for (const listener of listeners.values()) listener.stop()
    if (folder !== null) rmSync(folder, { recursive: true, force: true })
  }
}

/** QEMU's arguments for a spec, as it sees its cell. */
export function machineArguments(spec: MachineSpec): string[] {
  const fds = Object.fromEntries(PORT_NAMES.map((name, index) => [name, FIRST_PORT_FD + index])) as Record<PortName, number>
  return qemuArguments({
    arch: spec.arch,
    accel: spec.accel,
    memoryMiB: spec.memoryMiB,
    cpus: spec.cpus,
    console: spec.console,
    kernel: CELL_KERNEL,
    initrd: CELL_INITRD,
    imageFd: spec.image === null ? null : IMAGE_FD,
    ports: fds,
    files: spec.mounts.map(({ tag }, index) => ({ fd: FIRST_FILES_FD + index, tag })),
    firmware: spec.qemu.firmware,
    sandbox: process.platform === 'linux',
  })
}

/** Device nodes the cell shows: nothing of the host's but what this accelerator needs. */
export function devicesFor(accel: Accel): readonly string[] {
  return accel === 'kvm' ? ['null', 'urandom', 'kvm'] : ['null', 'urandom']
}

async function connectedPorts(listeners: ReadonlyMap<SocketName, PortListener>, cell: CellProcess): Promise<Record<PortName, Transport>> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), CONNECT_DEADLINE_MS)
  })
  const all = Promise.all([...listeners].map(async ([name, listener]) => [name, await listener.connected] as const))
  try {
    const first = await Promise.race([all, late, cell.exited])
    if (first === 'late')
      throw new AuthorityError('E_TIMEOUT', `QEMU did not connect within ${CONNECT_DEADLINE_MS} ms`, {
        hint: 'is the machine overloaded? `authority doctor` checks QEMU',
      })
    if (!Array.isArray(first)) throw startFailure(first as ExitReport)
    return Object.fromEntries(first as (readonly [SocketName, Transport])[]) as Record<PortName, Transport>
  } finally {
    clearTimeout(timer)
  }
}

/** Exit status of authority-cell when the cell could not be made (cell/cell.h). */
export const CELL_FAILED = 120

/** What an early end means, in words for a person. */
export function startFailure(report: ExitReport): AuthorityError {
  const said = report.stderrTail.trim().split('\n').slice(-3).join(' · ') || 'it said nothing'
  if (report.code === CELL_FAILED) {
    const fix = /; fix: (.*)$/m.exec(report.stderrTail)?.[1]
    return new AuthorityError('E_UNSUPPORTED', `QEMU’s cell cannot be made here, so nothing was started: ${said}`, {
      hint: fix ?? '`authority doctor` checks what the cell needs',
    })
  }
  const how = report.signal === null ? `status ${report.code}` : `signal ${report.signal}`
  return new AuthorityError('E_IO', `QEMU ended (${how}) before the machine was up: ${said}`, {
    hint: '`authority doctor` checks QEMU; --console shows the guest’s kernel log',
  })
}
