import { ImageError } from './errors.ts'
import { MAX_ELF_DYNAMIC, MAX_ELF_PROGRAM_HEADERS, MAX_ELF_STRINGS } from './limits.ts'

/** Machines Authority runs. */
export const ARCHES = ['x86_64', 'aarch64'] as const
export type Arch = (typeof ARCHES)[number]

/** Random access to a file that is looked at, not loaded. `read` returns exactly `length` bytes or throws. */
export interface ByteSource {
  /** For messages. */
  readonly name: string
  readonly size: number
  read(offset: number, length: number): Buffer
}

export interface Elf {
  readonly machine: Arch
  readonly type: 'executable' | 'shared'
  /** Path of the dynamic loader (PT_INTERP); undefined for static programs and most libraries. */
  readonly interpreter: string | undefined
  readonly needed: readonly string[]
  /** DT_RPATH and DT_RUNPATH entries, unexpanded; RPATH counts only where there is no RUNPATH. */
  readonly rpath: readonly string[]
  readonly runpath: readonly string[]
  readonly soname: string | undefined
}

const MACHINES: ReadonlyMap<number, string> = new Map([
  [0x3e, 'x86_64'],
  [0xb7, 'aarch64'],
  [0x03, 'i386'],
  [0x28, 'arm'],
  [0xf3, 'riscv64'],
  [0x15, 'ppc64le'],
  [0x16, 's390x'],
])
const PT_LOAD = 1
const PT_DYNAMIC = 2
const PT_INTERP = 3
const DT_NEEDED = 1n
const DT_STRTAB = 5n
const DT_STRSZ = 10n
const DT_SONAME = 14n
const DT_RPATH = 15n
const DT_RUNPATH = 29n

export function isElf(head: Uint8Array): boolean {
  return head.length >= 4 && head[0] === 0x7f && head[1] === 0x45 && head[2] === 0x4c && head[3] === 0x46
}

interface Segment {
  readonly type: number
  readonly offset: number
  readonly vaddr: bigint
  readonly fileSize: number
}

/**
 * Reads what placing a program needs from an ELF64 file (System V ABI, chapters 4 and 5). Every offset is checked against the file.
 * Throws ImageError `not-executable`: not ELF, 32-bit, big-endian, an unknown machine, an object or core file, or damaged.
 */
export function readElf(source: ByteSource): Elf {
  const fail = (why: string, hint?: string) => new ImageError('not-executable', `${source.name} ${why}`, hint === undefined ? {} : { hint })
  const bytes = (offset: number, length: number, what: string): Buffer => {
    if (!Number.isSafeInteger(offset) || offset < 0 || length < 0 || offset + length > source.size)
      throw fail(`is a damaged ELF file (${what})`)
    return source.read(offset, length)
  }
  if (source.size < 64) throw fail('is too short to be a program')
  const head = bytes(0, 64, 'header')
  if (!isElf(head)) throw fail('is not an ELF program')
  if (head[4] !== 2) throw fail('is a 32-bit program', 'build it for 64 bits: x86_64 or aarch64')
  if (head[5] !== 1 || head[6] !== 1) throw fail('is a big-endian or unknown kind of ELF file', 'build it for x86_64 or aarch64')
  const machine = MACHINES.get(head.readUInt16LE(18))
  if (machine !== 'x86_64' && machine !== 'aarch64')
    throw fail(`is a program for ${machine ?? `machine ${head.readUInt16LE(18)}`}`, 'Authority runs x86_64 and aarch64 programs')
  const type = head.readUInt16LE(16)
  if (type !== 2 && type !== 3) throw fail('is an object or core file, not a program', 'link it first')

  const segments = programHeaders(head, bytes, fail)
  const dynamic = readDynamic(segments, bytes, fail)
  return { machine, type: type === 2 ? 'executable' : 'shared', interpreter: interpreterOf(segments, bytes, fail), ...dynamic }
}

type Read = (offset: number, length: number, what: string) => Buffer
type Fail = (why: string) => ImageError

function programHeaders(head: Buffer, bytes: Read, fail: Fail): readonly Segment[] {
  const count = head.readUInt16LE(56)
  if (count > MAX_ELF_PROGRAM_HEADERS || (count > 0 && head.readUInt16LE(54) !== 56)) throw fail('is a damaged ELF file (program headers)')
  const table = bytes(number(head.readBigUInt64LE(32), fail), count * 56, 'program headers')
  return Array.from({ length: count }, (_, index) => {
    const at = index * 56
    return {
      type: table.readUInt32LE(at),
      offset: number(table.readBigUInt64LE(at + 8), fail),
      vaddr: table.readBigUInt64LE(at + 16),
      fileSize: number(table.readBigUInt64LE(at + 32), fail),
    }
  })
}

function interpreterOf(segments: readonly Segment[], bytes: Read, fail: Fail): string | undefined {
  const segment = segments.find((candidate) => candidate.type === PT_INTERP)
  if (segment === undefined) return undefined
  if (segment.fileSize < 2 || segment.fileSize > 4096) throw fail('is a damaged ELF file (interpreter)')
  const raw = bytes(segment.offset, segment.fileSize, 'interpreter')
  const path = raw.subarray(0, raw.indexOf(0)).toString('latin1')
  if (raw.indexOf(0) < 1 || !path.startsWith('/')) throw fail('is a damaged ELF file (interpreter)')
  return path
}

function readDynamic(segments: readonly Segment[], bytes: Read, fail: Fail): Pick<Elf, 'needed' | 'rpath' | 'runpath' | 'soname'> {
  const nothing = { needed: [], rpath: [], runpath: [], soname: undefined }
  const segment = segments.find((candidate) => candidate.type === PT_DYNAMIC)
  if (segment === undefined) return nothing
  const count = Math.floor(segment.fileSize / 16)
  if (count > MAX_ELF_DYNAMIC) throw fail('is a damaged ELF file (dynamic section)')
  const table = bytes(segment.offset, count * 16, 'dynamic section')
  const rows: [bigint, bigint][] = []
  for (let index = 0; index < count; index++) {
    const tag = table.readBigUInt64LE(index * 16)
    if (tag === 0n) break
    rows.push([tag, table.readBigUInt64LE(index * 16 + 8)])
  }
  const first = (tag: bigint) => rows.find(([each]) => each === tag)?.[1]
  const all = (tag: bigint) => rows.filter(([each]) => each === tag).map(([, value]) => value)
  if (all(DT_NEEDED).length + all(DT_SONAME).length + all(DT_RPATH).length + all(DT_RUNPATH).length === 0) return nothing
  const strings = stringTable(first(DT_STRTAB), first(DT_STRSZ), segments, bytes, fail)
  const text = (offset: bigint): string => {
    const from = number(offset, fail)
    const to = strings.indexOf(0, from)
    if (from >= strings.length || to < 0) throw fail('is a damaged ELF file (string table)')
    return strings.subarray(from, to).toString('utf8')
  }
  const paths = (tag: bigint) =>
    all(tag).flatMap((offset) =>
      text(offset)
        .split(':')
        .filter((path) => path !== ''),
    )
  const soname = first(DT_SONAME)
  return {
    needed: all(DT_NEEDED).map(text),
    rpath: paths(DT_RPATH),
    runpath: paths(DT_RUNPATH),
    soname: soname === undefined ? undefined : text(soname),
  }
}

/** The string table is given by its address in memory: found through the segment that is loaded there. */
function stringTable(address: bigint | undefined, size: bigint | undefined, segments: readonly Segment[], bytes: Read, fail: Fail): Buffer {
  if (address === undefined || size === undefined || size > BigInt(MAX_ELF_STRINGS)) throw fail('is a damaged ELF file (string table)')
  const segment = segments.find(
    (each) => each.type === PT_LOAD && address >= each.vaddr && address + size <= each.vaddr + BigInt(each.fileSize),
  )
  if (segment === undefined) throw fail('is a damaged ELF file (string table)')
  return bytes(segment.offset + Number(address - segment.vaddr), Number(size), 'string table')
}

function number(value: bigint, fail: Fail): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw fail('is a damaged ELF file (offset out of range)')
  return Number(value)
}
