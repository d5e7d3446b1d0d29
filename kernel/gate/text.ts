import { createHash } from 'node:crypto'
import { CLIPPED_TEXT, MAX_RECORD_FIX, MAX_RECORD_TEXT } from './limits.ts'

/** Bytes of JSON one UTF-16 unit needs at most: a control character or half a surrogate pair as an escape. */
const MAX_UNIT_BYTES = 6

/** A text as records keep it: whole up to the bound (measured as JSON, where a control character takes six bytes), else its start and the SHA-256 of all of it, so that no peer chooses the size of a record. */
export function clipText(text: string): string {
  if (text.length * MAX_UNIT_BYTES <= MAX_RECORD_TEXT || jsonBytes(text) <= MAX_RECORD_TEXT) return text
  return `${text.slice(0, CLIPPED_TEXT)}… sha256:${createHash('sha256').update(text).digest('hex')}`
}

/** A policy document cannot be cut and still load: one that is too long is left out. */
export function clipFix(fix: string | null): string | null {
  return fix !== null && jsonBytes(fix) > MAX_RECORD_FIX ? null : fix
}

export function jsonBytes(text: string): number {
  return Buffer.byteLength(JSON.stringify(text))
}
