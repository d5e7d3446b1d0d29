import { describe, expect, test } from 'vitest'
import { bzImagePayload, hasPvhEntry } from './vmlinux.ts'

function bzImage(payload: readonly number[], version = 0x020f): Uint8Array {
  const image = new Uint8Array(2048 + payload.length)
  const view = new DataView(image.buffer)
  image[0x1f1] = 1
  view.setUint32(0x202, 0x53726448, true)
  view.setUint16(0x206, version, true)
  view.setUint32(0x248, 1024, true)
  view.setUint32(0x24c, payload.length, true)
  image.set(payload, 2048)
  return image
}

describe('bzImage', () => {
  test('finds the payload, its compression and its size', () => {
    const found = bzImagePayload(bzImage([0x28, 0xb5, 0x2f, 0xfd, 1, 2, 0x00, 0x10, 0, 0]))
    expect(found).toMatchObject({ compression: 'zstd', size: 4096 })
    expect([...(found?.bytes ?? [])]).toEqual([0x28, 0xb5, 0x2f, 0xfd, 1, 2])
  })

  test.each([
    ['another file', new Uint8Array(4096)],
    ['too short', new Uint8Array(10)],
    ['an old boot protocol', bzImage([0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0], 0x0207)],
    ['an unknown compression', bzImage([1, 2, 3, 4, 5, 6, 7, 8])],
    ['a payload past the end', bzImage([0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0]).subarray(0, 2050)],
  ])('%s: null', (_, image) => {
    expect(bzImagePayload(image)).toBeNull()
  })
})

test('a PVH entry is found in the notes only', () => {
  const elf = new Uint8Array(64 + 56 + 24)
  const view = new DataView(elf.buffer)
  elf.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
  view.setBigUint64(0x20, 64n, true)
  view.setUint16(0x36, 56, true)
  view.setUint16(0x38, 1, true)
  view.setUint32(64, 4, true)
  view.setBigUint64(64 + 8, 120n, true)
  view.setBigUint64(64 + 32, 24n, true)
  view.setUint32(120, 4, true)
  view.setUint32(124, 4, true)
  view.setUint32(128, 18, true)
  elf.set(new TextEncoder().encode('Xen\0'), 132)
  expect(hasPvhEntry(elf)).toBe(true)
  view.setUint32(128, 17, true)
  expect(hasPvhEntry(elf)).toBe(false)
  expect(hasPvhEntry(elf.subarray(0, 100))).toBe(false)
})
