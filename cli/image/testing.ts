/** Builds what tests of this folder look at: tiny ELF files with exactly the parts they name. Not used by the product. */

export interface ElfParts {
  readonly machine?: number
  readonly interpreter?: string
  readonly needed?: readonly string[]
  readonly rpath?: string
  readonly runpath?: string
  readonly soname?: string
}

export function makeElf(parts: ElfParts): Buffer {
  const strings: Buffer[] = [Buffer.from([0])]
  let used = 1
  const text = (value: string): number => {
    const at = used
    const bytes = Buffer.from(`${value}\0`)
    strings.push(bytes)
    used += bytes.length
    return at
  }
  const rows: [number, number][] = (parts.needed ?? []).map((name) => [1, text(name)])
  if (parts.soname !== undefined) rows.push([14, text(parts.soname)])
  if (parts.rpath !== undefined) rows.push([15, text(parts.rpath)])
  if (parts.runpath !== undefined) rows.push([29, text(parts.runpath)])
  const dynamic = rows.length > 0
  const table = Buffer.concat(strings)
  const headers = 64 + 3 * 56
  const interp = Buffer.from(parts.interpreter === undefined ? '' : `${parts.interpreter}\0`)
  const dynAt = headers + interp.length
  const stringsAt = dynAt + (rows.length + 3) * 16
  const file = Buffer.alloc(stringsAt + table.length)
  header(file, parts.machine ?? 0x3e)
  segment(file, 0, 1, 0, file.length)
  segment(file, 1, dynamic ? 2 : 0, dynAt, (rows.length + 3) * 16)
  segment(file, 2, interp.length > 0 ? 3 : 0, headers, interp.length)
  interp.copy(file, headers)
  for (const [index, [tag, value]] of [...rows, [5, 0x400000 + stringsAt], [10, table.length], [0, 0]].entries()) {
    file.writeBigUInt64LE(BigInt(tag ?? 0), dynAt + index * 16)
    file.writeBigUInt64LE(BigInt(value ?? 0), dynAt + index * 16 + 8)
  }
  table.copy(file, stringsAt)
  return file
}

function header(file: Buffer, machine: number): void {
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
  file.writeUInt16LE(3, 16)
  file.writeUInt16LE(machine, 18)
  file.writeUInt32LE(1, 20)
  file.writeBigUInt64LE(64n, 32)
  file.writeUInt16LE(64, 52)
  file.writeUInt16LE(56, 54)
  file.writeUInt16LE(3, 56)
}

function segment(file: Buffer, index: number, type: number, offset: number, size: number): void {
  const at = 64 + index * 56
  file.writeUInt32LE(type, at)
  file.writeBigUInt64LE(BigInt(offset), at + 8)
  file.writeBigUInt64LE(BigInt(0x400000 + offset), at + 16)
  file.writeBigUInt64LE(BigInt(size), at + 32)
  file.writeBigUInt64LE(BigInt(size), at + 40)
}
