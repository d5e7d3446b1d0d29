import { closeSync, fchmodSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'

/** Adapter: digests and atomic files. */

export function sha256(bytes: Uint8Array): string {
  return new Bun.CryptoHasher('sha256').update(bytes).digest('hex')
}

let counter = 0

/** Writes a file, with exactly this mode, so that its name never shows anything but the whole content. */
export function writeAtomically(path: string, bytes: Uint8Array, mode: number): void {
  const temporary = `${path}.${process.pid}.${counter++}.tmp`
  const fd = openSync(temporary, 'wx', mode)
  try {
    // The user's umask must not close a file that QEMU reads under another uid.
    fchmodSync(fd, mode)
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at)
    fsyncSync(fd)
  } catch (cause) {
    rmSync(temporary, { force: true })
    throw cause
  } finally {
    closeSync(fd)
  }
  renameSync(temporary, path)
}
