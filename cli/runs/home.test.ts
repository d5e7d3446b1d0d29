import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { CliError } from './errors.ts'
import { HOME_FORMAT, homePath, openHome, writeFileAtomic } from './home.ts'

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'authority-home-'))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

const refusal = (path: string): string => {
  try {
    openHome(path)
  } catch (error) {
    if (error instanceof CliError) return error.message
    throw error
  }
  return 'opened'
}

describe('the home folder', () => {
  test('is made with private modes and its format, and opens again', () => {
    const home = openHome(join(root, 'home'))
    expect(statSync(home.path).mode & 0o777).toBe(0o700)
    expect(readFileSync(join(home.path, 'format'), 'utf8')).toBe(`authority-home ${HOME_FORMAT}\n`)
    expect(statSync(join(home.path, 'format')).mode & 0o777).toBe(0o600)
    expect(openHome(home.path)).toEqual(home)
  })

  test('that a newer version made is refused', () => {
    openHome(join(root, 'home'))
    writeFileSync(join(root, 'home', 'format'), 'authority-home 999\n')
    expect(refusal(join(root, 'home'))).toMatch(/newer authority/)
  })

  test('whose format is garbage is refused and left alone', () => {
    openHome(join(root, 'home'))
    writeFileSync(join(root, 'home', 'format'), 'what?')
    expect(refusal(join(root, 'home'))).toMatch(/corrupt/)
    expect(readFileSync(join(root, 'home', 'format'), 'utf8')).toBe('what?')
  })

  test('is never a folder that holds something else', () => {
    writeFileSync(join(root, 'letter.txt'), 'dear')
    expect(refusal(root)).toMatch(/not a home folder/)
    expect(readdirSync(root)).toEqual(['letter.txt'])
  })

  test('may be made by two processes at once', () => {
    mkdirSync(join(root, 'home'), { mode: 0o700 })
    writeFileSync(join(root, 'home', 'format.4711.tmp'), 'authority-ho')
    expect(openHome(join(root, 'home')).path).toBe(join(root, 'home'))
  })

  test('that others may write is refused', () => {
    mkdirSync(join(root, 'home'))
    chmodSync(join(root, 'home'), 0o777)
    expect(refusal(join(root, 'home'))).toMatch(/written by other users/)
  })

  test('is not a symbolic link', () => {
    mkdirSync(join(root, 'real'), { mode: 0o700 })
    symlinkSync('real', join(root, 'link'))
    expect(refusal(join(root, 'link'))).toMatch(/not a folder/)
  })

  test('is where AUTHORITY_HOME says, else the state folder', () => {
    expect(homePath({ AUTHORITY_HOME: '/x/y' })).toBe('/x/y')
    if (process.platform === 'linux') expect(homePath({ XDG_STATE_HOME: '/state' })).toBe('/state/authority')
  })
})

test('an atomic write leaves one whole file and nothing beside it', () => {
  writeFileAtomic(join(root, 'f'), 'one')
  writeFileAtomic(join(root, 'f'), 'two')
  expect(readdirSync(root)).toEqual(['f'])
  expect(readFileSync(join(root, 'f'), 'utf8')).toBe('two')
})
