import { dlopen, FFIType } from 'bun:ffi'
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { compileCell, ensureInitrd, ensureKernel, type Kernel, locateQemu, type QemuBinary } from '../machine/index.ts'
import { findProgram, runProgram } from '../process/run-program.ts'

/** What the VM tests share: a cache that outlives them (the kernel is fetched once), and everything else in a folder that goes with them. */

export const CACHE = process.env.AUTHORITY_TEST_CACHE ?? join(import.meta.dirname, '../../.cache/test-home')
const GUEST = join(import.meta.dirname, 'machine-guest')

export interface Prepared {
  readonly folder: string
  readonly launcher: string
  readonly qemu: QemuBinary
  readonly kernel: Kernel
  /** Initial file system with the echoing test init. */
  readonly initrd: string
  /** Compiles a test program of machine-guest; answers its path. */
  compile(source: string): Promise<string>
  clean(): void
}

export async function prepare(): Promise<Prepared> {
  const folder = mkdtempSync(join(tmpdir(), 'machine-vm-'))
  // The unprivileged half of the cell's tests starts programs in it.
  chmodSync(folder, 0o755)
  const launcher = join(folder, 'authority-cell')
  await compileCell(launcher)
  const compile = async (source: string) => {
    const out = join(folder, source.replace(/\.c$/, ''))
    const headers = ['-idirafter', '/usr/include', '-idirafter', `/usr/include/${process.arch === 'x64' ? 'x86_64' : 'aarch64'}-linux-gnu`]
    const result = await runProgram([
      findProgram('musl-gcc') ?? 'musl-gcc',
      '-static',
      '-O2',
      '-Wall',
      '-Wextra',
      '-Werror',
      ...headers,
      '-o',
      out,
      join(GUEST, source),
    ])
    if (result.code !== 0) throw new Error(result.stderr)
    return out
  }
  const kernel = await ensureKernel({ cacheFolder: CACHE, arch: 'x86_64' })
  const initrd = ensureInitrd(kernel, readFileSync(await compile('echo-init.c'))).path
  const qemu = await locateQemu('x86_64', CACHE)
  return { folder, launcher, qemu, kernel, initrd, compile, clean: () => rmSync(folder, { recursive: true, force: true }) }
}

const PIDFD_OPEN = 434n
const POLLIN = 1

/** Waits for the end of a process that need not be our child. True when it was gone within `ms`. Blocks this thread, never others. */
export function waitGone(pid: number, ms: number): boolean {
  const libc = dlopen('libc.so.6', {
    syscall: { args: [FFIType.i64, FFIType.i64, FFIType.i64], returns: FFIType.i64 },
    poll: { args: [FFIType.ptr, FFIType.u64, FFIType.i32], returns: FFIType.i32 },
    close: { args: [FFIType.i32], returns: FFIType.i32 },
  })
  const fd = Number(libc.symbols.syscall(PIDFD_OPEN, BigInt(pid), 0n))
  if (fd < 0) return true
  const entry = new Int32Array([fd, POLLIN])
  const ready = libc.symbols.poll(entry, 1n, ms)
  libc.symbols.close(fd)
  return ready === 1
}

/** Direct children of a process. */
export function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number)
}
