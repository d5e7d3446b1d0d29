/** Compiles init/*.c into the one static program that becomes PID 1. Runs at `npm run build` and in tests; users of the binary need no compiler. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { arch as hostArch } from 'node:os'
import { dirname, join } from 'node:path'

export type GuestArch = 'x86_64' | 'aarch64'

export interface CompileInitOptions {
  /** Compiler to use instead of those tried by name; it must accept gcc's options. */
  readonly compiler?: string
}

const SOURCES = join(import.meta.dirname, 'init')

const FLAGS = [
  '-std=gnu17',
  '-D_GNU_SOURCE',
  '-O2',
  '-static',
  '-Wall',
  '-Wextra',
  '-Werror',
  '-Wshadow',
  '-Wconversion',
  '-Wcast-qual',
  '-Wwrite-strings',
  '-Wstrict-prototypes',
  '-Wmissing-prototypes',
  '-Wformat=2',
  '-Wundef',
  '-Wvla',
  '-fstack-protector-strong',
  // Same sources, same bytes: no build id, no symbols, no paths, no randomness.
  '-s',
  '-Wl,--build-id=none',
  '-frandom-seed=authority',
]

/**
 * Writes the program to `outFile` whole or not at all; its folder must exist.
 * Throws an Error with the compiler's own words when it cannot be compiled, or when no compiler for `arch` is found.
 */
export async function compileInit(arch: GuestArch, outFile: string, options: CompileInitOptions = {}): Promise<void> {
  const compiler = options.compiler ?? findCompiler(arch)
  const folder = mkdtempSync(join(dirname(outFile), '.init-'))
  try {
    const built = join(folder, 'init')
    const args = [...FLAGS, `-ffile-prefix-map=${SOURCES}=init`, ...kernelHeaders(compiler, arch), '-o', built, ...sourceFiles()]
    const run = spawnSync(compiler, args, { cwd: SOURCES, encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } })
    if (run.error !== undefined) throw new Error(`cannot run ${compiler}: ${run.error.message}`)
    if (run.status !== 0) throw new Error(`${compiler} cannot compile init for ${arch}:\n${run.stderr}`)
    renameSync(built, outFile)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** In one order everywhere: the linker places code in the order of its arguments. */
function sourceFiles(): string[] {
  return readdirSync(SOURCES)
    .filter((name) => name.endsWith('.c'))
    .sort()
}

function findCompiler(arch: GuestArch): string {
  const native = (hostArch() === 'x64' ? 'x86_64' : hostArch() === 'arm64' ? 'aarch64' : '') === arch
  const candidates = [...(native ? ['musl-gcc'] : []), `${arch}-linux-musl-gcc`, `${arch}-linux-gnu-gcc`]
  for (const name of candidates) if (spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0) return name
  const cross = { x86_64: 'gcc-x86-64-linux-gnu libc6-dev-amd64-cross', aarch64: 'gcc-aarch64-linux-gnu libc6-dev-arm64-cross' }[arch]
  const wanted = native ? 'musl-tools linux-libc-dev' : cross
  throw new Error(`no compiler for init (${arch}): tried ${candidates.join(', ')}; on Debian: apt-get install ${wanted}`)
}

/** musl brings no linux/*.h: the system's, looked at after musl's own headers. A cross compiler for glibc has its own. */
function kernelHeaders(compiler: string, arch: GuestArch): string[] {
  if (!compiler.includes('musl')) return []
  const folders = ['/usr/include', `/usr/include/${arch}-linux-gnu`].filter((folder) => existsSync(folder))
  return folders.flatMap((folder) => ['-idirafter', folder])
}
