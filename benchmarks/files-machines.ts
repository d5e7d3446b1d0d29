/** The two machines of the file benchmark, on one kernel and processor: a run of the product, and a bare QEMU whose PID 1 measures its own 9p server or the bare disk. */
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { EMULATED_CPU, ensureInitrd, ensureKernel } from '@authority/cli/machine'

const ROOT = join(import.meta.dirname, '..')
const BINARY = join(ROOT, 'dist/authority')
export const GUEST = join(import.meta.dirname, 'files-guest')
/** Outlives the benchmark: the kernel is 70 MB to fetch. */
const CACHE = join(ROOT, '.cache/bench-home')
const MEMORY = '768'

/** What a guest said: the last number of each line under the words before it. */
export type Measured = ReadonlyMap<string, number>

export interface Machines {
  /** The product's run of a program of `folder`, with what follows `run PROGRAM`. */
  ours(program: string, args: readonly string[]): Measured
  /** QEMU without us; `job` is what PID 1 is told. */
  bare(job: '9p' | 'image', devices: readonly string[]): Measured
  /** The image file a program is built into. */
  build(program: string, config: string): string
}

/** Debian's full kernel, because its cloud kernel has no 9p: both sides boot the same one. */
export async function prepareMachines(folder: string): Promise<Machines> {
  mkdirSync(CACHE, { recursive: true })
  const wanted = { metapackage: 'linux-image-amd64', moreModules: ['9pnet_virtio', '9p'] }
  const kernel = await ensureKernel({ cacheFolder: CACHE, arch: 'x86_64', ...wanted })
  const measure = join(folder, 'measure')
  const headers = ['-idirafter', '/usr/include', '-idirafter', '/usr/include/x86_64-linux-gnu']
  call(['musl-gcc', '-static', '-O2', '-Wall', '-Wextra', '-Werror', ...headers, '-o', measure, join(GUEST, 'measure.c')], folder)
  const initrd = ensureInitrd(kernel, readFileSync(measure)).path
  const home = join(folder, 'home')
  const ours = (...line: readonly string[]) => call([BINARY, ...line], folder, home)
  ours('images', 'ls')
  rmSync(join(home, 'cache'), { recursive: true })
  symlinkSync(CACHE, join(home, 'cache'))
  return {
    ours: (program, args) => measured(ours('run', program, '--accel', 'tcg', '--memory', `${MEMORY}MiB`, ...args)),
    bare: (job, devices) =>
      measured(
        call(
          [
            'qemu-system-x86_64',
            ...'-nodefaults -no-user-config -display none -no-reboot -accel tcg -machine pc -serial stdio'.split(' '),
            ...['-cpu', EMULATED_CPU.x86_64, '-m', MEMORY, '-kernel', kernel.path, '-initrd', initrd],
            ...['-append', `quiet reboot=t panic=-1 -- ${job}`, ...devices],
          ],
          folder,
        ),
      ),
    build: (program, config) => {
      ours('build', program, '-c', config, '-n', 'files')
      const images = join(home, 'images/files')
      return join(images, readdirSync(images).find((name) => name.endsWith('.erofs')) ?? '')
    },
  }
}

function call(line: readonly string[], cwd: string, home?: string): string {
  const env = { PATH: process.env['PATH'] ?? '', HOME: cwd, ...(home === undefined ? {} : { AUTHORITY_HOME: home }) }
  const done = Bun.spawnSync([...line], { cwd, env, stdout: 'pipe', stderr: 'pipe' })
  const out = done.stdout.toString()
  if (!done.success || out.includes('failed ')) throw new Error(`\`${line.slice(0, 3).join(' ')}\`: ${out}${done.stderr}`)
  return out
}

function measured(out: string): Measured {
  return new Map([...out.matchAll(/^(\S+ \S+) ([0-9.]+)\r?$/gm)].map(([, name = '', value]) => [name, Number(value)]))
}
