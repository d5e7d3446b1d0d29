import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'

/** How long a pipe may keep silent (`<(command)`), in ms. */
const PIPE_SILENCE_MS = 10_000
const PIPE_POLL_MS = 5
const PIPE_CHUNK_BYTES = 64 * 1024

/** The first `most` bytes of a file or pipe. A pipe nobody writes to is empty, one that keeps silent is refused: nothing waits for ever. */
export function readBounded(path: string, most: number): Uint8Array {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    return fstatSync(fd).isFile() ? readPlain(fd, most) : readStream(fd, most)
  } finally {
    closeSync(fd)
  }
}

/** The first `most` bytes of a plain file that is no symbolic link: it could lead out of a folder. Never a pipe. */
export function readPlainFile(path: string, most: number): Uint8Array {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    if (!fstatSync(fd).isFile()) throw new Error('it is not a plain file')
    return readPlain(fd, most)
  } finally {
    closeSync(fd)
  }
}

/** Why a file could not be read, in words. */
export function fileFault(fault: unknown): string {
  const { code, message } = fault as NodeJS.ErrnoException
  return code === undefined ? message : (WORDS[code] ?? code)
}

const WORDS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EISDIR: 'it is a folder',
  ELOOP: 'it is a symbolic link',
  EACCES: 'this user may not read it',
  ENXIO: 'it is a socket or a device without a driver',
}

/** Files of /proc say they are empty: read until the end says so. */
function readPlain(fd: number, most: number): Uint8Array {
  const buffer = Buffer.alloc(Math.min(Math.max(fstatSync(fd).size, PIPE_CHUNK_BYTES), most))
  let at = 0
  for (let read = 1; read > 0 && at < buffer.length; at += read) read = readSync(fd, buffer, at, buffer.length - at, at)
  return buffer.subarray(0, at)
}

function readStream(fd: number, most: number): Uint8Array {
  const parts: Buffer[] = []
  let size = 0
  let silentMs = 0
  while (size < most) {
    const part = Buffer.alloc(Math.min(PIPE_CHUNK_BYTES, most - size))
    try {
      const read = readSync(fd, part, 0, part.length, null)
      if (read === 0) break
      parts.push(part.subarray(0, read))
      size += read
      silentMs = 0
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
      if (silentMs >= PIPE_SILENCE_MS) throw new Error(`nothing came through it for ${PIPE_SILENCE_MS / 1000} s`)
      Bun.sleepSync(PIPE_POLL_MS)
      silentMs += PIPE_POLL_MS
    }
  }
  return Buffer.concat(parts)
}
