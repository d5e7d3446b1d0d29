import { escapeForDisplay, followRecords, type RecordType, readRecords } from '@authority/kernel/audit'
import { parseCount } from '../config/index.ts'
import { recordLine } from '../ui/record-lines.ts'
import { withoutFix } from '../ui/run-lines.ts'
import { safeJson } from '../ui/safe-json.ts'
import { type Denied, denialsOf } from './denials.ts'
import type { Command } from './index.ts'
import { findLog } from './shared.ts'
import type { AUDIT_SHOW } from './verbs.ts'

/** ms between two looks at a log that is still written. */
const FOLLOW_MS = 200

export const command: Command<typeof AUDIT_SHOW> = async ({ flags, positionals }, context) => {
  const { terminal } = context
  const { path } = await findLog(positionals[0] ?? '', context)
  if (flags.denied && !flags.json && !flags.follow) {
    const denials = await denialsOf(path)
    for (const denied of denials) for (const line of denialText(denied)) terminal.out(line)
    if (denials.length === 0) terminal.note('authority: nothing was denied')
    return 0
  }
  const filter = {
    denied: flags.denied,
    ...(flags.op === undefined ? {} : { op: flags.op }),
    ...(flags.from === undefined ? {} : { from: parseCount(flags.from) }),
    ...(flags.to === undefined ? {} : { to: parseCount(flags.to) }),
    ...(flags.since === undefined ? {} : { since: flags.since }),
    ...(flags.until === undefined ? {} : { until: flags.until }),
    ...(flags.object === undefined ? {} : { object: flags.object }),
    ...(flags.rule === undefined ? {} : { rule: flags.rule }),
    ...(flags.subject === undefined ? {} : { subject: flags.subject }),
    ...(flags.type.length === 0 ? {} : { types: flags.type as readonly RecordType[] }),
  }
  const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, FOLLOW_MS))
  for await (const record of flags.follow ? followRecords(path, filter, pause, () => false) : readRecords(path, filter)) {
    if (flags.json) terminal.out(safeJson(JSON.stringify(record)))
    else terminal.out(recordLine(record))
  }
  return 0
}

function denialText({ record, count }: Denied): string[] {
  const { seq, op, object, requested, code, rule, reason, fix, claimed } = record
  const safe = escapeForDisplay
  return [
    `${seq}  ${op} ${safe(object)}${requested === object || requested === '' ? '' : ` (asked for ${safe(requested)})`}${count > 1 ? `, ${count} times` : ''}`,
    `    ${code}: ${safe(reason)}`,
    `    rule: ${rule === null ? 'none, so denied' : safe(rule)}`,
    `    fix: ${fix === null ? withoutFix(code) : safe(fix)}`,
    ...(claimed === undefined ? [] : [`    the guest claims: ${claimed.exe === '' ? '' : `${safe(claimed.exe)} `}pid ${claimed.pid}`]),
  ]
}
