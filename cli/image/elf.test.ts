import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type ByteSource, type Elf, readElf } from './elf.ts'
import { ImageError } from './errors.ts'
import { makeElf } from './testing.ts'

const source = (bytes: Buffer): ByteSource => ({
  name: 'prog',
  size: bytes.length,
  read: (offset, length) => {
    if (offset < 0 || offset + length > bytes.length) throw new Error('read outside the file')
    return bytes.subarray(offset, offset + length)
  },
})
const read = (bytes: Buffer): Elf => readElf(source(bytes))

describe('ELF', () => {
  test('a dynamic program', () => {
    const bytes = makeElf({
      interpreter: '/lib64/ld.so',
      needed: ['liba.so.1', 'libc.so.6'],
      runpath: '$ORIGIN/../lib:/opt/lib',
      soname: 'me.so',
    })
    expect(read(bytes)).toEqual({
      machine: 'x86_64',
      type: 'shared',
      interpreter: '/lib64/ld.so',
      needed: ['liba.so.1', 'libc.so.6'],
      rpath: [],
      runpath: ['$ORIGIN/../lib', '/opt/lib'],
      soname: 'me.so',
    })
  })

  test('a static program, the other architecture', () => {
    expect(read(makeElf({ machine: 0xb7 }))).toMatchObject({ machine: 'aarch64', interpreter: undefined, needed: [] })
  })

  test('what it is instead is named', () => {
    const patched = (at: number, value: number) => {
      const bytes = makeElf({})
      bytes[at] = value
      return bytes
    }
    expect(() => read(patched(4, 1))).toThrow(/32-bit/)
    expect(() => read(patched(5, 2))).toThrow(/big-endian/)
    expect(() => read(patched(18, 0xf3))).toThrow(/riscv64/)
    expect(() => read(patched(18, 0x77))).toThrow(/machine 119/)
    expect(() => read(patched(16, 1))).toThrow(/object/)
    expect(() => read(Buffer.alloc(100, 0x41))).toThrow(/not an ELF/)
    expect(() => read(Buffer.from('\x7fELF'))).toThrow(/too short/)
  })

  test('any damage: read, or an ImageError; never a read outside the file', () => {
    const good = makeElf({ interpreter: '/lib64/ld.so', needed: ['liba.so.1', 'libc.so.6'], runpath: '$ORIGIN' })
    const flips = fc.array(fc.tuple(fc.nat(good.length - 1), fc.constantFrom(0, 1, 0x7f, 0x80, 0xff)), { minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(flips, fc.nat(good.length), (changes, cut) => {
        const bad = Buffer.from(good)
        for (const [at, value] of changes) bad[at] = value
        try {
          read(cut % 4 === 0 ? bad.subarray(0, cut) : bad)
        } catch (error) {
          expect(error).toBeInstanceOf(ImageError)
        }
      }),
      { numRuns: 2000 },
    )
  })
})
