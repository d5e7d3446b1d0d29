import { describe, expect, test } from 'vitest'
import { libraryClosure } from './closure.ts'
import { readElf } from './elf.ts'
import { bytesContent } from './entries.ts'
import { type LibrarySource, trustedDirs } from './libraries.ts'
import { type ElfParts, makeElf } from './testing.ts'

/** A host that has exactly these libraries. */
function host(files: Readonly<Record<string, ElfParts>>, dirs?: readonly string[]): LibrarySource {
  return {
    name: 'the test host',
    searchDirs: (interpreter) => dirs ?? trustedDirs(interpreter, 'x86_64'),
    find: (path, arch) => {
      const parts = files[path]
      if (parts === undefined) return undefined
      const bytes = makeElf(parts)
      const elf = readElf({ name: path, size: bytes.length, read: (offset, length) => bytes.subarray(offset, offset + length) })
      return elf.machine === arch ? { elf, content: bytesContent(bytes), mtime: { seconds: 1, nanos: 0 } } : undefined
    },
  }
}

const LOADER = '/lib64/ld-linux-x86-64.so.2'
const program = (parts: ElfParts, path = '/home/me/bin/prog') => {
  const bytes = makeElf({ interpreter: LOADER, ...parts })
  return {
    path,
    elf: readElf({ name: path, size: bytes.length, read: (offset, length) => bytes.subarray(offset, offset + length) }),
    guestDir: '/app',
  }
}
const LIB = '/lib/x86_64-linux-gnu'

describe('library closure', () => {
  test('transitive, each once, at the places the guest’s loader looks', () => {
    const source = host({
      [LOADER]: { soname: 'ld-linux-x86-64.so.2' },
      [`${LIB}/libc.so.6`]: { needed: ['ld-linux-x86-64.so.2'] },
      [`${LIB}/liba.so`]: { needed: ['libb.so', 'libc.so.6'] },
      [`/usr${LIB}/libb.so`]: { needed: ['liba.so', 'libc.so.6'] },
    })
    expect(libraryClosure(program({ needed: ['liba.so', 'libc.so.6'] }), source).libraries).toEqual([
      `${LIB}/liba.so`,
      `${LIB}/libc.so.6`,
      LOADER,
      `/usr${LIB}/libb.so`,
    ])
  })

  test('a folder only ld.so.conf names: the library goes beside libc, for the guest has no cache', () => {
    const source = host({ [LOADER]: {}, [`${LIB}/libc.so.6`]: {}, '/opt/weird/libx.so': {} }, [LIB, '/opt/weird'])
    expect(libraryClosure(program({ needed: ['libx.so', 'libc.so.6'] }), source).libraries).toContain(`${LIB}/libx.so`)
  })

  test('$ORIGIN moves with the program, absolute RUNPATH stays', () => {
    const source = host({ [LOADER]: {}, [`${LIB}/libc.so.6`]: {}, '/home/me/lib/libnear.so': {}, '/opt/x/libfar.so': {} })
    const { libraries } = libraryClosure(program({ needed: ['libnear.so', 'libfar.so'], runpath: '$ORIGIN/../lib:/opt/x' }), source)
    expect(libraries).toEqual(['/lib/libnear.so', LOADER, '/opt/x/libfar.so'].sort())
  })

  test('RPATH is inherited by libraries, RUNPATH is not', () => {
    const files = { [LOADER]: {}, [`${LIB}/libc.so.6`]: {}, '/opt/x/liba.so': { needed: ['libdeep.so'] }, '/opt/x/libdeep.so': {} }
    expect(libraryClosure(program({ needed: ['liba.so'], rpath: '/opt/x' }), host(files)).libraries).toContain('/opt/x/libdeep.so')
    expect(() => libraryClosure(program({ needed: ['liba.so'], runpath: '/opt/x' }), host(files))).toThrow(
      /needs libdeep\.so.*\(prog → liba\.so → libdeep\.so\)/,
    )
  })

  test('glibc’s libgcc_s comes along where it is there', () => {
    const source = host({ [LOADER]: {}, [`${LIB}/libc.so.6`]: {}, [`${LIB}/libgcc_s.so.1`]: {} })
    expect(libraryClosure(program({ needed: ['libc.so.6'] }), source).libraries).toContain(`${LIB}/libgcc_s.so.1`)
  })

  test('musl: the loader is the C library', () => {
    const musl = '/lib/ld-musl-x86_64.so.1'
    const source = host({ [musl]: { soname: 'libc.musl-x86_64.so.1' }, '/lib/x86_64-linux-musl/libz.so': { needed: ['libc.so'] } }, [
      '/lib/x86_64-linux-musl',
    ])
    expect(libraryClosure(program({ interpreter: musl, needed: ['libz.so', 'libc.so'] }), source).libraries).toEqual([
      musl,
      '/usr/lib/libz.so',
    ])
  })

  test('a library of another architecture is passed over', () => {
    const source = host({ [LOADER]: {}, [`${LIB}/libc.so.6`]: {}, [`${LIB}/libx.so`]: { machine: 0xb7 }, '/usr/lib/libx.so': {} })
    expect(libraryClosure(program({ needed: ['libx.so'] }), source).libraries).toContain('/usr/lib/libx.so')
  })

  test('a missing loader and a missing library are named', () => {
    expect(() => libraryClosure(program({ needed: [] }), host({}))).toThrow(/needs the loader \/lib64/)
    expect(() => libraryClosure(program({ needed: ['libgone.so'] }), host({ [LOADER]: {} }))).toThrow(
      /needs libgone\.so, which the test host does not have/,
    )
  })
})
