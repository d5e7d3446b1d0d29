import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { hostFs } from './fs-host.ts'

it('a write puts exactly the bytes of its range at their place, whatever kind of memory they lie in', () => {
  const folder = mkdtempSync(join(tmpdir(), 'authority-audit-'))
  try {
    const fd = hostFs.open(join(folder, 'file'), 'create')
    const text = new TextEncoder().encode('..abcdef..')
    expect(hostFs.write(fd, text, 2, 8, 0)).toBe(6)
    expect(hostFs.write(fd, text.subarray(2, 5), 1, 3, 4)).toBe(2)
    expect(hostFs.write(fd, Buffer.from('xyz'), 0, 3, 10)).toBe(3)
    const large = new Uint8Array(200_000).fill(7)
    expect(hostFs.write(fd, large, 100, 150_100, 13)).toBe(150_000)
    hostFs.close(fd)
    const stored = readFileSync(join(folder, 'file'))
    expect(stored.subarray(0, 13).toString()).toBe('abcdbc\0\0\0\0xyz')
    expect(stored.subarray(13).equals(Buffer.alloc(150_000, 7))).toBe(true)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

it('a write that fails names the error of the system: a full disk, a closed file', () => {
  const full = openSync('/dev/full', 'w')
  expect(() => hostFs.write(full, new Uint8Array(8), 0, 8, 0)).toThrow(expect.objectContaining({ code: 'ENOSPC' }))
  closeSync(full)
  expect(() => hostFs.write(full, new Uint8Array(8), 0, 8, 0)).toThrow(expect.objectContaining({ code: 'EBADF' }))
})
