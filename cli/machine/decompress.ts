import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AuthorityError } from '@authority/protocol'
import { MAX_PROGRAM_OUTPUT_BYTES } from '../process/limits.ts'
import { findProgram, runProgram } from '../process/run-program.ts'
import { MAX_KERNEL_BYTES } from './limits.ts'
import { lz4Legacy } from './lz4.ts'
import type { Compression } from './vmlinux.ts'

/** Adapter: xz through the host's `xz`, lz4 ours, the rest through Bun. */

/** Decompresses one stream. `maxBytes` bounds the result. Throws E_NOT_FOUND when `xz` is missing, E_IO when the stream is bad. */
export async function decompress(kind: Compression, bytes: Uint8Array, maxBytes: number = MAX_KERNEL_BYTES): Promise<Uint8Array> {
  const result = kind === 'xz' ? await throughXz(bytes, maxBytes) : kind === 'lz4' ? lz4Legacy(bytes, maxBytes) : natively(kind, bytes)
  if (result.length > maxBytes) throw new AuthorityError('E_FRAME_TOO_LARGE', `a ${kind} stream grew past ${maxBytes} bytes`)
  return result
}

function natively(kind: 'zstd' | 'gzip', bytes: Uint8Array): Uint8Array {
  try {
    const own = new Uint8Array(bytes)
    return kind === 'zstd' ? Bun.zstdDecompressSync(own) : Bun.gunzipSync(own)
  } catch (cause) {
    throw new AuthorityError('E_IO', `a ${kind} stream of the kernel package is damaged`, { cause })
  }
}

async function throughXz(bytes: Uint8Array, maxBytes: number): Promise<Uint8Array> {
  const xz = findProgram('xz')
  if (xz === null)
    throw new AuthorityError('E_NOT_FOUND', 'the kernel package is compressed with xz, which is not installed', {
      hint: 'sudo apt-get install --no-install-recommends xz-utils',
    })
  const folder = mkdtempSync(join(tmpdir(), 'authority-xz-'))
  try {
    const file = join(folder, 'stream.xz')
    writeFileSync(file, bytes, { mode: 0o600 })
    const result = await runProgram([xz, '--decompress', '--stdout', '--single-stream', file], {
      maxBytes: Math.max(maxBytes, MAX_PROGRAM_OUTPUT_BYTES),
    })
    if (result.code !== 0)
      throw new AuthorityError('E_IO', `xz could not decompress a part of the kernel package: ${result.stderr.slice(0, 200)}`)
    return result.stdout
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
