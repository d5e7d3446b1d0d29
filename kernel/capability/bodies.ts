import { type BlockBody, decodePayload } from './blocks.ts'
import type { PlainPatterns } from './rules.ts'
import { BLOCK_HEADER_BYTES, blockEnd, blockType, type Layout } from './token.ts'

/** The meaning of every block of a token, root first, in one pass over its bytes. Throws E_CAP_INVALID. */
export function readBodies({ bytes, blocks }: Layout, patterns?: PlainPatterns): readonly BlockBody[] {
  const bodies: BlockBody[] = []
  for (let index = 0; index < blocks.length; index++) {
    const at = blocks[index] as number
    bodies.push(decodePayload(bytes, blockType(bytes, at), at + BLOCK_HEADER_BYTES, blockEnd(bytes, at), index, patterns))
  }
  return bodies
}
