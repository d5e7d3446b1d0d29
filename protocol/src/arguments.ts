import { AuthorityError } from './errors.ts'
import { GENERATION } from './limits.ts'
import type { Field, FieldType } from './schema.ts'
import { kindOf, type WireValue } from './value.ts'

/**
 * Checks positional values against their declaration: exact arity for the generation, kind and bound of each. Used for arguments and results of
 * operations. `where` names what is checked, e.g. `fs.open`.
 * Throws E_PROTOCOL naming `where`, the field and the cause.
 */
export function checkArguments(
  fields: readonly Field[],
  values: readonly WireValue[],
  where = 'request',
  generation: number = GENERATION,
): void {
  checkFields(fields, values, 0, where, generation, false)
}

/**
 * The same for `values` from `first` on: a message's fields follow its type number. `appended` accepts more fields than are declared, which only
 * a hello of a newer peer may have.
 */
export function checkFields(
  fields: readonly Field[],
  values: readonly WireValue[],
  first: number,
  where: string,
  generation: number,
  appended: boolean,
): void {
  const declared = fieldsIn(fields, generation)
  const given = values.length - first
  if (given < declared.length || (given > declared.length && !appended)) {
    throw new AuthorityError('E_PROTOCOL', `${where}: ${given} fields where ${declared.length} are declared`, {
      hint: `its fields are: ${declared.map((field) => field.name).join(', ') || '(none)'}`,
    })
  }
  for (let i = 0; i < declared.length; i++) {
    const field = declared[i] as Field
    const cause = mismatch(field.type, values[first + i] as WireValue)
    if (cause !== undefined) throw new AuthorityError('E_PROTOCOL', `${where}: field \`${field.name}\`${cause}`)
  }
}

/** The fields a generation has: those appended later are left out. */
export function fieldsIn(fields: readonly Field[], generation: number): readonly Field[] {
  return generation >= GENERATION ? fields : fields.filter((field) => (field.since ?? 1) <= generation)
}

/** What is wrong with a value, as the rest of a sentence that began with its field; undefined when nothing is. */
function mismatch(type: FieldType, value: WireValue): string | undefined {
  switch (type.kind) {
    case 'text':
      if (typeof value !== 'string') return expected('a text string', value)
      // No UTF-16 unit needs more than 3 bytes: most texts need not be gone through.
      if (value.length * 3 <= type.maxBytes && value.length >= (type.minBytes ?? 0)) return undefined
      return sizeMismatch(textBytes(value, type.maxBytes), type.minBytes ?? 0, type.maxBytes)
    case 'bytes':
      if (!(value instanceof Uint8Array)) return expected('a byte string', value)
      return sizeMismatch(value.length, type.minBytes ?? 0, type.maxBytes)
    case 'uint':
      if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) return expected('an unsigned integer', value)
      if (value < (type.min ?? 0)) return ` is ${value}, below ${type.min}`
      return value > type.max ? ` is ${value}, above ${type.max}` : undefined
    case 'int':
      return Number.isSafeInteger(value) ? undefined : expected('an integer', value)
    case 'bool':
      return typeof value === 'boolean' ? undefined : expected('a boolean', value)
    case 'optional':
      return value === null ? undefined : mismatch(type.of, value)
    case 'list':
      if (!isArray(value)) return expected('an array', value)
      if (value.length > type.max) return ` has ${value.length} elements, ${type.max} are allowed`
      for (let i = 0; i < value.length; i++) {
        const cause = mismatch(type.of, value[i] as WireValue)
        if (cause !== undefined) return `[${i}]${cause}`
      }
      return undefined
    case 'values':
      if (!isArray(value)) return expected('an array', value)
      return value.length > type.max ? ` has ${value.length} elements, ${type.max} are allowed` : undefined
    case 'tuple':
      if (!isArray(value)) return expected('an array', value)
      if (value.length !== type.of.length) return ` has ${value.length} elements, ${type.of.length} are declared`
      for (let i = 0; i < value.length; i++) {
        const field = type.of[i] as Field
        const cause = mismatch(field.type, value[i] as WireValue)
        if (cause !== undefined) return `.${field.name}${cause}`
      }
      return undefined
  }
}

function expected(kind: string, value: WireValue): string {
  return ` must be ${kind}, not ${typeof value === 'number' && value < 0 ? 'a negative integer' : kindOf(value)}`
}

function sizeMismatch(size: number, least: number, most: number): string | undefined {
  if (size > most) return ` is longer than ${most} bytes`
  if (size < least) return ` has ${size} bytes, at least ${least} are needed`
  return undefined
}

/** UTF-8 bytes of a text, or any number above `limit` once it is known to exceed it. */
function textBytes(text: string, limit: number): number {
  const units = text.length
  if (units > limit) return units
  let bytes = 0
  for (let i = 0; i < units; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x80) bytes += 1
    else if (unit < 0x800) bytes += 2
    // Each half of a surrogate pair counts 2 of the 4 bytes.
    else bytes += unit >= 0xd800 && unit <= 0xdfff ? 2 : 3
  }
  return bytes
}

function isArray(value: WireValue): value is readonly WireValue[] {
  return Array.isArray(value)
}
