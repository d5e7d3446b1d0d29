import type { PendingApproval } from '@authority/kernel/approvals'
import { safe } from '../ui/text.ts'
import type { Context } from './index.ts'
import { withLivingRun } from './living-run.ts'

/** What the gate answers is the gate's own JSON, but its texts are the agent's. */
export function approvalLine({ id, permission, object, operation, leftMs, session }: PendingApproval): string {
  return `${id}  ${permission} ${safe(object)}  (${operation}, ${safe(session)}, ${Math.ceil(leftMs / 1000)} s left)`
}

export async function decide(
  options: { readonly run: string; readonly id: string; readonly decision: 'once' | 'run' | 'deny'; readonly json: boolean },
  context: Context,
): Promise<number> {
  const { terminal, env } = context
  const by = `authority approvals (${env['USER'] ?? env['LOGNAME'] ?? 'operator'})`.slice(0, 100)
  const decided = await withLivingRun(options.run, context, async (client) => {
    const [json] = await client.request('approvals.decide', [options.id, options.decision, by])
    return JSON.parse(String(json)) as PendingApproval
  })
  if (options.json) terminal.json({ ...decided, decision: options.decision })
  else {
    const how = { once: 'allowed once', run: 'allowed for this run', deny: 'denied' }[options.decision]
    terminal.out(`${how}: ${decided.permission} ${safe(decided.object)}`)
  }
  return 0
}
