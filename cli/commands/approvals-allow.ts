import { decide } from './approvals.ts'
import type { Command } from './index.ts'
import type { APPROVALS_ALLOW } from './verbs-policy.ts'

export const command: Command<typeof APPROVALS_ALLOW> = ({ flags, positionals }, context) => {
  const [run = '', id = ''] = positionals
  return decide({ run, id, decision: flags['for-run'] ? 'run' : 'once', json: flags.json }, context)
}
