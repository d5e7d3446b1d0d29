import { AuthorityError, PORTS } from '@authority/protocol'
import { MAX_CPUS, MAX_MEMORY_MIB, MIN_MEMORY_MIB } from './limits.ts'

/** QEMU's arguments for one machine. Pure: golden data under fixtures/machine pins them, because they are the list of devices the guest can reach. */

export type MachineArch = 'x86_64' | 'aarch64'
export type PortName = keyof typeof PORTS
export const PORT_NAMES = Object.keys(PORTS) as readonly PortName[]

export type Accel = 'kvm' | 'hvf' | 'tcg'

export interface QemuSpec {
  readonly arch: MachineArch
  readonly accel: Accel
  readonly memoryMiB: number
  readonly cpus: number
  /** Kernel log on QEMU's standard output; nothing is ever read from it. */
  readonly console: boolean
  /** Paths as QEMU sees them. */
  readonly kernel: string
  readonly initrd: string | null
  /** Inherited descriptor of the image, opened read-only, or null for no disk (accelerator probe, tests). */
  readonly imageFd: number | null
  /** Inherited connected sockets, one per port. */
  readonly ports: Readonly<Record<PortName, number>> | null
  /** Host mounts: a virtio-fs device each, with the inherited descriptor its back end is behind. */
  readonly files: readonly { readonly fd: number; readonly tag: string }[]
  /** Folders with firmware, as QEMU sees them. */
  readonly firmware: readonly string[]
  /** False where QEMU was built without seccomp (macOS). */
  readonly sandbox: boolean
}

/** Arguments after the program. Throws E_CONFLICT for a spec out of range. */
export function qemuArguments(spec: QemuSpec): string[] {
  check(spec)
  return [
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
    ...(spec.sandbox ? ['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'] : []),
    ...['-accel', spec.accel],
    ...machine(spec),
    ...['-cpu', cpu(spec)],
    ...['-smp', String(spec.cpus)],
    ...['-m', `${spec.memoryMiB}M`],
    ...spec.firmware.flatMap((folder) => ['-L', folder]),
    ...['-kernel', spec.kernel],
    ...(spec.initrd === null ? [] : ['-initrd', spec.initrd]),
    ...['-append', kernelCommandLine(spec)],
    ...disk(spec),
    ...files(spec),
    ...ports(spec),
    ...serialConsole(spec),
  ]
}

/**
 * What the machine type can lose is switched off. Kept: PIC and PIT (tcg calibrates its clock by them, guest.md), ACPI (interrupt routing of the stock
 * kernel), the RTC. `pc` cannot lose its IDE and floppy controllers in every QEMU; they have no medium behind them.
 */
const MACHINES: Readonly<Record<MachineArch, string>> = {
  x86_64: 'pc,usb=off,vmport=off,smbus=off,i8042=off,hpet=off,sata=off,smm=off,graphics=off,dump-guest-core=off',
  aarch64: 'virt,usb=off,gic-version=max,dump-guest-core=off',
}

/**
 * Without RDRAND or RNDR getrandom blocks for seconds. ERMS and FSRM tell the guest that `rep movsb` is its quickest copy; tcg takes it byte by byte, so without
 * them every copy in the guest's kernel costs a fraction. The architected pointer authentication is slow to emulate.
 */
export const EMULATED_CPU: Readonly<Record<MachineArch, string>> = { x86_64: 'max,-erms,-fsrm', aarch64: 'max,pauth-impdef=on' }

function cpu(spec: QemuSpec): string {
  if (spec.accel !== 'tcg') return 'host'
  return EMULATED_CPU[spec.arch]
}

/**
 * The guest must end rather than hang: panic=-1 reboots at once, reboot=t by triple fault, and -no-reboot turns that into QEMU's end. On a busy host QEMU may be
 * late with the four ticks by which Linux finds out whether the timer is wired to the interrupt controller; it would panic ("IO-APIC + timer doesn't work"),
 * and no_timer_check takes the answer, which QEMU's board knows, for granted.
 */
export function kernelCommandLine(spec: Pick<QemuSpec, 'arch' | 'console'>): string {
  const words = ['panic=-1', ...(spec.arch === 'x86_64' ? ['reboot=t', 'no_timer_check'] : [])]
  if (!spec.console) return ['quiet', ...words].join(' ')
  return [...words, spec.arch === 'x86_64' ? 'console=ttyS0' : 'console=ttyAMA0'].join(' ')
}

/** `pc` has a PCI bus, `virt` the plainer virtio-mmio one. */
function device(spec: QemuSpec, name: string): string {
  return spec.arch === 'x86_64' ? `${name}-pci,disable-legacy=on` : `${name}-device`
}

function disk(spec: QemuSpec): string[] {
  if (spec.imageFd === null) return []
  return [
    ...['-add-fd', `fd=${spec.imageFd},set=1,opaque=image`],
    ...['-blockdev', 'driver=raw,node-name=image,read-only=on,file.driver=file,file.filename=/dev/fdset/1,file.locking=off'],
    ...['-device', `${device(spec, 'virtio-blk')},drive=image`],
  ]
}

/** Guest memory is shared with the back end only where there is one; sealed, so that nobody can take pages away under it. */
function machine(spec: QemuSpec): string[] {
  if (spec.files.length === 0) return ['-machine', MACHINES[spec.arch]]
  return [
    ...['-object', `memory-backend-memfd,id=memory,size=${spec.memoryMiB}M,share=on,seal=on`],
    ...['-machine', `${MACHINES[spec.arch]},memory-backend=memory`],
  ]
}

function files(spec: QemuSpec): string[] {
  return spec.files.flatMap(({ fd, tag }, index) => [
    ...['-chardev', `socket,id=files${index},fd=${fd}`],
    ...['-device', `vhost-user-fs-${place(spec, index)},chardev=files${index},tag=${tag},queue-size=${FILES_QUEUE_SIZE}`],
  ])
}

/** Requests that fit a queue: as many as virtio-fs takes. */
const FILES_QUEUE_SIZE = 1024
/** Slots of the PCI bus from here on are free, and each takes eight devices: more mounts than a run may have. */
const FIRST_FILES_SLOT = 8

function place(spec: QemuSpec, index: number): string {
  if (spec.arch !== 'x86_64') return 'device'
  return `pci,addr=${(FIRST_FILES_SLOT + (index >> 3)).toString(16)}.${index & 7},multifunction=on`
}

function ports(spec: QemuSpec): string[] {
  const fds = spec.ports
  if (fds === null) return []
  const names = PORT_NAMES
  // Port 0 of the bus is reserved for a console.
  return [
    ...['-device', `${device(spec, 'virtio-serial')},id=bus,max_ports=${names.length + 1}`],
    ...names.flatMap((name, index) => [
      ...['-chardev', `socket,id=${name},fd=${fds[name]}`],
      ...['-device', `virtserialport,bus=bus.0,nr=${index + 1},chardev=${name},name=${PORTS[name]}`],
    ]),
  ]
}

/** Output only: QEMU's standard input is /dev/null. */
function serialConsole(spec: QemuSpec): string[] {
  return spec.console ? ['-chardev', 'stdio,id=console,signal=off', '-serial', 'chardev:console'] : []
}

function check(spec: QemuSpec): void {
  const whole = (value: number, low: number, high: number) => Number.isInteger(value) && value >= low && value <= high
  if (!whole(spec.memoryMiB, MIN_MEMORY_MIB, MAX_MEMORY_MIB)) {
    throw new AuthorityError('E_CONFLICT', `${spec.memoryMiB} MiB of memory is outside ${MIN_MEMORY_MIB}…${MAX_MEMORY_MIB}`, {
      hint: 'give --memory 256MiB or more',
    })
  }
  if (!whole(spec.cpus, 1, MAX_CPUS))
    throw new AuthorityError('E_CONFLICT', `${spec.cpus} CPUs is outside 1…${MAX_CPUS}`, { hint: 'give --cpus 1 or more' })
  // A comma would start another QEMU option inside the value.
  for (const path of [spec.kernel, spec.initrd ?? '/', ...spec.firmware]) {
    if (!/^\/[A-Za-z0-9_./+-]*$/.test(path)) throw new AuthorityError('E_CONFLICT', `the path ${path} cannot be given to QEMU`)
  }
}
