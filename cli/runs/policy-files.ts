import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type LoadedPolicy, loadPolicy } from '@authority/kernel/policy'

/** A policy file with everything it includes, read once: what the gate is handed is what was checked. */
export interface PolicyFiles {
  readonly loaded: LoadedPolicy
  readonly bytes: Uint8Array
  readonly includes: readonly IncludedFile[]
  /** Host paths of the included files. */
  readonly paths: readonly string[]
}

export interface IncludedFile {
  readonly name: string
  readonly base64: string
}

/** More than any policy may have (kernel/policy/limits.ts). */
const MAX_FILE_BYTES = 4 * 1024 * 1024 + 1

/** `bytes` is the content of the file at `path`; `shown` names it in messages. Throws PolicyLoadError. */
export function loadPolicyFiles(bytes: Uint8Array, path: string, shown: string, hosts: Readonly<Record<string, string>>): PolicyFiles {
  const includes: IncludedFile[] = []
  const paths: string[] = []
  const include = (name: string): Uint8Array => {
    const file = join(dirname(path), name)
    const content = readPlainFile(file)
    includes.push({ name, base64: Buffer.from(content).toString('base64') })
    paths.push(file)
    return content
  }
  return { loaded: loadPolicy(bytes, shown, { hosts, include }), bytes, includes, paths }
}

/** For `LoadOptions.include`, from what was read before. */
export function includeFrom(files: readonly IncludedFile[]): (name: string) => Uint8Array {
  return (name) => {
    const found = files.find((file) => file.name === name)
    if (found === undefined) throw new Error('it was not there when the policy was read')
    return Buffer.from(found.base64, 'base64')
  }
}

/** Never through a link: it could lead out of the folder. Never a pipe: it could wait for ever. */
function readPlainFile(path: string): Uint8Array {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const stat = fstatSync(fd)
    if (!stat.isFile()) throw new Error('it is not a plain file')
    const buffer = Buffer.alloc(Math.min(stat.size, MAX_FILE_BYTES))
    let at = 0
    for (let read = 1; read > 0 && at < buffer.length; at += read) read = readSync(fd, buffer, at, buffer.length - at, at)
    return buffer.subarray(0, at)
  } finally {
    closeSync(fd)
  }
}
