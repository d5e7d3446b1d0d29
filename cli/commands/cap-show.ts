import { describe } from '@authority/kernel/capability'
import type { Command } from './index.ts'
import { readToken } from './token-io.ts'
import type { CAP_SHOW } from './verbs.ts'

export const command: Command<typeof CAP_SHOW> = async ({ flags, positionals }, { cwd, terminal }) => {
  const lines = describe(readToken(positionals[0], cwd))
  if (flags.json) terminal.json({ about: lines })
  else for (const line of lines) terminal.out(line)
  return 0
}
