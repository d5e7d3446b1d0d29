import { resolve } from 'node:path'
import { signedHead } from '@authority/kernel/audit'
import type { Command } from './index.ts'
import { findLog } from './shared.ts'
import type { AUDIT_CHECKPOINT } from './verbs-audit.ts'
import { writeNew } from './write-new.ts'

export const command: Command<typeof AUDIT_CHECKPOINT> = async ({ flags, positionals }, context) => {
  const { path } = await findLog(positionals[0] ?? '', context)
  const { note, checkpoint, key } = signedHead(path)
  if (flags.output !== undefined) writeNew(resolve(context.cwd, flags.output), note)
  const { origin, size } = checkpoint
  if (flags.json) context.terminal.json({ origin, size, root: Buffer.from(checkpoint.root).toString('base64'), key: key.name, note })
  else if (flags.output === undefined) context.terminal.raw(Buffer.from(note))
  return 0
}
