/** The bytes of a policy file as text, with the way back from an index to a line and column. */
import { MAX_POLICY_BYTES } from './limits.ts'
import { PolicyLoadError, type Problem, printable } from './load-error.ts'

export interface SourceText {
  readonly name: string
  readonly text: string
  place(index: number): { readonly line: number; readonly column: number }
  /** A problem at an index of the text. */
  problem(index: number, pointer: string, message: string, suggestion?: string | null): Problem
}

/** Throws PolicyLoadError for a file that is too large, not UTF-8, begins with a byte order mark or holds NUL. */
export function readSource(bytes: Uint8Array, name: string): SourceText {
  const refuse = (line: number, column: number, message: string, suggestion: string | null): never => {
    throw new PolicyLoadError(name, [{ line, column, pointer: '', message, suggestion }])
  }
  if (bytes.length > MAX_POLICY_BYTES) refuse(1, 1, `the file has more than ${MAX_POLICY_BYTES} bytes`, 'replace long lists by globs')
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf)
    refuse(1, 1, 'the file begins with a byte order mark', 'save it as UTF-8 without BOM')
  if ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff))
    refuse(1, 1, 'the file is UTF-16', 'save it as UTF-8 without BOM')
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    const valid = new TextDecoder().decode(bytes.subarray(0, firstInvalidByte(bytes)), { stream: true })
    const { line, column } = placer(valid)(valid.length)
    return refuse(line, column, 'the file is not valid UTF-8', 'save it as UTF-8')
  }
  const place = placer(text)
  const nul = text.indexOf('\u0000')
  if (nul !== -1) refuse(place(nul).line, place(nul).column, 'the file holds a NUL character', null)
  return {
    name,
    text,
    place,
    problem: (index, pointer, message, suggestion = null) => ({
      ...place(index),
      pointer,
      message: printable(message),
      suggestion: suggestion === null ? null : printable(suggestion),
    }),
  }
}

function placer(text: string): SourceText['place'] {
  let starts: number[] | null = null
  return (index) => {
    starts ??= lineStarts(text)
    let low = 0
    let high = starts.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((starts[middle] ?? 0) <= index) low = middle
      else high = middle - 1
    }
    return { line: low + 1, column: Array.from(text.slice(starts[low] ?? 0, index)).length + 1 }
  }
}

function lineStarts(text: string): number[] {
  const starts = [0]
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1)
  return starts
}

/** By halving: decoding a prefix as a stream fails exactly when an invalid byte lies in it. */
function firstInvalidByte(bytes: Uint8Array): number {
  let low = 0
  let high = bytes.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (decodes(bytes.subarray(0, middle + 1))) low = middle + 1
    else high = middle
  }
  return low
}

function decodes(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes, { stream: true })
    return true
  } catch {
    return false
  }
}
