import { seal } from '@authority/kernel/capability'
import type { Command } from './index.ts'
import { readToken, writeToken } from './token-io.ts'
import type { CAP_SEAL } from './verbs-cap.ts'

export const command: Command<typeof CAP_SEAL> = async ({ flags, positionals }, context) => {
  writeToken(seal(readToken(positionals[0], context.cwd)), flags.output, context)
  return 0
}
