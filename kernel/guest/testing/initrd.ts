/** A `newc` archive of init and modules for the smoke run. The product's is in cli/machine, which this folder must not import. */
import { readFileSync } from 'node:fs'

/** `modules` are paths of uncompressed .ko files, in loading order. */
export function smokeInitrd(init: string, modules: readonly string[]): Uint8Array {
  const names = modules.map((path) => path.split('/').pop() ?? path)
  return Buffer.concat([
    entry('init', 0o100755, readFileSync(init)),
    entry('modules', 0o040755, Buffer.alloc(0)),
    entry('modules/list', 0o100644, Buffer.from(`${names.join('\n')}\n`)),
    ...modules.map((path, i) => entry(`modules/${names[i]}`, 0o100644, readFileSync(path))),
    entry('TRAILER!!!', 0, Buffer.alloc(0)),
  ])
}

function entry(name: string, mode: number, bytes: Buffer): Buffer {
  const fields = [0, mode, 0, 0, 1, 0, bytes.length, 0, 0, 0, 0, name.length + 1, 0]
  const head = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}${name}\0`
  return Buffer.concat([padded(Buffer.from(head)), padded(bytes)])
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)])
}
