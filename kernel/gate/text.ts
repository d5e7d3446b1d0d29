import { createHash } from 'node:crypto'
import { CLIPPED_TEXT, MAX_RECORD_TEXT } from './limits.ts'

/** A text as records keep it: whole up to the bound (measured as JSON, where a control character takes six), else its start and the SHA-256 of all of it, so that no peer chooses the size of a record. */
export function clipText(text: string): string {
  if (text.length * 6 <= MAX_RECORD_TEXT || JSON.stringify(text).length <= MAX_RECORD_TEXT) return text
  return `${text.slice(0, CLIPPED_TEXT)}… sha256:${createHash('sha256').update(text).digest('hex')}`
}
