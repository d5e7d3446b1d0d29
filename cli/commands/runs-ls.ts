import { reconcileHome } from '../runs/reconcile.ts'
import { listRuns } from '../runs/registry.ts'
import { isAlive, type RunRecord } from '../runs/run-record.ts'
import { columns, safe, shortId } from '../ui/text.ts'
import type { Command } from './index.ts'
import { homeOf } from './shared.ts'
import type { RUNS_LS } from './verbs.ts'

export const command: Command<typeof RUNS_LS> = async ({ flags }, context) => {
  const { terminal } = context
  const home = homeOf(context)
  for (const notice of await reconcileHome(home)) terminal.note(`authority: note: ${safe(notice)}`)
  const runs = listRuns(home)
  if (flags.json) terminal.json(runs)
  else if (runs.length === 0) terminal.note('authority: there are no runs yet')
  else for (const line of columns([['RUN', 'STATE', 'STARTED', 'PROGRAM'], ...runs.map(row)])) terminal.out(line)
  return 0
}

function row(record: RunRecord): string[] {
  return [shortId(record.id), stateOf(record), `${record.started.slice(0, 19)}Z`, safe(record.program)]
}

/** `running`, or how it ended: `agent 0`, `timeout 124`. */
export function stateOf(record: RunRecord): string {
  if (record.state === 'ended') return `${record.ended_by ?? 'ended'} ${record.exit_code ?? ''}`.trim()
  return isAlive(record) ? record.state : 'crashed'
}
