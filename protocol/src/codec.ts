/**
 * The strict CBOR of the wire: RFC 8949 core deterministic encoding (section 4.2.1), of which only integers, byte strings, text strings, arrays,
 * booleans and null exist. No maps, floats, tags, `undefined` or indefinite lengths, so any library with minimal integers interoperates.
 */

export { decode } from './decode.ts'
export { encode } from './encode.ts'
export type { WireValue } from './value.ts'
