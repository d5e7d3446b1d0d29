/** How fields are declared: the vocabulary of the operations table and of the message tables, and the only types `checkArguments` knows. */
export type FieldType =
  | { readonly kind: 'text'; readonly maxBytes: number; readonly minBytes?: number }
  | { readonly kind: 'bytes'; readonly maxBytes: number; readonly minBytes?: number }
  | { readonly kind: 'uint'; readonly max: number; readonly min?: number }
  | { readonly kind: 'int' }
  | { readonly kind: 'bool' }
  | { readonly kind: 'list'; readonly of: FieldType; readonly max: number }
  | { readonly kind: 'tuple'; readonly of: readonly Field[] }
  | { readonly kind: 'optional'; readonly of: FieldType }
  /** Any values the wire has: an operation's own fields inside a message, checked against the operation. */
  | { readonly kind: 'values'; readonly max: number }

export interface Field {
  readonly name: string
  readonly type: FieldType
  /** Meaning and unit, one line: it stands in SPEC.md. */
  readonly doc: string
  /** Generation the field was appended in; left out: 1. */
  readonly since?: number
}

export const MAX_U32 = 0xffff_ffff

/** Text of at most `maxBytes` UTF-8 bytes. */
export const text = (maxBytes: number, minBytes = 0): FieldType =>
  minBytes > 0 ? { kind: 'text', maxBytes, minBytes } : { kind: 'text', maxBytes }
export const bytes = (maxBytes: number, minBytes = 0): FieldType =>
  minBytes > 0 ? { kind: 'bytes', maxBytes, minBytes } : { kind: 'bytes', maxBytes }
export const uint = (max: number = Number.MAX_SAFE_INTEGER, min = 0): FieldType =>
  min > 0 ? { kind: 'uint', max, min } : { kind: 'uint', max }
export const u32 = uint(MAX_U32)
export const bool: FieldType = { kind: 'bool' }
export const list = (of: FieldType, max: number): FieldType => ({ kind: 'list', of, max })
export const tuple = (...of: Field[]): FieldType => ({ kind: 'tuple', of })
export const optional = (of: FieldType): FieldType => ({ kind: 'optional', of })
export const values = (max: number): FieldType => ({ kind: 'values', max })
export const field = (name: string, type: FieldType, doc: string): Field => ({ name, type, doc })
