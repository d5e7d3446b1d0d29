import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { pickAccel } from './accel.ts'
import { cellArguments } from './cell-arguments.ts'
import { openImage } from './image-file.ts'
import { cachedKernel, checkKernelArch, ensureInitrd, ensureKernel, KERNEL_FORMAT, type Kernel } from './kernel.ts'
import { startFailure, startMachine } from './machine.ts'
import type { QemuBinary } from './qemu-binary.ts'
import { sha256, writeAtomically } from './store.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'machine-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

const bytes = (text: string) => new TextEncoder().encode(text)
const QEMU: QemuBinary = { arch: 'x86_64', path: '/usr/bin/true', version: '7.2.22', files: [], firmware: [] }

function script(text: string): string {
  const path = join(folder, 'launcher')
  writeFileSync(path, `#!/bin/sh\n${text}\n`)
  chmodSync(path, 0o755)
  return path
}

/** A cache entry as kernel-fetch makes it. */
function plantKernel(): Kernel {
  const root = join(folder, 'kernel', 'x86_64')
  const entry = join(root, '1.0-1')
  mkdirSync(join(entry, 'modules'), { recursive: true })
  writeFileSync(join(entry, 'kernel'), 'KERNEL')
  writeFileSync(join(entry, 'modules', 'a.ko'), 'MODULE')
  const manifest = {
    format: KERNEL_FORMAT,
    arch: 'x86_64',
    package: 'linux-image-x',
    version: '1.0-1',
    kind: 'vmlinux',
    kernelSha256: sha256(bytes('KERNEL')),
    modules: [{ file: 'a.ko', sha256: sha256(bytes('MODULE')) }],
  }
  writeFileSync(join(entry, 'manifest.json'), JSON.stringify(manifest))
  writeFileSync(join(root, 'current'), '1.0-1\n')
  const kernel = cachedKernel(folder, 'x86_64')
  if (kernel === null) throw new Error('not planted')
  return kernel
}

describe('kernel cache', () => {
  test('is used without the network', async () => {
    plantKernel()
    const kernel = await ensureKernel({ cacheFolder: folder, arch: 'x86_64', fetch: false })
    expect(kernel.manifest.version).toBe('1.0-1')
    expect(kernel.modules.map((module) => module.name)).toEqual(['a.ko'])
  })

  test('a changed kernel or module is refused', () => {
    const kernel = plantKernel()
    writeFileSync(join(kernel.folder, 'modules', 'a.ko'), 'EVIL')
    expect(() => cachedKernel(folder, 'x86_64')).toThrow(/was changed/)
    rmSync(join(kernel.folder, 'modules', 'a.ko'))
    expect(() => cachedKernel(folder, 'x86_64')).toThrow(/incomplete/)
    writeFileSync(join(kernel.folder, 'manifest.json'), '{')
    expect(() => cachedKernel(folder, 'x86_64')).toThrow(/damaged/)
  })

  test('a missing one, offline, says what to do', async () => {
    const failure = await ensureKernel({ cacheFolder: folder, arch: 'aarch64', fetch: false }).catch((cause: unknown) => cause)
    expect(failure).toMatchObject({ code: 'E_NOT_FOUND', hint: expect.stringContaining('--kernel FILE') })
  })

  test('`current` cannot lead out of the cache', () => {
    plantKernel()
    writeFileSync(join(folder, 'kernel', 'x86_64', 'current'), '../../elsewhere\n')
    expect(cachedKernel(folder, 'x86_64')).toBeNull()
  })

  test('an initial file system is written once per init', () => {
    const kernel = plantKernel()
    const one = ensureInitrd(kernel, bytes('INIT'))
    expect(ensureInitrd(kernel, bytes('INIT'))).toEqual(one)
    expect(ensureInitrd(kernel, bytes('OTHER')).path).not.toBe(one.path)
  })

  test('one’s own kernel is copied in by its digest; other files and other machines are refused', async () => {
    const elf = new Uint8Array(0x300)
    elf.set([0x7f, 0x45, 0x4c, 0x46, 2, 1])
    elf[18] = 62
    const file = join(folder, 'mine')
    writeFileSync(file, elf)
    const kernel = await ensureKernel({ cacheFolder: folder, arch: 'x86_64', kernelFile: file })
    expect(kernel.manifest).toMatchObject({ package: 'file', kernelSha256: sha256(elf), modules: [] })
    expect(() => checkKernelArch(elf, 'aarch64', 'mine')).toThrow(/kernel for x86_64/)
    expect(() => checkKernelArch(bytes('#!/bin/sh'), 'x86_64', 'mine')).toThrow(/not a Linux kernel/)
    await expect(ensureKernel({ cacheFolder: folder, arch: 'x86_64', kernelFile: join(folder, 'none') })).rejects.toThrow(
      /cannot read the kernel/,
    )
  })
})

test('files are whole, and as open as asked under any umask', () => {
  const before = process.umask(0o077)
  try {
    writeAtomically(join(folder, 'f'), bytes('x'), 0o444)
    expect(statSync(join(folder, 'f')).mode & 0o777).toBe(0o444)
    expect(readdirSync(folder)).toEqual(['f'])
  } finally {
    process.umask(before)
  }
})

describe('image', () => {
  test('changed, missing, a symbolic link or a folder: refused', () => {
    const path = join(folder, 'image')
    writeFileSync(path, 'bytes')
    expect(() => openImage(path, sha256(bytes('others')))).toThrow(/was changed since it was built/)
    expect(() => openImage(join(folder, 'none'), '')).toThrow(/cannot open the image/)
    expect(() => openImage(folder, '')).toThrow(/not a regular file/)
    expect(() => openImage('/proc/self/exe', '')).toThrow(/cannot open the image/)
  })
})

describe('starting', () => {
  const spec = (launcher: string) => ({
    ...({ arch: 'x86_64', accel: 'tcg', memoryMiB: 256, cpus: 1, console: false, qemu: QEMU, launcher } as const),
    ...{ kernel: join(folder, 'k'), initrd: join(folder, 'k'), image: null, mounts: [], folder },
  })

  test('a cell that cannot be made refuses with the reason and the fix, and leaves nothing', async () => {
    writeFileSync(join(folder, 'k'), '')
    const launcher = script('echo "authority-cell: no namespaces; fix: run as root" >&2; exit 120')
    await expect(startMachine(spec(launcher))).rejects.toMatchObject({ code: 'E_UNSUPPORTED', hint: 'run as root' })
    expect(readdirSync(folder).filter((name) => name.startsWith('vm-'))).toEqual([])
  })

  test('QEMU that ends at once is reported with what it said', async () => {
    writeFileSync(join(folder, 'k'), '')
    await expect(startMachine(spec(script('echo "qemu: no such thing" >&2; exit 1')))).rejects.toThrow(/ended \(status 1\).*no such thing/)
  })

  test('a missing launcher and an image of another machine are refused', async () => {
    writeFileSync(join(folder, 'k'), '')
    await expect(startMachine(spec(join(folder, 'none')))).rejects.toThrow(/cannot start/)
    await expect(startMachine({ ...spec('/bin/true'), arch: 'aarch64' })).rejects.toThrow(/emulates x86_64/)
    expect(existsSync(join(folder, 'effects'))).toBe(false)
  })

  test('a death by signal is named', () => {
    expect(startFailure({ code: null, signal: 'SIGSEGV', stderrTail: '' }).message).toMatch(/signal SIGSEGV/)
  })
})

test('the cell’s command line', () => {
  const argv = cellArguments({
    launcher: '/l',
    parent: 7,
    connect: [{ fd: 4, path: '/s' }],
    keep: [3],
    files: [{ source: '/a', target: '/b' }],
    devices: ['null'],
    mounts: { gate: { fd: 5, path: '/g' }, memoryMiB: 256, mounts: [{ fd: 6, number: 1 }] },
    program: ['/q', '-x'],
  })
  expect(argv).toEqual([
    '/l',
    '--parent',
    '7',
    '--connect',
    '4',
    '/s',
    '--keep',
    '3',
    '--dev',
    'null',
    '--ro',
    '/a',
    '/b',
    '--gate',
    '5',
    '/g',
    '--shared',
    '256',
    '--files',
    '6',
    '1',
    '--',
    '/q',
    '-x',
  ])
})

describe('accelerator', () => {
  const options = (launcher: string) => ({
    ...({ wanted: 'auto', arch: 'x86_64', qemu: QEMU, launcher, cacheFolder: folder } as const),
    kernel: plantKernel(),
  })

  test('tcg is called what it is', async () => {
    expect(await pickAccel({ ...options('/bin/false'), wanted: 'tcg' })).toEqual({
      accel: 'tcg',
      isolation: 'emulated, not a QEMU security boundary',
      why: null,
    })
  })

  test('contradictions and the impossible are refused, never replaced', async () => {
    await expect(pickAccel({ ...options('/bin/false'), wanted: 'tcg', required: 'kvm' })).rejects.toThrow(/contradicts/)
    const absent = process.platform === 'darwin' ? 'kvm' : 'hvf'
    await expect(pickAccel({ ...options('/bin/false'), required: absent })).rejects.toMatchObject({ code: 'E_UNSUPPORTED' })
    await expect(pickAccel({ ...options('/bin/false'), wanted: absent })).rejects.toMatchObject({ code: 'E_UNSUPPORTED' })
  })

  test('a guest of another architecture is emulated', async () => {
    const other = process.arch === 'x64' ? 'aarch64' : 'x86_64'
    expect(await pickAccel({ ...options('/bin/false'), arch: other })).toMatchObject({
      accel: 'tcg',
      why: expect.stringContaining('the host'),
    })
  })

  describe.runIf(process.platform === 'linux')('is judged by a boot', () => {
    const arch = process.arch === 'x64' ? 'x86_64' : 'aarch64'
    const judged = (launcher: string) => ({ ...options(launcher), arch, qemu: { ...QEMU, arch }, kvmDevice: '/dev/null' }) as const
    const boots = 'echo "Kernel panic - not syncing: VFS: Unable to mount root fs"; exec sleep 60'

    test('one that reaches the panic over the missing root works, and the verdict is kept', async () => {
      expect(await pickAccel(judged(script(boots)))).toMatchObject({ accel: 'kvm', why: null })
      expect(await pickAccel(judged(script('exit 1')))).toMatchObject({ accel: 'kvm' })
      expect(await pickAccel({ ...judged(script('exit 1')), fresh: true })).toMatchObject({ accel: 'tcg' })
    })

    test('one that hangs is given up at the deadline, said in words, and never required in vain', async () => {
      const hangs = { ...judged(script('exec sleep 60')), deadlineMs: 100 }
      expect(await pickAccel(hangs)).toMatchObject({ accel: 'tcg', why: expect.stringMatching(/did not boot within 100 ms/) })
      await expect(pickAccel({ ...hangs, required: 'kvm' })).rejects.toMatchObject({ code: 'E_UNSUPPORTED' })
    })

    test('QEMU that dies is quoted, and a cell that cannot be made is no verdict about KVM', async () => {
      const dies = judged(script('echo "qemu-system-x86_64: error: failed to set MSR" >&2; exit 1'))
      expect(await pickAccel(dies)).toMatchObject({ accel: 'tcg', why: expect.stringContaining('failed to set MSR') })
      await expect(pickAccel({ ...judged(script('exit 120')), fresh: true })).rejects.toMatchObject({ code: 'E_UNSUPPORTED' })
    })

    test('a device that is missing or closed says how to open it', async () => {
      expect(await pickAccel({ ...judged('/bin/false'), kvmDevice: join(folder, 'none') })).toMatchObject({
        accel: 'tcg',
        why: expect.stringContaining('there is no'),
      })
    })
  })
})
