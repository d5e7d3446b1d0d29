import { describe, expect, test } from 'vitest'
import { buildInitrd } from './initrd.ts'
import { MAX_INIT_BYTES } from './limits.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

interface Read {
  path: string
  mode: number
  content: string
}

/** A reader of its own, so that writer and test do not share a mistake. */
function readCpio(archive: Uint8Array): Read[] {
  const found: Read[] = []
  const text = (at: number, length: number) => new TextDecoder().decode(archive.subarray(at, at + length))
  for (let at = 0; ; ) {
    expect(text(at, 6)).toBe('070701')
    const field = (index: number) => Number.parseInt(text(at + 6 + index * 8, 8), 16)
    const nameSize = field(11)
    const size = field(6)
    const path = text(at + 110, nameSize - 1)
    const start = Math.ceil((at + 110 + nameSize) / 4) * 4
    if (path === 'TRAILER!!!') return found
    expect(field(2) + field(3) + field(5)).toBe(0)
    found.push({ path, mode: field(1), content: text(start, size) })
    at = Math.ceil((start + size) / 4) * 4
  }
}

describe('initial file system', () => {
  test('holds init, the modules and their order', () => {
    const archive = buildInitrd(bytes('INIT'), [
      { name: 'virtio.ko', bytes: bytes('one') },
      { name: 'virtio_pci.ko', bytes: bytes('three') },
    ])
    expect(archive.length % 4).toBe(0)
    expect(readCpio(archive)).toEqual([
      { path: 'init', mode: 0o100755, content: 'INIT' },
      { path: 'modules', mode: 0o040755, content: '' },
      { path: 'modules/list', mode: 0o100644, content: 'virtio.ko\nvirtio_pci.ko\n' },
      { path: 'modules/virtio.ko', mode: 0o100644, content: 'one' },
      { path: 'modules/virtio_pci.ko', mode: 0o100644, content: 'three' },
    ])
  })

  test('same inputs, same bytes', () => {
    const make = () => buildInitrd(bytes('INIT'), [{ name: 'a.ko', bytes: bytes('x') }])
    expect(make()).toEqual(make())
  })

  test.each(['../x.ko', 'a/b.ko', 'x', '', 'a b.ko', 'a.ko\n'])('module name %j is refused', (name) => {
    expect(() => buildInitrd(bytes('I'), [{ name, bytes: bytes('x') }])).toThrow(/cannot be a module/)
  })

  test('an empty, an oversized init and a module named twice are refused', () => {
    expect(() => buildInitrd(new Uint8Array(0), [])).toThrow(/empty/)
    expect(() => buildInitrd(new Uint8Array(MAX_INIT_BYTES + 1), [])).toThrow(/more than/)
    const twice = { name: 'a.ko', bytes: bytes('x') }
    expect(() => buildInitrd(bytes('I'), [twice, twice])).toThrow(/cannot be a module/)
  })
})
