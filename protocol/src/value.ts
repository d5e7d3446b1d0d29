/**
 * A value the wire can carry. Numbers are integers within ±(2^53−1); strings are well-formed Unicode; byte strings that came from `decode` may be
 * views of its input.
 */
export type WireValue = number | string | boolean | null | Uint8Array | readonly WireValue[]

/** What a refusal calls a value: its kind, never its content. */
export function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  if (value instanceof Uint8Array) return 'a byte string'
  switch (typeof value) {
    case 'number':
      return Number.isInteger(value) ? 'an integer' : 'a fraction'
    case 'string':
      return 'a text string'
    case 'boolean':
      return 'a boolean'
    default:
      return typeof value
  }
}
