import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { cachedKernel, ensureKernel } from '../machine/index.ts'
import { sha256 } from '../machine/store.ts'
import { hasPvhEntry } from '../machine/vmlinux.ts'
import { runProgram } from '../process/run-program.ts'
import { openHome } from '../runs/home.ts'
import { CACHE } from './machine-support.ts'
import { compileStatic } from './vm-support.ts'

const ROOT = join(import.meta.dirname, '../..')

let folder = ''
let proxy: string | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kernel-'))
  proxy = process.env.http_proxy
})
afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
  if (proxy === undefined) delete process.env.http_proxy
  else process.env.http_proxy = proxy
})

describe('the stock kernel', () => {
  test('is fetched at most once, boots by its PVH entry, and carries its modules in loading order', async () => {
    const kernel = await ensureKernel({ cacheFolder: CACHE, arch: 'x86_64' })
    const again = cachedKernel(CACHE, 'x86_64')
    expect(again?.manifest).toEqual(kernel.manifest)
    expect(kernel.manifest.package).toMatch(/^linux-image-\d.*-cloud-amd64$/)
    const bytes = readFileSync(kernel.path)
    expect(sha256(bytes)).toBe(kernel.manifest.kernelSha256)
    expect(kernel.manifest.kind).toBe('vmlinux')
    expect(hasPvhEntry(bytes)).toBe(true)
    expect(statSync(kernel.path).mode & 0o777).toBe(0o444)
    expect(statSync(kernel.folder).mode & 0o077).toBe(0)
    const names = kernel.modules.map((module) => module.name)
    for (const [before, after] of [
      ['virtio_ring.ko', 'virtio_pci.ko'],
      ['libcrc32c.ko', 'erofs.ko'],
    ] as const) {
      // A kernel may have either built in; when both are modules the order is what counts.
      if (names.includes(before)) expect(names.indexOf(before)).toBeLessThan(names.indexOf(after))
    }
    expect(readdirSync(join(CACHE, 'kernel', 'x86_64')).filter((name) => name.startsWith('.'))).toEqual([])
  })

  test('without a network: a clear error, nothing half-made, and the system’s package state untouched', async () => {
    const state = () =>
      ['/var/lib/apt/lists', '/var/cache/apt/archives', '/var/lib/dpkg/status'].map((path) =>
        existsSync(path) ? statSync(path).mtimeMs : 0,
      )
    const before = state()
    // Port 9 of the loopback: nobody answers there.
    process.env.http_proxy = 'http://127.0.0.1:9'
    const failure = await ensureKernel({ cacheFolder: folder, arch: 'x86_64' }).catch((cause: unknown) => cause)
    expect(failure).toMatchObject({ code: 'E_UPSTREAM', hint: expect.stringContaining('--kernel FILE') })
    expect(readdirSync(join(folder, 'kernel', 'x86_64'))).toEqual([])
    expect(state()).toEqual(before)
  })
})

describe('a kernel that lacks what host mounts need', () => {
  test('refuses the mount with what is missing and which kernel to give, and starts nothing', async () => {
    const built = await runProgram([process.execPath, 'run', join(ROOT, 'cli/build/build.ts')], { deadlineMs: 170_000 })
    expect(built.code, built.stderr).toBe(0)
    const home = openHome(join(folder, 'home'))
    for (const name of readdirSync(CACHE)) if (name !== 'kernel') symlinkSync(join(realpathSync(CACHE), name), join(home.cache, name))
    await ensureKernel({ cacheFolder: CACHE, arch: 'x86_64' })
    cpSync(join(CACHE, 'kernel'), join(home.cache, 'kernel'), { recursive: true })
    const { folder: stock, manifest } = cachedKernel(home.cache, 'x86_64') ?? { folder: '', manifest: { modules: [] } }
    const modules = manifest.modules.filter(({ file }) => file !== 'virtiofs.ko')
    expect(modules.length).toBe(manifest.modules.length - 1)
    chmodSync(join(stock, 'manifest.json'), 0o600)
    writeFileSync(join(stock, 'manifest.json'), JSON.stringify({ ...manifest, modules }))
    mkdirSync(join(folder, 'shared'))
    writeFileSync(join(folder, 'policy.json'), JSON.stringify({ version: '1.0', fs: { read: ['/shared/**'] } }))
    await compileStatic(join(ROOT, 'cli/acceptance/vm-guest/speaker.c'), join(folder, 'agent'))
    const line = ['run', './agent', '--policy', 'policy.json', '-v', './shared:/shared', '--accel', 'tcg', '--timeout', '60s']
    const env = { PATH: process.env['PATH'] ?? '', HOME: folder, AUTHORITY_HOME: home.path }
    const ran = await runProgram([join(ROOT, 'dist/authority'), ...line], { cwd: folder, env, deadlineMs: 90_000 })
    expect([ran.code, Buffer.from(ran.stdout).toString()], ran.stderr).toEqual([125, ''])
    expect(ran.stderr).toMatch(/«fuse»: the kernel has no virtiofs to mount \/shared with; --kernel takes one with CONFIG_VIRTIO_FS=y/)
  })
})
