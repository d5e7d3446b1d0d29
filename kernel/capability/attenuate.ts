import { encodeBlock } from './blocks.ts'
import { blockId, nextChainValue, sealTag } from './chain.ts'
import { unusable } from './errors.ts'
import { MAX_BLOCKS } from './limits.ts'
import { type Mac, portableMac } from './mac.ts'
import { type Restriction, readRestriction } from './restriction.ts'
import { parseToken, serialiseToken } from './token.ts'

/**
 * Offline narrowing: no key, no gate, any runtime. The tag of an open token is the key of its next block, so whoever holds a token can restrict it further
 * and nobody can take a restriction off. Whether a token is sealed cannot be seen from outside; one that was extended after sealing is refused by the gate.
 */
export function attenuate(token: string, restriction: Restriction, mac: Mac = portableMac): string {
  const parent = parseToken(token)
  if (parent.blocks.length >= MAX_BLOCKS)
    throw unusable(`the token has ${MAX_BLOCKS} blocks already and cannot be narrowed further`, 'Ask for a shorter token.')
  const block = encodeBlock(readRestriction(restriction))
  return serialiseToken({ headerBytes: parent.headerBytes, blocks: [...parent.blocks, block], tag: nextChainValue(mac, parent.tag, block) })
}

/** Ends the chain: the result can be used as before and narrowed no further. Any holder may seal, once. */
export function seal(token: string, mac: Mac = portableMac): string {
  const open = parseToken(token)
  return serialiseToken({ ...open, tag: sealTag(mac, open.tag) })
}

/** Id of the last block, to revoke it by; right only for an open token (of a sealed one it names nothing). Others' ids only the gate can tell. */
export function lastBlockId(token: string, mac: Mac = portableMac): string {
  return blockId(mac, parseToken(token).tag)
}
