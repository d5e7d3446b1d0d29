import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { AuthorityError } from '@authority/protocol'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { linuxSyscalls } from './linux.ts'
import { type MountRequest, Mounts, openMounts } from './mounts.ts'

let dir: string
beforeEach(() => {
  dir = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'authority-mounts-')))
  for (const name of ['home/runs', 'a', 'b']) fs.mkdirSync(path.join(dir, name), { recursive: true })
})
afterEach(() => fs.rmSync(dir, { recursive: true, force: true }))

function attempt(...requests: MountRequest[]): AuthorityError | Mounts {
  try {
    return openMounts(linuxSyscalls(), requests, { home: path.join(dir, 'home') })
  } catch (error) {
    if (error instanceof AuthorityError) return error
    throw error
  }
}
const at = (guest: string, host = 'a'): MountRequest => ({ guest, host: path.resolve(dir, host), readonly: false })
const openCount = (): number => fs.readdirSync('/proc/self/fd').length

it('refuses overlap with the home folder in both directions, by real path, and leaves nothing open', () => {
  fs.symlinkSync(path.join(dir, 'home/runs'), path.join(dir, 'link'))
  const before = openCount()
  for (const host of ['home', 'home/runs', '.', 'link']) {
    const error = attempt(at('/ok', 'b'), at('/work', host))
    expect(error).toMatchObject({ code: 'E_CONFLICT', message: expect.stringContaining('overlaps $AUTHORITY_HOME') })
  }
  expect(openCount()).toBe(before)
})

it('names the mount and the cause: missing folder, a file, a bad or reserved or repeated guest path', () => {
  fs.writeFileSync(path.join(dir, 'file'), '')
  expect(attempt(at('/work', 'none'))).toMatchObject({ code: 'E_NOT_FOUND', message: expect.stringContaining('does not exist') })
  expect(attempt(at('/work', '/dev/null'))).toMatchObject({ message: expect.stringContaining('neither a folder nor a regular file') })
  for (const guest of ['work', '/', '/a/../b', '/a\0b']) expect(attempt(at(guest))).toMatchObject({ code: 'E_CONFLICT' })
  for (const guest of ['/proc/x', '/dev', '/run', '/ak']) expect(attempt(at(guest))).toMatchObject({ code: 'E_POLICY_DENY' })
  expect(attempt(at('/work'), at('/work/', 'b'))).toMatchObject({ message: expect.stringContaining('mounted twice') })
})

it('the longest guest path is the ground of an object', () => {
  const mounts = attempt(at('/work'), at('/work/sub', 'b'))
  if (!(mounts instanceof Mounts)) throw mounts
  expect([
    mounts.at('/work/x')?.number,
    mounts.at('/work/sub')?.number,
    mounts.at('/work/sub/x')?.number,
    mounts.at('/work/subx')?.number,
    mounts.at('/workx'),
  ]).toEqual([0, 1, 1, 0, undefined])
  mounts.close()
})
