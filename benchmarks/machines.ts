/** Two machines on one kernel and processor: a run of the product, and a bare QEMU whose PID 1 is the program that measures, with what QEMU offers instead of us. */
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { EMULATED_CPU, ensureInitrd, ensureKernel, type KernelOptions } from '@authority/cli/machine'
import { builtBinary } from './binary.ts'

const ROOT = join(import.meta.dirname, '..')
const SHARED = join(import.meta.dirname, 'guest')
const MEMORY = '768'

export interface Wanted {
  /** Folder with the C sources of the program that measures: PID 1 of the bare machine; with those of `guest/` they become `measure` in the folder. */
  readonly sources: string
  /** Below .cache; outlives the benchmark: a kernel is 30 to 70 MB to fetch. */
  readonly cache: string
  readonly kernel: Pick<KernelOptions, 'metapackage' | 'moreModules'>
}

/** What a guest said: the last number of each line under the words before it. */
export type Measured = ReadonlyMap<string, number>

export interface Machines {
  /** The product's run of a program of `folder`, with what follows `run PROGRAM`. */
  ours(program: string, args: readonly string[]): Measured
  /** The same, not waited for. */
  start(program: string, args: readonly string[]): Bun.Subprocess<'ignore', 'pipe', 'inherit'>
  /** QEMU without us; `job` is what PID 1 is told. */
  bare(job: string, devices: readonly string[]): Measured
  /** The image file a program is built into. */
  build(program: string, config: string): string
}

/** The folder gets `measure`, and `home` for the product. */
export async function prepareMachines(folder: string, wanted: Wanted): Promise<Machines> {
  const binary = builtBinary()
  const cache = join(ROOT, '.cache', wanted.cache)
  mkdirSync(cache, { recursive: true })
  const kernel = await ensureKernel({ cacheFolder: cache, arch: 'x86_64', ...wanted.kernel })
  const measure = join(folder, 'measure')
  const headers = ['-idirafter', '/usr/include', '-idirafter', '/usr/include/x86_64-linux-gnu']
  const sources = [wanted.sources, SHARED].flatMap((from) =>
    readdirSync(from).flatMap((name) => (name.endsWith('.c') ? join(from, name) : [])),
  )
  call(['musl-gcc', '-static', '-O2', '-Wall', '-Wextra', '-Werror', ...headers, '-I', SHARED, '-o', measure, ...sources], folder)
  const initrd = ensureInitrd(kernel, readFileSync(measure)).path
  const home = join(folder, 'home')
  const ours = (...line: readonly string[]) => call([binary, ...line], folder, home)
  ours('images', 'ls')
  rmSync(join(home, 'cache'), { recursive: true })
  symlinkSync(cache, join(home, 'cache'))
  return {
    ours: (program, args) => measured(ours(...running(program, args))),
    start: (program, args) =>
      Bun.spawn([binary, ...running(program, args)], { cwd: folder, env: environment(folder, home), stdio: ['ignore', 'pipe', 'inherit'] }),
    bare: (job, devices) =>
      measured(
        call(
          [
            // As the product's own QEMU runs: it yields to other work.
            ...['nice', '-n', '5', 'chrt', '--batch', '0', 'qemu-system-x86_64'],
            ...'-nodefaults -no-user-config -display none -no-reboot -accel tcg -machine pc -serial stdio'.split(' '),
            ...['-cpu', EMULATED_CPU.x86_64, '-m', MEMORY, '-kernel', kernel.path, '-initrd', initrd],
            ...['-append', `quiet reboot=t panic=-1 no_timer_check -- ${job}`, ...devices],
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

const running = (program: string, args: readonly string[]): string[] => [
  ...['run', program, '--accel', 'tcg', '--memory', `${MEMORY}MiB`],
  ...args,
]

function environment(cwd: string, home?: string): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '', HOME: cwd, ...(home === undefined ? {} : { AUTHORITY_HOME: home }) }
}

function call(line: readonly string[], cwd: string, home?: string): string {
  const done = Bun.spawnSync([...line], { cwd, env: environment(cwd, home), stdout: 'pipe', stderr: 'pipe' })
  const out = done.stdout.toString()
  if (!done.success || out.includes('failed ')) throw new Error(`\`${line.slice(0, 3).join(' ')}\`: ${out}${done.stderr}`)
  return out
}

export function measured(out: string): Measured {
  return new Map([...out.matchAll(/^(\S+ \S+) ([0-9.]+)\r?$/gm)].map(([, name = '', value]) => [name, Number(value)]))
}
