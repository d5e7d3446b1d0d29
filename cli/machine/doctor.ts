import { lstatSync, readFileSync, statfsSync } from 'node:fs'
import { AuthorityError } from '@authority/protocol'
import { hostSources } from '../debian/index.ts'
import { findProgram, messageOf } from '../process/run-program.ts'
import { ISOLATION, kvmClosed, pickAccel } from './accel.ts'
import { spawnCell } from './cell-process.ts'
import { cachedKernel, KERNEL_NEEDS, type Kernel } from './kernel.ts'
import { MIN_FREE_BYTES } from './limits.ts'
import { startFailure } from './machine.ts'
import type { MachineArch } from './qemu.ts'
import { locateQemu, type QemuBinary } from './qemu-binary.ts'

/** What `authority doctor` looks at, as data: nothing is printed or changed here. */

export interface Check {
  /** Stable name for --json. */
  readonly id: string
  readonly title: string
  /** `fail`: runs cannot start. `warn`: they start, but slower, weaker or only after a download. */
  readonly verdict: 'ok' | 'warn' | 'fail'
  readonly detail: string
  /** A command or step, or null when nothing is to be done. */
  readonly fix: string | null
}

export interface DoctorOptions {
  readonly arch: MachineArch
  readonly homeFolder: string
  readonly cacheFolder: string
  readonly launcher: string
  /** True boots a guest to judge the accelerator even when a verdict is cached. */
  readonly fresh?: boolean
}

/** Never throws: whatever goes wrong is a finding. */
export async function examine(options: DoctorOptions): Promise<Check[]> {
  const qemu = await attempt(() => locateQemu(options.arch, options.cacheFolder))
  const kernel = await attempt(async () => cachedKernel(options.cacheFolder, options.arch))
  return [
    hostKernelCheck(),
    qemuCheck(qemu),
    await cellCheck(qemu, options),
    kvmCheck(),
    await accelCheck(qemu, kernel, options),
    aptCheck(),
    kernelCheck(kernel),
    diskCheck(options.homeFolder),
    folderCheck(options.homeFolder),
  ]
}

type Attempt<T> = { readonly value: T } | { readonly failure: AuthorityError }

async function attempt<T>(work: () => Promise<T>): Promise<Attempt<T>> {
  try {
    return { value: await work() }
  } catch (failure) {
    return { failure: failure instanceof AuthorityError ? failure : new AuthorityError('E_INTERNAL', messageOf(failure)) }
  }
}

const ok = (id: string, title: string, detail: string): Check => ({ id, title, verdict: 'ok', detail, fix: null })
const fail = (id: string, title: string, failure: AuthorityError): Check => ({
  id,
  title,
  verdict: 'fail',
  detail: failure.message,
  fix: failure.hint ?? null,
})

/** Linux whose mount_setattr (5.12) and per-namespace thread limit (5.14) the cell uses. */
const MIN_LINUX = [5, 14] as const

function hostKernelCheck(): Check {
  const title = 'host kernel'
  if (process.platform !== 'linux')
    return { id: 'host', title, verdict: 'warn', detail: process.platform, fix: 'QEMU runs without a cell here' }
  const release = readOr('/proc/sys/kernel/osrelease').trim()
  const [major = 0, minor = 0] = release.split('.').map(Number)
  if (major > MIN_LINUX[0] || (major === MIN_LINUX[0] && minor >= MIN_LINUX[1])) return ok('host', title, `Linux ${release}`)
  return {
    id: 'host',
    title,
    verdict: 'fail',
    detail: `Linux ${release}`,
    fix: `Linux ${MIN_LINUX.join('.')} or newer is needed: Debian 12 has 6.1`,
  }
}

function qemuCheck(qemu: Attempt<QemuBinary>): Check {
  return 'failure' in qemu ? fail('qemu', 'QEMU', qemu.failure) : ok('qemu', 'QEMU', `${qemu.value.version}, ${qemu.value.path}`)
}

/** Makes a real cell and lets QEMU say its version in it. */
async function cellCheck(qemu: Attempt<QemuBinary>, options: DoctorOptions): Promise<Check> {
  const title = 'cell for QEMU'
  if ('failure' in qemu) return { id: 'cell', title, verdict: 'fail', detail: 'not tried without QEMU', fix: qemu.failure.hint ?? null }
  const found = await attempt(async () => {
    const { value } = qemu
    const cell = spawnCell({
      mounts: null,
      launcher: options.launcher,
      connect: [],
      inherit: [],
      files: value.files,
      devices: ['null'],
      program: [value.path, '--version'],
      onOutput: null,
    })
    const report = await cell.exited
    if (report.code !== 0) throw startFailure(report)
  })
  return 'failure' in found
    ? fail('cell', title, found.failure)
    : ok('cell', title, process.getuid?.() === 0 ? 'made as root, left as an unprivileged uid' : 'made in a user namespace')
}

function kvmCheck(): Check {
  if (process.platform !== 'linux') return ok('kvm', '/dev/kvm', 'not on this platform')
  const closed = kvmClosed()
  if (closed === null) return ok('kvm', '/dev/kvm', 'opens')
  const [detail = closed, fix] = closed.split('; fix: ')
  return {
    id: 'kvm',
    title: '/dev/kvm',
    verdict: 'warn',
    detail,
    fix: fix ?? 'enable virtualisation in the firmware, or nesting where this virtual machine is defined',
  }
}

async function accelCheck(qemu: Attempt<QemuBinary>, kernel: Attempt<Kernel | null>, options: DoctorOptions): Promise<Check> {
  const title = 'acceleration'
  if ('failure' in qemu || 'failure' in kernel || kernel.value === null)
    return { id: 'accel', title, verdict: 'warn', detail: 'not tried yet: it needs QEMU and a guest kernel', fix: 'authority doctor --fix' }
  const guest = kernel.value
  const { arch, launcher, cacheFolder } = options
  const found = await attempt(() =>
    pickAccel({ wanted: 'auto', arch, qemu: qemu.value, kernel: guest, launcher, cacheFolder, fresh: options.fresh === true }),
  )
  if ('failure' in found) return fail('accel', title, found.failure)
  const { accel, why } = found.value
  if (why === null) return ok('accel', title, `${accel}: ${ISOLATION[accel]}`)
  return {
    id: 'accel',
    title,
    verdict: 'warn',
    detail: `${accel}: ${ISOLATION[accel]}, because ${why}`,
    fix: 'run on a host whose KVM boots guests; `--require kvm` refuses to start without',
  }
}

function aptCheck(): Check {
  const missing = ['apt-get', 'apt-cache', 'dpkg-deb'].filter((name) => findProgram(name) === null)
  if (missing.length > 0) {
    return {
      id: 'apt',
      title: 'apt',
      verdict: 'warn',
      detail: `not installed: ${missing.join(', ')}`,
      fix: `the stock kernel cannot be fetched here: copy the cache of a Debian machine, or give a kernel with --kernel FILE: ${KERNEL_NEEDS}`,
    }
  }
  const sources = hostSources()
  return ok('apt', 'apt', sources.map((source) => `${source.uris.join(' ')} ${source.suites.join(' ')}`).join('; '))
}

function kernelCheck(kernel: Attempt<Kernel | null>): Check {
  if ('failure' in kernel) return fail('kernel', 'guest kernel', kernel.failure)
  if (kernel.value === null)
    return {
      id: 'kernel',
      title: 'guest kernel',
      verdict: 'warn',
      detail: 'not fetched yet (about 40 MB with package lists)',
      fix: 'the first run fetches it, or `authority doctor --fix`',
    }
  const { manifest } = kernel.value
  return ok('kernel', 'guest kernel', `${manifest.package} ${manifest.version} (${manifest.kind})`)
}

function diskCheck(folder: string): Check {
  const title = 'disk space'
  try {
    const stats = statfsSync(existing(folder))
    const free = Number(stats.bavail) * Number(stats.bsize)
    const text = `${Math.floor(free / 2 ** 20)} MiB free at ${folder}`
    return free >= MIN_FREE_BYTES
      ? ok('disk', title, text)
      : {
          id: 'disk',
          title,
          verdict: 'fail',
          detail: text,
          fix: `free ${MIN_FREE_BYTES / 2 ** 20} MiB, or set AUTHORITY_HOME to a larger disk`,
        }
  } catch (failure) {
    return { id: 'disk', title, verdict: 'fail', detail: messageOf(failure), fix: 'set AUTHORITY_HOME to a folder that exists' }
  }
}

/** The nearest folder above that is there. */
function existing(path: string): string {
  for (let at = path; ; at = at.slice(0, at.lastIndexOf('/')) || '/') {
    if (at === '/' || lstatSync(at, { throwIfNoEntry: false }) !== undefined) return at
  }
}

function folderCheck(folder: string): Check {
  const title = 'home folder'
  const st = lstatSync(folder, { throwIfNoEntry: false })
  if (st === undefined) return ok('home', title, `${folder} will be made`)
  if (!st.isDirectory())
    return { id: 'home', title, verdict: 'fail', detail: `${folder} is not a folder`, fix: 'move it away, or set AUTHORITY_HOME' }
  if (st.uid !== process.getuid?.())
    return {
      id: 'home',
      title,
      verdict: 'fail',
      detail: `${folder} belongs to uid ${st.uid}`,
      fix: `sudo chown -R "$USER" ${folder}, or set AUTHORITY_HOME`,
    }
  if ((st.mode & 0o077) !== 0)
    return {
      id: 'home',
      title,
      verdict: 'fail',
      detail: `others may look into ${folder} (mode ${(st.mode & 0o777).toString(8)})`,
      fix: `chmod 700 ${folder}`,
    }
  return ok('home', title, `${folder}, mode 700`)
}

function readOr(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
