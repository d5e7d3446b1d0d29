import { ensureInstallation } from '@authority/kernel/audit'
import { columns, safe } from '../ui/text.ts'
import type { Command } from './index.ts'
import { homeOf } from './shared.ts'
import type { KEY_SHOW } from './verbs.ts'

export const command: Command<typeof KEY_SHOW> = async ({ flags }, context) => {
  const { terminal } = context
  const { id, verifierKey, folder } = await ensureInstallation(homeOf(context).path)
  if (flags.json) terminal.json({ installation: id, key: verifierKey, log: folder })
  else
    for (const line of columns([
      ['installation', id],
      ['key', verifierKey],
      ['log', safe(folder)],
    ]))
      terminal.out(line)
  return 0
}
