/**
 * Finds the compressed vmlinux in an x86 bzImage (Linux Documentation/arch/x86/boot.rst). Booting it directly by its PVH entry saves about 400 ms under
 * tcg; where it cannot be had, the bzImage boots as well. Pure: decompression is the caller's.
 */

export type Compression = 'xz' | 'zstd' | 'gzip' | 'lz4'

export interface Payload {
  readonly compression: Compression
  /** The compressed stream, without the size that follows it. */
  readonly bytes: Uint8Array
  /** Bytes when decompressed, as the image claims. */
  readonly size: number
}

const MAGIC: readonly (readonly [Compression, readonly number[]])[] = [
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['gzip', [0x1f, 0x8b, 0x08]],
  ['lz4', [0x02, 0x21, 0x4c, 0x18]],
]

/** The payload of a bzImage, or null when the file is none, is older than boot protocol 2.08, or uses another compression. */
export function bzImagePayload(image: Uint8Array): Payload | null {
  if (image.length < 0x250) return null
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength)
  if (view.getUint32(0x202, true) !== 0x53726448 /* HdrS */ || view.getUint16(0x206, true) < 0x0208) return null
  const setupSectors = image[0x1f1] === 0 ? 4 : (image[0x1f1] ?? 4)
  const start = (setupSectors + 1) * 512 + view.getUint32(0x248, true)
  const length = view.getUint32(0x24c, true)
  if (length < 8 || start + length > image.length) return null
  const bytes = image.subarray(start, start + length - 4)
  const found = MAGIC.find(([, magic]) => magic.every((byte, index) => bytes[index] === byte))
  return found === undefined ? null : { compression: found[0], bytes, size: view.getUint32(start + length - 4, true) }
}

const PT_NOTE = 4
/** Type of the Xen note that holds the PVH entry point (XEN_ELFNOTE_PHYS32_ENTRY). */
const PVH_NOTE = 18

/** True when the file is an ELF64 executable with a PVH entry note, so that QEMU can boot it as it is. */
export function hasPvhEntry(elf: Uint8Array): boolean {
  if (elf.length < 64 || elf[0] !== 0x7f || elf[1] !== 0x45 || elf[2] !== 0x4c || elf[3] !== 0x46 || elf[4] !== 2) return false
  const view = new DataView(elf.buffer, elf.byteOffset, elf.byteLength)
  const table = Number(view.getBigUint64(0x20, true))
  const entrySize = view.getUint16(0x36, true)
  const count = view.getUint16(0x38, true)
  if (entrySize < 56 || table + count * entrySize > elf.length) return false
  for (let index = 0; index < count; index++) {
    const at = table + index * entrySize
    if (view.getUint32(at, true) !== PT_NOTE) continue
    const start = Number(view.getBigUint64(at + 8, true))
    const end = start + Number(view.getBigUint64(at + 32, true))
    if (end <= elf.length && notesHave(view, start, end)) return true
  }
  return false
}

function notesHave(view: DataView, start: number, end: number): boolean {
  for (let at = start; at + 12 <= end; ) {
    const nameSize = view.getUint32(at, true)
    const descSize = view.getUint32(at + 4, true)
    // "Xen\0" as a little-endian word.
    if (view.getUint32(at + 8, true) === PVH_NOTE && nameSize === 4 && at + 16 <= end && view.getUint32(at + 12, true) === 0x006e6558)
      return true
    at += 12 + ((nameSize + 3) & ~3) + ((descSize + 3) & ~3)
  }
  return false
}
