import { execFileSync } from 'node:child_process'
import {
  closeSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { bytesContent, type Content, dirEntry, type Entry, fileEntry, hostFile, symlinkEntry } from '../entries.ts'
import { ImageError } from '../errors.ts'
import { mergeLayers } from '../tree.ts'
import { BLOCK, crc32c } from './format.ts'
import { ErofsReader } from './reader.ts'
import { fileSink, writeErofs } from './writer.ts'

let dir = ''
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'erofs-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

function write(entries: readonly Entry[], name = 'image.erofs'): { path: string; sha256: string; size: number } {
  const path = join(dir, name)
  const fd = openSync(path, 'w')
  try {
    const made = writeErofs(
      mergeLayers([{ name: 'test', entries }]),
      fileSink(fd, path, (to, piece) => writeSync(to, piece)),
    )
    return { path, sha256: made.sha256, size: made.size }
  } finally {
    closeSync(fd)
  }
}

function withReader<T>(path: string, use: (reader: ErofsReader) => T): T {
  const fd = openSync(path, 'r')
  try {
    return use(new ErofsReader(fd))
  } finally {
    closeSync(fd)
  }
}

function has(tool: string): boolean {
  try {
    execFileSync('which', [tool], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** What fsck.erofs, which shares no code with us, makes of an image: it must find no fault and unpack exactly the entries. */
function extract(path: string): string {
  const out = join(dir, 'out')
  rmSync(out, { recursive: true, force: true })
  mkdirSync(out)
  execFileSync('fsck.erofs', [`--extract=${out}`, '--overwrite', '--force', path], { stdio: 'pipe' })
  return out
}

const bytes = (length: number, seed: number) => Buffer.from(Array.from({ length }, (_, i) => (i * 31 + seed * 17 + (i >> 8)) & 0xff))
const NAMES = ['a', 'b.txt', '!first', '-dash', '.hidden', '..more', 'Zed', 'ünï', '日本', '😀', '\uffee', 'x'.repeat(255), 'tab\there']

/** Random trees as a list of entries: nested directories, files around block boundaries, symlinks. */
const tree = fc
  .array(
    fc.record({
      at: fc.array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 4 }),
      kind: fc.constantFrom('dir', 'file', 'symlink'),
      size: fc.oneof(fc.constantFrom(0, 1, 4031, 4032, 4033, 4095, 4096, 4097, 8192, 12_000), fc.nat(9000)),
      mode: fc.constantFrom(0o755, 0o644, 0o600, 0o4755, 0o1777),
      seconds: fc.nat(4_294_967_295 * 2),
      nanos: fc.nat(999_999_999),
    }),
    { maxLength: 40 },
  )
  .map((specs) => {
    const taken = new Map<string, string>()
    const entries: Entry[] = []
    specs.forEach((spec, index) => {
      const path = `/${spec.at.join('/')}`
      const above = spec.at.slice(0, -1).map((_, i) => `/${spec.at.slice(0, i + 1).join('/')}`)
      if (taken.has(path) || above.some((dir) => (taken.get(dir) ?? 'dir') !== 'dir')) return
      for (const parent of above) taken.set(parent, 'dir')
      taken.set(path, spec.kind)
      const mtime = { seconds: spec.seconds, nanos: spec.nanos }
      if (spec.kind === 'dir') entries.push(dirEntry(path, spec.mode, mtime))
      else if (spec.kind === 'file') entries.push(fileEntry(path, bytes(spec.size, index), spec.mode, mtime))
      else entries.push(symlinkEntry(path, `../target-${index}`, mtime))
    })
    return entries
  })

describe('written images', () => {
  test('what is written is read back, times to the nanosecond', () => {
    fc.assert(
      fc.property(tree, (entries) => {
        const { path } = write(entries)
        withReader(path, (reader) => {
          const seen = new Map([...reader.walk()].map((item) => [item.path, item.stat]))
          for (const entry of entries) {
            const stat = seen.get(entry.path)
            expect(stat).toMatchObject({ kind: entry.kind, mode: entry.mode, uid: 0, gid: 0, mtime: entry.mtime })
            if (stat === undefined) return
            if (entry.kind === 'file')
              expect(Buffer.concat([...reader.content(entry.path).chunks()]).equals(Buffer.concat([...entry.content.chunks()]))).toBe(true)
            if (entry.kind === 'symlink') expect(reader.readlink(stat.nid)).toBe(entry.target)
            expect(reader.stat(entry.path)).toEqual(stat)
          }
        })
      }),
      { numRuns: 60 },
    )
  })

  test.runIf(has('fsck.erofs'))('fsck.erofs finds no fault and unpacks the same tree', () => {
    fc.assert(
      fc.property(tree, (entries) => {
        const out = extract(write(entries).path)
        for (const entry of entries) {
          const stat = lstatSync(join(out, entry.path), { bigint: true })
          if (entry.kind === 'file')
            expect(readFileSync(join(out, entry.path)).equals(Buffer.concat([...entry.content.chunks()]))).toBe(true)
          if (entry.kind === 'symlink') expect(readlinkSync(join(out, entry.path))).toBe(entry.target)
          if (entry.kind === 'dir') expect(stat.isDirectory()).toBe(true)
          else expect(stat.mtimeNs).toBe(BigInt(entry.mtime.seconds) * 1_000_000_000n + BigInt(entry.mtime.nanos))
        }
      }),
      { numRuns: 12 },
    )
  })

  test('same inputs, same bytes; another file time, other bytes', () => {
    const entries = [fileEntry('/a/b', 'hello'), symlinkEntry('/l', 'a/b'), fileEntry('/big', bytes(10_000, 1))]
    const first = write(entries, '1')
    expect(write([...entries].reverse(), '2').sha256).toBe(first.sha256)
    expect(readFileSync(join(dir, '1')).equals(readFileSync(join(dir, '2')))).toBe(true)
    expect(write([...entries.slice(1), fileEntry('/a/b', 'hello', 0o644, { seconds: 1, nanos: 0 })], '3').sha256).not.toBe(first.sha256)
    expect(first.size % BLOCK).toBe(0)
  })

  test.runIf(has('fsck.erofs'))('a directory over many blocks', () => {
    const entries = Array.from({ length: 2000 }, (_, i) => fileEntry(`/many/${'n'.repeat(i % 60)}${i}`, `${i}`))
    const { path } = write(entries)
    expect(readdirSync(join(extract(path), 'many'))).toHaveLength(2000)
    withReader(path, (reader) => {
      expect(reader.list('/many')).toHaveLength(2000)
      expect(reader.readFile('/many/n1', 10).toString()).toBe('1')
    })
  })

  test('a large host file is streamed', () => {
    const path = join(dir, 'large')
    writeFileSync(path, bytes(3_000_001, 3))
    const { path: image } = write([fileEntry('/large', hostFile(path).content, 0o755)])
    withReader(image, (reader) => expect(Buffer.concat([...reader.content('/large').chunks()]).equals(readFileSync(path))).toBe(true))
  })

  test('a host file that changed size, became a symlink or went away is an error', () => {
    const path = join(dir, 'f')
    writeFileSync(path, 'four')
    const { content } = hostFile(path)
    writeFileSync(path, 'fives')
    expect(() => write([fileEntry('/f', content)])).toThrow(/changed while/)
    rmSync(path)
    expect(() => write([fileEntry('/f', content)])).toThrow(/ENOENT/)
    symlinkSync('/etc/passwd', path)
    expect(() => write([fileEntry('/f', content)])).toThrow(ImageError)
    expect(() => hostFile(path)).toThrow(/not a regular file/)
  })

  test('a content that yields another number of bytes than it promised is an error', () => {
    const liar = (text: string): Content => ({ ...bytesContent(Buffer.from(text)), size: 3 })
    expect(() => write([fileEntry('/f', liar('ab'))])).toThrow(/changed/)
    expect(() => write([fileEntry('/f', liar('abcd'))])).toThrow(/changed/)
  })
})

describe('images of others', () => {
  test.runIf(has('mkfs.erofs'))('mkfs.erofs images are read', () => {
    const from = join(dir, 'from')
    mkdirSync(join(from, 'sub'), { recursive: true })
    for (const [name, size] of [
      ['empty', 0],
      ['small', 10],
      ['block', 4096],
      ['large', 50_000],
    ] as const) {
      writeFileSync(join(from, 'sub', name), bytes(size, size))
      utimesSync(join(from, 'sub', name), 1_700_000_000, 1_700_000_001)
    }
    for (let i = 0; i < 400; i++) writeFileSync(join(from, `file-with-a-longer-name-${i}`), `${i}`)
    symlinkSync('sub/small', join(from, 'link'))
    const image = join(dir, 'mkfs.erofs')
    execFileSync('mkfs.erofs', ['-x-1', image, from], { stdio: 'pipe' })
    withReader(image, (reader) => {
      expect(reader.list('/')).toHaveLength(402)
      for (const name of ['empty', 'small', 'block', 'large'])
        expect(reader.readFile(`/sub/${name}`, 100_000).equals(readFileSync(join(from, 'sub', name)))).toBe(true)
      expect(reader.readlink(reader.stat('/link')?.nid ?? 0)).toBe('sub/small')
    })
    execFileSync('mkfs.erofs', ['-x-1', '-zlz4hc', image, from], { stdio: 'pipe' })
    expect(() => withReader(image, (reader) => reader.readFile('/sub/large', 100_000))).toThrow(/other than plain/)
  })
})

describe('hostile images', () => {
  /** Reads everything there is to read. */
  const readAll = (path: string) =>
    withReader(path, (reader) => {
      for (const { path: at, stat } of reader.walk()) {
        if (stat.kind === 'file') for (const piece of reader.contentOfNid(stat.nid).chunks()) expect(piece.length).toBeGreaterThan(0)
        if (stat.kind === 'symlink') reader.readlink(stat.nid)
        if (stat.kind === 'dir') reader.list(at)
      }
    })

  test('any flipped bytes: read as something or refused as an ImageError, never anything else', () => {
    const { path } = write([fileEntry('/a/b', 'hello'), symlinkEntry('/l', 'a/b'), fileEntry('/big', bytes(10_000, 1)), dirEntry('/e/f')])
    const good = readFileSync(path)
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }), fc.boolean(), (flips, fix) => {
        const bad = Buffer.from(good)
        for (const [at, value] of flips) bad[fix ? BLOCK + (at % BLOCK) : at] = value
        if (fix) repairChecksum(bad)
        writeFileSync(path, bad)
        try {
          readAll(path)
        } catch (error) {
          expect(error).toBeInstanceOf(ImageError)
        }
      }),
      { numRuns: 400 },
    )
  })

  test('cut at any point: refused', () => {
    const { path } = write([fileEntry('/a/b', 'hello'), fileEntry('/big', bytes(10_000, 1))])
    const good = readFileSync(path)
    fc.assert(
      fc.property(fc.nat(good.length - 1), (length) => {
        writeFileSync(path, good.subarray(0, length))
        expect(() => readAll(path)).toThrow(ImageError)
      }),
      { numRuns: 100 },
    )
  })

  test('a directory that holds itself ends', () => {
    const { path } = write([dirEntry('/a/b'), fileEntry('/a/c', 'x')])
    const image = readFileSync(path)
    // /a/b gets /a's inode number in /a's entry list
    const a = withReader(path, (reader) => ({ a: reader.stat('/a')?.nid ?? 0, b: reader.stat('/a/b')?.nid ?? 0 }))
    for (let at = BLOCK; at + 8 <= 2 * BLOCK; at += 4)
      if (image.readBigUInt64LE(at) === BigInt(a.b) && image[at + 10] === 2) image.writeBigUInt64LE(BigInt(a.a), at)
    writeFileSync(path, image)
    expect(() => readAll(path)).toThrow(ImageError)
  })

  test('a superblock whose checksum does not hold is refused', () => {
    const { path } = write([fileEntry('/a', 'x')])
    const image = readFileSync(path)
    image[1024 + 50] = (image[1024 + 50] ?? 0) ^ 1
    writeFileSync(path, image)
    expect(() => readAll(path)).toThrow(/checksum/)
  })

  function repairChecksum(image: Buffer): void {
    image.writeUInt32LE(0, 1028)
    image.writeUInt32LE(crc32c(image.subarray(1024, BLOCK)), 1028)
  }
})
