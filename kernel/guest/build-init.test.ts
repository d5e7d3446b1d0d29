import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { arch, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { compileInit } from './build-init.ts'

const HOST = arch() === 'arm64' ? 'aarch64' : 'x86_64'
let folder = ''

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'init-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

test('the same sources give the same static program wherever it is written, without names of this machine', {
  timeout: 60_000,
}, async () => {
  mkdirSync(join(folder, 'elsewhere'))
  const first = join(folder, 'init')
  const second = join(folder, 'elsewhere', 'other')
  await compileInit(HOST, first)
  await compileInit(HOST, second)
  const bytes = readFileSync(first)
  expect(bytes.equals(readFileSync(second))).toBe(true)
  expect(bytes.subarray(0, 4).toString('latin1')).toBe('\x7fELF')
  expect(bytes.includes('ld-musl')).toBe(false)
  expect(bytes.includes(import.meta.dirname)).toBe(false)
  expect(readdirSync(folder).sort()).toEqual(['elsewhere', 'init'])
})

test('a compiler that fails leaves nothing and says what it said', async () => {
  const compiler = join(folder, 'broken')
  writeFileSync(compiler, '#!/bin/sh\necho "no such header" >&2\nexit 1\n', { mode: 0o755 })
  await expect(compileInit(HOST, join(folder, 'init'), { compiler })).rejects.toThrow(/cannot compile init[\s\S]*no such header/)
  expect(existsSync(join(folder, 'init'))).toBe(false)
  expect(readdirSync(folder)).toEqual(['broken'])
})
