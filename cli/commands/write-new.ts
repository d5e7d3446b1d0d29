import { closeSync, openSync, writeSync } from 'node:fs'
import { CliError } from '../runs/errors.ts'

/** Writes a file that must not be there yet. `mode` 0600 for what is secret. Throws CliError. */
export function writeNew(path: string, text: string, mode = 0o644): void {
  let file: number
  try {
    file = openSync(path, 'wx', mode)
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code
    if (code === 'EEXIST')
      throw new CliError('usage', `${path} is there already`, 'remove it or name another file: nothing is overwritten', { cause })
    throw new CliError('usage', `${path} cannot be written: ${code ?? String(cause)}`, 'is the folder there, and yours?', { cause })
  }
  try {
    const bytes = Buffer.from(text)
    for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at)
  } finally {
    closeSync(file)
  }
}
