import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { folderEntries, SKIPPED_NAMES } from './host-folder.ts'

let dir = ''
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'folder-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const walk = () => [...folderEntries(dir, '/app', { skip: SKIPPED_NAMES, what: 'the program folder' })]

describe('a program folder', () => {
  test('byte order, times kept, byte code left out, write bits gone', () => {
    mkdirSync(join(dir, 'sub/__pycache__'), { recursive: true })
    for (const name of ['b.py', 'B.py', 'ä.py', 'sub/x', 'sub/__pycache__/x.pyc']) writeFileSync(join(dir, name), name)
    chmodSync(join(dir, 'b.py'), 0o777)
    utimesSync(join(dir, 'b.py'), 1_700_000_000, 1_700_000_000.5)
    symlinkSync('sub/x', join(dir, 'link'))
    const entries = walk()
    expect(entries.map((entry) => entry.path)).toEqual([
      '/app',
      '/app/B.py',
      '/app/b.py',
      '/app/link',
      '/app/sub',
      '/app/sub/x',
      '/app/ä.py',
    ])
    expect(entries[2]).toMatchObject({ mode: 0o755, mtime: { seconds: 1_700_000_000, nanos: 500_000_000 } })
    expect(entries[3]).toMatchObject({ kind: 'symlink', target: 'sub/x' })
  })

  test.each(['/etc/passwd', '../outside', 'sub/../../outside', '..'])('a symlink to %s is refused', (target) => {
    symlinkSync(target, join(dir, 'link'))
    expect(walk).toThrow(/symlink that leaves the program folder/)
  })

  test('a FIFO is refused, not read', () => {
    execFileSync('mkfifo', [join(dir, 'pipe')])
    expect(walk).toThrow(/device, socket or FIFO/)
  })

  test('a name that is not UTF-8 is refused', () => {
    writeFileSync(Buffer.concat([Buffer.from(`${dir}/`), Buffer.from([0xff])]), '')
    expect(walk).toThrow(/not UTF-8/)
  })
})
