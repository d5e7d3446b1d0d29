import { dirname, join } from 'node:path'
import { type LoadedPolicy, loadPolicy } from '@authority/kernel/policy'
import { fileFault, readPlainFile } from './bounded-file.ts'

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
    const content = readIncluded(file)
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

function readIncluded(path: string): Uint8Array {
  try {
    return readPlainFile(path, MAX_FILE_BYTES)
  } catch (fault) {
    throw new Error(fileFault(fault))
  }
}
