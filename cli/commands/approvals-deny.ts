import { decide } from './approvals.ts'
import type { Command } from './index.ts'
import type { APPROVALS_DENY } from './verbs-policy.ts'

export const command: Command<typeof APPROVALS_DENY> = ({ flags, positionals }, context) => {
  const [run = '', id = ''] = positionals
  return decide({ run, id, decision: 'deny', json: flags.json }, context)
}
