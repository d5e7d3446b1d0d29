import { mkdirSync, renameSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { AuthorityError } from '@authority/protocol'
import { findProgram, runProgram } from '../../process/run-program.ts'

/** Build step: compiles authority-cell, static, for the host. Users of the finished binary need no compiler. */

const SOURCES = ['cell.c', 'namespaces.c', 'rights.c', 'file_pump.c', 'vhost_user.c', 'virtqueue.c', 'guest_memory.c'] as const
/** What the guest's init and the file pump both speak on a link. */
const LINK = join(import.meta.dirname, '../../../kernel/guest/init')
const LINK_SOURCES = ['frame.c', 'cbor.c'] as const
const TRIPLET: Readonly<Record<string, string>> = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' }

/** Writes the launcher to `outFile`. Throws E_NOT_FOUND without musl-gcc, E_IO when it does not compile. */
export async function compileCell(outFile: string): Promise<void> {
  const compiler = findProgram('musl-gcc')
  if (compiler === null)
    throw new AuthorityError('E_NOT_FOUND', 'musl-gcc is not installed', {
      hint: 'sudo apt-get install --no-install-recommends musl-tools linux-libc-dev',
    })
  mkdirSync(dirname(outFile), { recursive: true })
  const made = `${outFile}.${process.pid}.tmp`
  const triplet = TRIPLET[process.arch] ?? `${process.arch}-linux-gnu`
  // musl-gcc knows no kernel headers: they come after its own.
  const headers = ['-idirafter', '/usr/include', '-idirafter', `/usr/include/${triplet}`]
  const flags = ['-std=gnu17', '-O2', '-static', '-s', '-Wall', '-Wextra', '-Werror', '-Wl,--build-id=none', `-I${LINK}`, ...headers]
  const sources = [...SOURCES.map((name) => join(import.meta.dirname, name)), ...LINK_SOURCES.map((name) => join(LINK, name))]
  const result = await runProgram([compiler, ...flags, '-o', made, ...sources])
  if (result.code !== 0) throw new AuthorityError('E_IO', `authority-cell does not compile:\n${result.stderr.slice(0, 4000)}`)
  renameSync(made, outFile)
}
