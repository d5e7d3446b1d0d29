import { hmac } from '@noble/hashes/hmac.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { invalidToken, parseToken, RESTRICT, serialiseToken, withBlock } from './format.ts'
import { MAX_BLOCKS } from './limits.ts'
import { encodeRestriction, type Restriction } from './restriction.ts'

const BLOCK = 0x01
const SEAL = Uint8Array.from([0x02, ...new TextEncoder().encode('seal')])

/**
 * A token that allows only what both `token` and `restriction` allow. Offline: the tag of an open token is the key of its next block, so whoever holds a token
 * can narrow it and nobody can take that back. A sealed one cannot be told from outside; narrowed, it is refused by the gate. Throws E_CAP_INVALID.
 */
export function attenuate(token: string, restriction: Restriction): string {
  const { body, blocks, tag } = parseToken(token)
  if (blocks >= MAX_BLOCKS) throw invalidToken(`it has ${MAX_BLOCKS} blocks already and cannot be narrowed further`)
  const payload = encodeRestriction(restriction, Date.now())
  return serialiseToken(withBlock(body, RESTRICT, payload), hmac(sha256, tag, macInput(payload)))
}

/** The same token, never to be narrowed again. Throws E_CAP_INVALID. */
export function seal(token: string): string {
  const { body, tag } = parseToken(token)
  return serialiseToken(body, hmac(sha256, tag, SEAL))
}

/** 0x01 ‖ u32 length ‖ type ‖ payload */
function macInput(payload: Uint8Array): Uint8Array {
  const message = new Uint8Array(6 + payload.length)
  message[0] = BLOCK
  new DataView(message.buffer).setUint32(1, payload.length)
  message[5] = RESTRICT
  message.set(payload, 6)
  return message
}
