import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { dirEntry, fileEntry, symlinkEntry } from '../entries.ts'
import { mergeLayers } from '../tree.ts'
import { debEntries } from './deb-entries.ts'
import { extract } from './extract.ts'

let dir = ''
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'deb-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

test('documentation, byte code and package files stay out; setuid goes; absolute links stay as they are', () => {
  for (const path of [
    'usr/bin/tool',
    'usr/share/doc/tool/README',
    'usr/share/man/man1/tool.1',
    'usr/lib/python3.11/__pycache__/x.pyc',
    'usr/lib/python3.11/x.py',
    'var/lib/dpkg/status',
    'etc/tool.conf',
  ]) {
    mkdirSync(join(dir, path, '..'), { recursive: true })
    writeFileSync(join(dir, path), path)
  }
  chmodSync(join(dir, 'usr/bin/tool'), 0o4755)
  symlinkSync('/etc/tool.conf', join(dir, 'usr/bin/link'))
  const entries = [...debEntries(dir)]
  expect(entries.filter((entry) => entry.kind !== 'dir').map((entry) => entry.path)).toEqual([
    '/etc/tool.conf',
    '/usr/bin/link',
    '/usr/bin/tool',
    '/usr/lib/python3.11/x.py',
  ])
  expect(entries.find((entry) => entry.path === '/usr/bin/tool')?.mode).toBe(0o755)
  expect(entries.find((entry) => entry.path === '/usr/bin/link')).toMatchObject({ kind: 'symlink', target: '/etc/tool.conf' })
})

test('a tree is unpacked without writing through its symlinks', () => {
  const outside = join(dir, 'outside')
  mkdirSync(outside)
  const tree = mergeLayers([
    {
      name: 'a',
      entries: [dirEntry('/real'), symlinkEntry('/link', 'real'), symlinkEntry('/away', outside), fileEntry('/link/file', 'x', 0o755)],
    },
  ])
  const into = join(dir, 'into')
  extract(tree, into)
  expect(readFileSync(join(into, 'real/file'), 'utf8')).toBe('x')
  expect(lstatSync(join(into, 'real/file')).mode & 0o777).toBe(0o755)
  expect(readlinkSync(join(into, 'away'))).toBe(outside)
  expect(() => mergeLayers([{ name: 'a', entries: [symlinkEntry('/away', outside), fileEntry('/away/file', 'x')] }])).not.toThrow()
  expect(existsSync(join(outside, 'file'))).toBe(false)
})
