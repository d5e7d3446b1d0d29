import { RUNGS } from '@authority/kernel/policy'
import type { Command } from './index.ts'
import { teach } from './learning.ts'
import { oneOf } from './shared.ts'
import { findSoundLog } from './sound-log.ts'
import type { POLICY_LEARN } from './verbs.ts'

const DEFAULT_POLICY = 'policy.json'

export const command: Command<typeof POLICY_LEARN> = async ({ flags, positionals }, context) => {
  const { path } = await findSoundLog(positionals[0] ?? '', context)
  const rung = flags.level === undefined ? 'literal' : oneOf('level', flags.level, RUNGS as readonly ['literal', 'folder', 'glob'])
  await teach({ log: path, file: flags.policy ?? DEFAULT_POLICY, rung, yes: flags.yes, json: flags.json }, context)
  return 0
}
