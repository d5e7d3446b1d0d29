/** Everything someone without the key could do to the files of a log; none of it may verify as intact and sealed. */
import { crc32c } from '../crc32c.ts'
import { frameBytes, nextChain, readFrame, writeFrame } from '../frame.ts'
import { sha256 } from '../hash.ts'
import { SEGMENT_HEADER_BYTES } from '../limits.ts'
import { CompactRange, leafHash } from '../merkle.ts'
import { decodeHeader, encodeHeader, startChain } from '../segment.ts'

export type Files = ReadonlyMap<string, Uint8Array>
export interface Mutant {
  readonly name: string
  readonly files: Files
}

const isSegment = (name: string): boolean => /seg-\d{8}\.log$/.test(name)

function replaced(files: Files, name: string, bytes: Uint8Array | null): Files {
  const copy = new Map(files)
  if (bytes === null) copy.delete(name)
  else copy.set(name, bytes)
  return copy
}

/** Offsets of the frames of a segment, and its end. */
export function frameOffsets(segment: Uint8Array): number[] {
  const salt = crc32c(decodeHeader(segment).salt)
  const offsets = [SEGMENT_HEADER_BYTES]
  let at = SEGMENT_HEADER_BYTES
  for (let frame = readFrame(segment, at, salt); frame; frame = readFrame(segment, at, salt)) {
    at += frame.bytes
    offsets.push(at)
  }
  return offsets
}

/** Every byte of a run's own files changed, at each `step`. */
export function* flips(files: Files, folder: string, step: number, mask: (at: number) => number): Generator<Mutant> {
  for (const [name, bytes] of files) {
    if (!name.startsWith(`${folder}/`) || name.endsWith('/lock')) continue
    for (let at = isSegment(name) ? step - 1 : 0; at < bytes.length; at += isSegment(name) ? step : Math.max(1, Math.floor(step / 8)))
      yield { name: `flip ${name}@${at}`, files: replaced(files, name, bytes.with(at, (bytes[at] ?? 0) ^ mask(at))) }
  }
}

/** Every end cut off, at each `step`, and at every record boundary. */
export function* cuts(files: Files, folder: string, step: number): Generator<Mutant> {
  for (const [name, bytes] of files) {
    if (!name.startsWith(`${folder}/`) || name.endsWith('/lock')) continue
    const ends = new Set(isSegment(name) ? frameOffsets(bytes).slice(0, -1) : [])
    for (let end = 0; end < bytes.length; end += step) ends.add(end)
    for (const end of ends) yield { name: `cut ${name} to ${end}`, files: replaced(files, name, bytes.slice(0, end)) }
  }
}

/** Neighbours swapped, records repeated, removed, as bytes. */
export function* shuffles(files: Files, folder: string): Generator<Mutant> {
  for (const [name, bytes] of files) {
    if (!name.startsWith(`${folder}/`) || !isSegment(name)) continue
    const at = frameOffsets(bytes)
    const part = (from: number, to: number): Uint8Array => bytes.subarray(at[from], at[to])
    for (let i = 0; i + 1 < at.length; i++) {
      yield { name: `${name} remove ${i}`, files: replaced(files, name, joined(bytes.subarray(0, at[i]), bytes.subarray(at[i + 1]))) }
      yield {
        name: `${name} repeat ${i}`,
        files: replaced(files, name, joined(bytes.subarray(0, at[i + 1]), part(i, i + 1), bytes.subarray(at[i + 1]))),
      }
      if (i + 2 < at.length)
        yield {
          name: `${name} swap ${i}`,
          files: replaced(files, name, joined(bytes.subarray(0, at[i]), part(i + 1, i + 2), part(i, i + 1), bytes.subarray(at[i + 2]))),
        }
    }
  }
}

/** Segments dropped and exchanged, checkpoints taken away one by one. */
export function* removals(files: Files, folder: string): Generator<Mutant> {
  const names = [...files.keys()].filter((name) => name.startsWith(`${folder}/`) && isSegment(name)).sort()
  for (const name of names) yield { name: `drop ${name}`, files: replaced(files, name, null) }
  for (let i = 0; i + 1 < names.length; i++) {
    const [a, b] = [names[i] ?? '', names[i + 1] ?? '']
    yield {
      name: `exchange ${a}`,
      files: new Map([...files, [a, files.get(b) ?? new Uint8Array(0)], [b, files.get(a) ?? new Uint8Array(0)]]),
    }
  }
  const name = `${folder}/checkpoints`
  const notes = notesOf(files, folder)
  for (let i = 0; i < notes.length; i++) {
    const left = notes.filter((_, j) => j !== i).map((note) => `${note}\n`)
    yield { name: `without checkpoint ${i}`, files: replaced(files, name, new TextEncoder().encode(left.join(''))) }
  }
  yield { name: 'without checkpoints', files: replaced(files, name, null) }
}

/**
 * The log written anew after `edit` of its payloads: checksums, chains, headers, segment hashes all right again; only what is signed or remembered is left to tell.
 * `edit` returns null to leave a record out.
 */
export function rewritten(files: Files, folder: string, edit: (payload: string, seq: number) => string | null): Files {
  const copy = new Map(files)
  const names = [...files.keys()].filter((name) => name.startsWith(`${folder}/`) && isSegment(name)).sort()
  const range = new CompactRange()
  let chain = new Uint8Array(32) as Uint8Array
  let previous = new Uint8Array(32) as Uint8Array
  let read = 0
  for (const name of names) {
    const bytes = files.get(name) ?? new Uint8Array(0)
    const old = decodeHeader(bytes)
    const salt = crc32c(old.salt)
    const header = encodeHeader({
      ...old,
      firstSeq: range.size,
      previous,
      chain: old.number === 0 ? new Uint8Array(32) : chain,
      range: range.copy(),
    })
    if (old.number === 0) chain = startChain(header)
    const parts = [header]
    for (const at of frameOffsets(bytes).slice(0, -1)) {
      const text = edit(new TextDecoder().decode(readFrame(bytes, at, salt)?.payload), read++)
      if (text === null) continue
      const payload = new TextEncoder().encode(text)
      const leaf = leafHash(payload)
      chain = nextChain(chain, leaf)
      const frame = new Uint8Array(frameBytes(payload.length))
      writeFrame(frame, 0, { seq: range.size, back: 0, chain, payload }, salt)
      range.append(leaf)
      parts.push(frame)
    }
    const whole = joined(...parts)
    previous = sha256(whole)
    copy.set(name, whole)
  }
  return copy
}

export function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts))
}

/** Size and root of the records in segments given in order. */
export function treeOf(segments: readonly Uint8Array[]): { readonly size: number; readonly root: Uint8Array; readonly origin: string } {
  const range = new CompactRange()
  let origin = ''
  for (const bytes of segments) {
    const header = decodeHeader(bytes)
    origin = header.origin
    for (const at of frameOffsets(bytes).slice(0, -1))
      range.append(leafHash(readFrame(bytes, at, crc32c(header.salt))?.payload ?? new Uint8Array(0)))
  }
  return { size: range.size, root: range.root(), origin }
}

/** The signed notes of a log, in order. */
export function notesOf(files: Files, folder: string): string[] {
  const text = new TextDecoder().decode(files.get(`${folder}/checkpoints`))
  return [...text.matchAll(/([^\n]+\n){3}\n— [^\n]+\n(?=\n)/gu)].map(([note]) => note)
}
