import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { fileFault, readBounded, readPlainFile } from './bounded-file.ts'

let folder: string
const at = (name: string): string => join(folder, name)
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bounded-file-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const fault = (read: () => unknown): string => {
  try {
    read()
  } catch (error) {
    return fileFault(error)
  }
  return 'read'
}

it('reads what is there, and of anything larger one bound', () => {
  writeFileSync(at('a'), 'abc')
  expect(Buffer.from(readBounded(at('a'), 10)).toString()).toBe('abc')
  writeFileSync(at('sparse'), '')
  truncateSync(at('sparse'), 2 ** 40)
  expect(readBounded(at('sparse'), 1000)).toHaveLength(1000)
  expect(readBounded('/dev/zero', 1000)).toHaveLength(1000)
})

it('a pipe nobody writes to is empty; one that is written to late is read whole', async () => {
  spawnSync('mkfifo', [at('pipe')])
  expect(readBounded(at('pipe'), 10)).toHaveLength(0)
  // Holds the pipe open on both sides, so that the reader finds it silent at first.
  const writer = spawn('sh', ['-c', `exec 3<>"${at('pipe')}"; echo open; sleep 0.1; printf late >&3`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await new Promise((resolve) => writer.stdout.once('data', resolve))
  expect(Buffer.from(readBounded(at('pipe'), 4)).toString()).toBe('late')
})

it('says in words why not', () => {
  symlinkSync('a', at('link'))
  expect(fault(() => readBounded(at('none'), 10))).toBe('there is no such file')
  expect(fault(() => readBounded(folder, 10))).toBe('it is a folder')
  expect(fault(() => readPlainFile(at('link'), 10))).toBe('it is a symbolic link')
  expect(fault(() => readPlainFile('/dev/zero', 10))).toBe('it is not a plain file')
})
