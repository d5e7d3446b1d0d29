import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { AuthorityError } from '@authority/protocol'

/** Adapter: the image is opened once; what is hashed, what QEMU reads and what the log names are the same descriptor. */

const CHUNK_BYTES = 1 << 20

/**
 * Opens an image and compares its digest. Answers the descriptor, which the caller closes.
 * Throws E_NOT_FOUND when it is not there, E_CONFLICT when it is no regular file or its bytes are not the expected ones.
 */
export function openImage(path: string, expectedSha256: string): number {
  const fd = open(path)
  try {
    if (!fstatSync(fd).isFile()) throw new AuthorityError('E_CONFLICT', `the image ${path} is not a regular file`)
    const found = digestOf(fd)
    if (found !== expectedSha256) {
      throw new AuthorityError(
        'E_CONFLICT',
        `the image ${path} was changed since it was built: its SHA-256 is ${found}, expected ${expectedSha256}`,
        {
          hint: 'build it again with `authority build`; nothing was started',
        },
      )
    }
    return fd
  } catch (failure) {
    closeSync(fd)
    throw failure
  }
}

function open(path: string): number {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  } catch (cause) {
    throw new AuthorityError('E_NOT_FOUND', `cannot open the image ${path}`, { hint: '`authority images ls` shows what is there', cause })
  }
}

function digestOf(fd: number): string {
  const hasher = new Bun.CryptoHasher('sha256')
  const buffer = new Uint8Array(CHUNK_BYTES)
  for (let at = 0; ; ) {
    const count = readSync(fd, buffer, 0, CHUNK_BYTES, at)
    if (count === 0) return hasher.digest('hex')
    hasher.update(buffer.subarray(0, count))
    at += count
  }
}
