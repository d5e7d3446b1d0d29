import { resolve } from 'node:path'
import { ensureInstallation } from '@authority/kernel/audit'
import type { Command } from './index.ts'
import { homeOf } from './shared.ts'
import type { KEY_EXPORT } from './verbs.ts'
import { writeNew } from './write-new.ts'

export const command: Command<typeof KEY_EXPORT> = async ({ flags }, context) => {
  const { verifierKey } = await ensureInstallation(homeOf(context).path)
  if (flags.output === undefined) context.terminal.out(verifierKey)
  else writeNew(resolve(context.cwd, flags.output), `${verifierKey}\n`)
  return 0
}
