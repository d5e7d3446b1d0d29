import { escapeForDisplay, followRecords, RECORD_TYPES, type RecordFilter, readRecords } from '@authority/kernel/audit'
import { parseCount } from '../config/index.ts'
import { CliError } from '../runs/errors.ts'
import { recordLine } from '../ui/record-lines.ts'
import { withoutFix } from '../ui/run-lines.ts'
import { safeJson } from '../ui/safe-json.ts'
import { type Denied, denialsOf } from './denials.ts'
import type { Command } from './index.ts'
import { findLog, oneOf } from './shared.ts'
import type { AUDIT_SHOW } from './verbs.ts'

const DECISIONS = ['allowed', 'denied', 'asked'] as const
const TIME = /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z$/
/** Completes the beginning of one. */
const SOME_TIME = '2026-01-01T00:00:00.000Z'
/** ms between two looks at a log that is still written. */
const FOLLOW_MS = 200

export const command: Command<typeof AUDIT_SHOW> = async ({ flags, positionals }, context) => {
  const { terminal } = context
  const { path } = await findLog(positionals[0] ?? '', context)
  const filter = filterOf(flags)
  if (flags.denied && !flags.json && !flags.follow) {
    const denials = await denialsOf(path, filter)
    for (const denied of denials) for (const line of denialText(denied)) terminal.out(line)
    if (denials.length === 0) terminal.note('authority: nothing was denied')
    return 0
  }
  const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, FOLLOW_MS))
  for await (const record of flags.follow ? followRecords(path, filter, pause, () => false) : readRecords(path, filter)) {
    if (flags.json) terminal.out(safeJson(JSON.stringify(record)))
    else terminal.out(recordLine(record))
  }
  return 0
}

type Flags = Parameters<Command<typeof AUDIT_SHOW>>[0]['flags']

function filterOf(flags: Flags): RecordFilter {
  return {
    denied: flags.denied,
    ...(flags.decision === undefined ? {} : { decision: oneOf('decision', flags.decision, DECISIONS) }),
    ...(flags.op === undefined ? {} : { op: flags.op }),
    ...(flags.from === undefined ? {} : { from: parseCount(flags.from) }),
    ...(flags.to === undefined ? {} : { to: parseCount(flags.to) }),
    ...(flags.since === undefined ? {} : { since: timeOf('since', flags.since) }),
    ...(flags.until === undefined ? {} : { until: timeOf('until', flags.until) }),
    ...(flags.object === undefined ? {} : { object: flags.object }),
    ...(flags.rule === undefined ? {} : { rule: flags.rule }),
    ...(flags.subject === undefined ? {} : { subject: flags.subject }),
    ...(flags.type.length === 0 ? {} : { types: flags.type.map((type) => oneOf('type', type, RECORD_TYPES)) }),
  }
}

/** A time that is none would silently show everything or nothing. */
function timeOf(flag: string, text: string): string {
  if (text.length < 4 || !TIME.test(text + SOME_TIME.slice(text.length)))
    throw new CliError('usage', `--${flag} takes a UTC time or the beginning of one, not \`${text}\``, 'for example 2026-11-23T04:15')
  return text
}

function denialText({ record, count }: Denied): string[] {
  const { seq, op, object, requested, code, rule, reason, fix, claimed } = record
  const safe = escapeForDisplay
  return [
    `${seq}  ${safe(op)} ${safe(object)}${requested === object || requested === '' ? '' : ` (asked for ${safe(requested)})`}${count > 1 ? `, ${count} times` : ''}`,
    `    ${safe(code)}: ${safe(reason)}`,
    `    rule: ${rule === null ? 'none, so denied' : safe(rule)}`,
    `    fix: ${fix === null ? withoutFix(code, rule) : safe(fix)}`,
    ...(claimed === undefined ? [] : [`    the guest claims: ${claimed.exe === '' ? '' : `${safe(claimed.exe)} `}pid ${claimed.pid}`]),
  ]
}
