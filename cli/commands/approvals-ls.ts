import type { PendingApproval } from '@authority/kernel/approvals'
import { approvalLine } from './approvals.ts'
import type { Command } from './index.ts'
import { withLivingRun } from './living-run.ts'
import type { APPROVALS_LS } from './verbs-policy.ts'

export const command: Command<typeof APPROVALS_LS> = async ({ flags, positionals }, context) => {
  const { terminal } = context
  const pending = await withLivingRun(positionals[0] ?? '', context, async (client) => {
    const [json] = await client.request('approvals.list', [])
    return JSON.parse(String(json)) as PendingApproval[]
  })
  if (flags.json) terminal.json(pending)
  else if (pending.length === 0) terminal.out('nothing waits for approval')
  else for (const each of pending) terminal.out(approvalLine(each))
  return 0
}
