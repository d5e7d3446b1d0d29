import { ensureInstallation } from '@authority/kernel/audit'
import type { Command } from './index.ts'
import { homeOf } from './shared.ts'
import type { KEY_ROTATE } from './verbs-audit.ts'

export const command: Command<typeof KEY_ROTATE> = async ({ flags }, context) => {
  const { terminal } = context
  const installation = await ensureInstallation(homeOf(context).path)
  const { from, to, certificate } = await installation.rotate()
  if (flags.json) terminal.json({ installation: installation.id, from, to, certificate })
  else {
    terminal.out(to)
    terminal.note(`authority: ${from} is replaced and erased; it certified the new key. Tell whoever verifies: authority key export`)
  }
  return 0
}
