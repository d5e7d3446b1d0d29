import { type BlockBody, decodePayload } from './blocks.ts'
import type { PlainPatterns } from './rules.ts'
import { BLOCK_HEADER_BYTES, blockEnd, blockType, type Layout } from './token.ts'

/** The meaning of every block of a token, root first, in one pass over its bytes. `root`: that of block 0, where it was read before. Throws E_CAP_INVALID. */
export function readBodies({ bytes, blocks }: Layout, patterns?: PlainPatterns, root?: BlockBody): readonly BlockBody[] {
  const bodies = new Array<BlockBody>(blocks.length)
  if (root !== undefined) bodies[0] = root
  for (let index = root === undefined ? 0 : 1; index < blocks.length; index++) {
    const at = blocks[index] as number
    bodies[index] = decodePayload(bytes, blockType(bytes, at), at + BLOCK_HEADER_BYTES, blockEnd(bytes, at), index, patterns)
  }
  return bodies
}
