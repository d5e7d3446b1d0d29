import { accessSync, constants, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { AuthorityError } from '@authority/protocol'
import { spawnCell } from './cell-process.ts'
import type { Kernel } from './kernel.ts'
import { MAX_PROBE_OUTPUT_BYTES, NEGATIVE_VERDICT_MS, PROBE_DEADLINE_MS } from './limits.ts'
import { CELL_FAILED, devicesFor, startFailure } from './machine.ts'
import { type Accel, type MachineArch, qemuArguments } from './qemu.ts'
import type { QemuBinary } from './qemu-binary.ts'
import { sha256, writeAtomically } from './store.ts'

/** Adapter: which accelerator really boots a guest here. A device that opens proves nothing: some hosts open /dev/kvm and then hang. */

export interface AccelOptions {
  /** `--accel` */
  readonly wanted: 'auto' | Accel
  /** `--require`: refuse anything else. */
  readonly required?: 'kvm' | 'hvf'
  readonly arch: MachineArch
  readonly qemu: QemuBinary
  readonly kernel: Kernel
  readonly launcher: string
  readonly cacheFolder: string
  readonly deadlineMs?: number
  /** Where KVM's device is; another only in tests. */
  readonly kvmDevice?: string
  /** True asks again although a verdict is cached (`doctor --fix`). */
  readonly fresh?: boolean
}

export interface AccelChoice {
  readonly accel: Accel
  /** For the start line: what separates the guest from the host. */
  readonly isolation: string
  /** Why the faster one was not taken, for a person; null when it was. */
  readonly why: string | null
}

export const ISOLATION: Readonly<Record<Accel, string>> = {
  kvm: 'hardware virtualisation (KVM)',
  hvf: 'hardware virtualisation (HVF)',
  tcg: 'emulated, not a QEMU security boundary',
}

/** Throws E_UNSUPPORTED when what was asked for or required does not boot here: nothing weaker is taken in its place. */
export async function pickAccel(options: AccelOptions): Promise<AccelChoice> {
  const { wanted, required } = options
  if (required !== undefined && wanted !== 'auto' && wanted !== required) {
    throw new AuthorityError('E_CONFLICT', `--accel ${wanted} contradicts --require ${required}`, { hint: 'drop one of the two' })
  }
  const fast = required ?? (wanted === 'auto' ? platformAccel() : wanted)
  if (fast === 'tcg' || fast === null) return choice('tcg', fast === null ? 'this platform has no accelerator QEMU knows' : null)
  const verdict = await tryAccel(fast, options)
  if (verdict.ok) return choice(fast, null)
  if (wanted === 'auto' && required === undefined) return choice('tcg', verdict.why)
  throw new AuthorityError('E_UNSUPPORTED', `${fast} does not work here: ${verdict.why}`, {
    hint:
      required === undefined
        ? 'use --accel auto, or repair it as `authority doctor` says'
        : 'without --require the machine is emulated, which the start line says; `authority doctor` tells what is missing',
  })
}

function choice(accel: Accel, why: string | null): AccelChoice {
  return { accel, isolation: ISOLATION[accel], why }
}

function platformAccel(): 'kvm' | 'hvf' | null {
  return process.platform === 'linux' ? 'kvm' : process.platform === 'darwin' ? 'hvf' : null
}

interface Verdict {
  readonly ok: boolean
  readonly why: string
}

const no = (why: string): Verdict => ({ ok: false, why })

async function tryAccel(accel: 'kvm' | 'hvf', options: AccelOptions): Promise<Verdict> {
  const hostArch = process.arch === 'x64' ? 'x86_64' : process.arch === 'arm64' ? 'aarch64' : process.arch
  if (options.arch !== hostArch) return no(`the guest is ${options.arch}, the host ${hostArch}`)
  if (accel !== platformAccel()) return no(`${accel} does not exist on ${process.platform}`)
  // Rights change without a restart, so they are looked at each time; only a boot is remembered.
  if (accel === 'kvm') {
    const closed = kvmClosed(options.kvmDevice)
    if (closed !== null) return no(closed)
  }
  const key = verdictKey(accel, options)
  const known = options.fresh === true ? null : readVerdict(options.cacheFolder, key)
  if (known !== null) return known
  const verdict = await probe(accel, options)
  mkdirSync(options.cacheFolder, { recursive: true, mode: 0o700 })
  const saved = { format: FORMAT, key, at: Date.now(), ...verdict }
  writeAtomically(join(options.cacheFolder, FILE), new TextEncoder().encode(`${JSON.stringify(saved)}\n`), 0o600)
  return verdict
}

/** Why /dev/kvm cannot be used, with the fix, or null. */
export function kvmClosed(path = '/dev/kvm'): string | null {
  try {
    accessSync(path, constants.F_OK)
  } catch {
    return `there is no ${path} (virtualisation is off in the firmware, or this host is itself a virtual machine without nesting)`
  }
  try {
    accessSync(path, constants.R_OK | constants.W_OK)
    return null
  } catch {
    return `this user may not open ${path}; fix: sudo usermod -aG kvm "$USER", then log in again`
  }
}

const FILE = 'accel.json'
const FORMAT = 1

function verdictKey(accel: Accel, options: AccelOptions): string {
  const parts = [
    accel,
    options.qemu.path,
    options.qemu.version,
    options.kernel.manifest.kernelSha256,
    bootId(),
    String(options.deadlineMs ?? PROBE_DEADLINE_MS),
  ]
  return sha256(new TextEncoder().encode(parts.join('\0')))
}

/** Changes with each start of the host. */
function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return 'unknown'
  }
}

function readVerdict(cacheFolder: string, key: string): Verdict | null {
  try {
    const saved = JSON.parse(readFileSync(join(cacheFolder, FILE), 'utf8')) as {
      format: number
      key: string
      at: number
      ok: boolean
      why: string
    }
    if (saved.format !== FORMAT || saved.key !== key || typeof saved.ok !== 'boolean' || typeof saved.why !== 'string') return null
    // A host that was only too busy gets another chance.
    const age = Date.now() - saved.at
    return saved.ok || (age >= 0 && age < NEGATIVE_VERDICT_MS) ? { ok: saved.ok, why: saved.why } : null
  } catch {
    return null
  }
}

/** Boots the kernel without an initial file system: reaching its panic over the missing root proves that it boots. */
async function probe(accel: 'kvm' | 'hvf', options: AccelOptions): Promise<Verdict> {
  const deadlineMs = options.deadlineMs ?? PROBE_DEADLINE_MS
  let output = ''
  let booted = false
  const argv = qemuArguments({
    files: [],
    arch: options.arch,
    accel,
    memoryMiB: 256,
    cpus: 1,
    console: true,
    kernel: '/boot/kernel',
    initrd: null,
    imageFd: null,
    ports: null,
    firmware: options.qemu.firmware,
    sandbox: process.platform === 'linux',
  })
  const cell = spawnCell({
    mounts: null,
    launcher: options.launcher,
    connect: [],
    inherit: [],
    files: [...options.qemu.files, { source: options.kernel.path, target: '/boot/kernel' }],
    devices: devicesFor(accel),
    program: [options.qemu.path, ...argv],
    onOutput: (chunk) => {
      output = (output + new TextDecoder().decode(chunk)).slice(-MAX_PROBE_OUTPUT_BYTES)
      if (!/Kernel panic - not syncing: (?:VFS|No working init)/.test(output)) return
      booted = true
      cell.kill()
    },
  })
  let late = false
  const timer = setTimeout(() => {
    late = true
    cell.kill()
  }, deadlineMs)
  const report = await cell.exited
  clearTimeout(timer)
  if (booted) return { ok: true, why: '' }
  if (late) return no(`${accel} opens, but a guest did not boot within ${deadlineMs} ms${output === '' ? ' (it never said a word)' : ''}`)
  if (report.code === CELL_FAILED) throw startFailure(report)
  const said = report.stderrTail.trim().split('\n')[0]?.slice(0, 200) ?? ''
  return no(`${accel} opens, but QEMU ended at once${said === '' ? '' : ` (${said.replace(/^qemu-system-\S+: /, '')})`}`)
}
