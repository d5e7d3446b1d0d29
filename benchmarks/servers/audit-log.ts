/** Writes a sealed log of about so many records: `bun audit-log.ts HOME COUNT`. */
import { join } from 'node:path'
import { ensureInstallation, openRunLog } from '@authority/kernel/audit'
import { auditIntent, auditStart } from './audit-records.ts'

const [home = '', count = '1000000'] = process.argv.slice(2)
const installation = await ensureInstallation(home)
const log = await openRunLog({ path: join(home, 'run'), installation, start: auditStart(installation.id, Number(count)) })
let effects = 0
while (log.size < Number(count) - 2) {
  for (let i = 0; i < 500 && log.size < Number(count) - 2; i++) {
    const intent = log.append(auditIntent(effects++))
    log.append({
      type: 'OUTCOME',
      intent,
      status: 'ok',
      captured: { calls: 1 },
      us: { capability: 2, policy: 3, budget: 1, intent: 212, execute: 31 },
    })
  }
  await log.durable()
}
await log.seal({ type: 'RUN_END', ended_by: 'exit', exit_code: 0, effects, denials: 0, spent: {} })
console.log(String(log.size))
