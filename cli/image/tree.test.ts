import { describe, expect, test } from 'vitest'
import { dirEntry, fileEntry, symlinkEntry } from './entries.ts'
import { lookup, mergeLayers, treeEntries } from './tree.ts'

const layer = (
  name: string,
  ...entries: Parameters<typeof mergeLayers>[0] extends Iterable<{ entries: Iterable<infer E> }> ? E[] : never
) => ({ name, entries })

describe('layers', () => {
  test('later files win, directories merge, missing parents appear', () => {
    const root = mergeLayers([
      layer('one', fileEntry('/etc/x', 'one'), fileEntry('/etc/y', 'y')),
      layer('two', fileEntry('/etc/x', 'three')),
    ])
    expect([...treeEntries(root)].map((entry) => entry.path)).toEqual(['/', '/etc', '/etc/x', '/etc/y'])
    const x = lookup(root, '/etc/x')?.entry
    expect(x?.kind === 'file' ? x.content.size : 0).toBe(5)
  })

  test('entries below a symlinked directory land where it points, and the link stays', () => {
    const root = mergeLayers([
      layer('base', dirEntry('/usr/lib'), symlinkEntry('/lib', 'usr/lib')),
      layer('deb', dirEntry('/lib'), fileEntry('/lib/ld.so', 'elf')),
    ])
    expect([...treeEntries(root)].map((entry) => [entry.path, entry.kind])).toEqual([
      ['/', 'dir'],
      ['/lib', 'symlink'],
      ['/usr', 'dir'],
      ['/usr/lib', 'dir'],
      ['/usr/lib/ld.so', 'file'],
    ])
    expect(lookup(root, '/lib/ld.so')?.entry.path).toBe('/usr/lib/ld.so')
  })

  test('a directory in a file’s place and the reverse are errors that name both', () => {
    expect(() => mergeLayers([layer('a', fileEntry('/x', '')), layer('b', dirEntry('/x'))])).toThrow(
      /b: \/x is a dir here and a file in an earlier layer/,
    )
    expect(() => mergeLayers([layer('a', dirEntry('/x')), layer('b', fileEntry('/x', ''))])).toThrow(/b: \/x is a file here and a dir/)
    expect(() => mergeLayers([layer('a', fileEntry('/x', '')), layer('b', fileEntry('/x/y', ''))])).toThrow(/file in an earlier layer/)
  })

  test('symlink loops and dangling links end with an error', () => {
    expect(() => mergeLayers([layer('a', symlinkEntry('/x', 'y'), symlinkEntry('/y', 'x'), fileEntry('/x/f', ''))])).toThrow(/symlink/)
    expect(() => mergeLayers([layer('a', symlinkEntry('/d', 'gone'), dirEntry('/d'))])).toThrow(/points nowhere/)
    expect(lookup(mergeLayers([layer('a', symlinkEntry('/x', 'y'), symlinkEntry('/y', 'x'))]), '/x')).toBeUndefined()
  })

  test.each(['relative', '/a/../b', '/a//b', '/./a', '/a/', '/nul\0', '/\ud800', `/${'n'.repeat(256)}`, `/${'d/'.repeat(200)}f`])(
    '%j is refused',
    (path) => {
      expect(() => mergeLayers([layer('a', fileEntry(path, ''))])).toThrow()
    },
  )
})
