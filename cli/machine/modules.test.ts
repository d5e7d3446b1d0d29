import { describe, expect, test } from 'vitest'
import { builtinNames, elfSection, type PackageModule, pickModules, readModinfo } from './modules.ts'

/** A relocatable ELF64 with one .modinfo section: header, strings, section data, three section headers. */
function moduleElf(info: readonly string[]): Uint8Array {
  const modinfo = new TextEncoder().encode(info.map((entry) => `${entry}\0`).join(''))
  const strings = new TextEncoder().encode('\0.modinfo\0.shstrtab\0')
  const table = 64 + strings.length + modinfo.length
  const bytes = new Uint8Array(table + 3 * 64)
  const view = new DataView(bytes.buffer)
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
  view.setBigUint64(0x28, BigInt(table), true)
  view.setUint16(0x3a, 64, true)
  view.setUint16(0x3c, 3, true)
  view.setUint16(0x3e, 2, true)
  bytes.set(strings, 64)
  bytes.set(modinfo, 64 + strings.length)
  const section = (index: number, name: number, offset: number, size: number) => {
    view.setUint32(table + index * 64, name, true)
    view.setUint32(table + index * 64 + 4, 1, true)
    view.setBigUint64(table + index * 64 + 0x18, BigInt(offset), true)
    view.setBigUint64(table + index * 64 + 0x20, BigInt(size), true)
  }
  section(1, 1, 64 + strings.length, modinfo.length)
  section(2, 10, 64, strings.length)
  return bytes
}

const module = (path: string, ...info: string[]): PackageModule => ({ path, read: () => moduleElf(info) })

describe('modules of the guest', () => {
  const files = [
    module('kernel/drivers/virtio/virtio.ko', 'depends='),
    module('kernel/drivers/virtio/virtio_ring.ko', 'depends='),
    module('kernel/drivers/virtio/virtio_pci.ko.xz', 'depends=virtio_ring,virtio', 'alias=pci:v1'),
    module('kernel/fs/erofs/erofs.ko', 'depends=libcrc32c'),
    module('kernel/lib/libcrc32c.ko', 'depends=', 'softdep=pre: crc32c post: nothing'),
    module('kernel/arch/x86/crypto/crc32c-intel.ko', 'alias=crc32c', 'depends='),
    module('kernel/crypto/crc32c_generic.ko', 'alias=crc32c', 'alias=crypto-crc32c', 'depends='),
  ]
  const names = (wanted: string[], builtin: ReadonlySet<string> = new Set()) =>
    pickModules(wanted, files, builtin).map((picked) => picked.file)

  test('each comes after what it needs, once', () => {
    expect(names(['virtio_pci', 'virtio'])).toEqual(['virtio_ring.ko', 'virtio.ko', 'virtio_pci.ko'])
  })

  test('a soft dependency is met by the plainest provider, unless the kernel has it', () => {
    expect(names(['erofs'])).toEqual(['crc32c_generic.ko', 'libcrc32c.ko', 'erofs.ko'])
    expect(names(['erofs'], builtinNames('kernel/crypto/crc32c_generic.ko\n', 'crc32c_generic.alias=crc32c\0'))).toEqual([
      'libcrc32c.ko',
      'erofs.ko',
    ])
  })

  test('built-in modules are left out, with - and _ as one', () => {
    expect(names(['virtio-pci'], builtinNames('kernel/drivers/virtio/virtio-ring.ko\n', ''))).toEqual(['virtio.ko', 'virtio_pci.ko'])
  })

  test('a missing module is named', () => {
    expect(() => names(['fuse'])).toThrow(/no module `fuse`/)
  })

  test('modules that need each other do not hang', () => {
    const circle = [module('a.ko', 'depends=b'), module('b.ko', 'depends=a')]
    expect(pickModules(['a'], circle, new Set()).map((picked) => picked.file)).toEqual(['b.ko', 'a.ko'])
  })

  test('damaged ELF files are refused, never read past their end', () => {
    const good = moduleElf(['depends='])
    expect(readModinfo(good).get('depends')).toEqual([''])
    expect(elfSection(good, '.absent').length).toBe(0)
    for (let length = 0; length < good.length; length += 7) expect(() => readModinfo(good.subarray(0, length))).toThrow(/not a 64-bit ELF/)
    expect(() => readModinfo(new TextEncoder().encode('not an ELF file at all, but long enough to be looked at as one.....'))).toThrow(
      /not a 64-bit ELF/,
    )
  })
})
