import type { WireValue } from '../../src/value.ts'

/** A wire value as the vectors write it: byte strings, which JSON does not have, as `{"bytes": hex}`. */
export type JsonValue = number | string | boolean | null | { readonly bytes: string } | readonly JsonValue[]

export function toJson(value: WireValue): JsonValue {
  if (value instanceof Uint8Array) return { bytes: hex(value) }
  if (Array.isArray(value)) return value.map((element) => toJson(element))
  return value as number | string | boolean | null
}

export function fromJson(value: JsonValue): WireValue {
  if (Array.isArray(value)) return value.map((element) => fromJson(element))
  if (typeof value === 'object' && value !== null) return unhex((value as { readonly bytes: string }).bytes)
  return value as number | string | boolean | null
}

export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

export function unhex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
}

/** A file of vectors: one per line, so that a difference shows the vector that changed. */
export function vectorFile(about: string, vectors: readonly object[]): string {
  return `{\n"about": ${JSON.stringify(about)},\n"vectors": [\n${vectors.map((vector) => JSON.stringify(vector)).join(',\n')}\n]\n}\n`
}
