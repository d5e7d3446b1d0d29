import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { exclusively } from './exclusive.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'authority-exclusive-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

test('one at a time, and nothing is left', async () => {
  const path = join(folder, 'lock')
  let inside = 0
  let most = 0
  const work = async (): Promise<void> => {
    inside += 1
    most = Math.max(most, inside)
    await Promise.resolve()
    inside -= 1
  }
  await Promise.all([exclusively(path, work), exclusively(path, work), exclusively(path, work)])
  expect(most).toBe(1)
  expect(existsSync(path)).toBe(false)
})

test('a holder that died does not count', async () => {
  const path = join(folder, 'lock')
  writeFileSync(path, '4194303 12345\n')
  expect(await exclusively(path, async () => 'done')).toBe('done')
})

test('what fails inside lets go', async () => {
  const path = join(folder, 'lock')
  await expect(exclusively(path, () => Promise.reject(new Error('inside')))).rejects.toThrow('inside')
  expect(existsSync(path)).toBe(false)
})
