import { readRecords } from '@authority/kernel/audit'
import { type DiffEntry, diffPolicies, type RecordedEffect, type Replay, replay } from '@authority/kernel/policy'
import { OPERATIONS, type OperationName, operationRow } from '@authority/protocol'
import { count, safe } from '../ui/text.ts'
import type { Command } from './index.ts'
import { policyOfFile } from './load-policy.ts'
import { findSoundLog } from './sound-log.ts'
import type { POLICY_DIFF } from './verbs.ts'

/** Effects of one log that are looked at. */
const MAX_EFFECTS = 1_000_000
/** Effects listed one by one; the rest are counted. */
const MAX_LISTED = 20

export const command: Command<typeof POLICY_DIFF> = async ({ flags, positionals }, context) => {
  const { cwd, terminal } = context
  const [before, after] = [0, 1].map((index) => policyOfFile(positionals[index] ?? '', flags.host, cwd).loaded)
  if (before === undefined || after === undefined) return 0
  const diff = diffPolicies(before, after)
  const log = flags.run === undefined ? null : await findSoundLog(flags.run, context)
  const recorded = log === null ? null : await effectsOf(log.path)
  const replayed = recorded === null ? null : replay(after, recorded.effects)
  if (flags.json) {
    terminal.json({ ...diff, replay: replayed === null ? null : { ...replayed, log: log?.state, whole: recorded?.whole } })
    return 0
  }
  for (const line of [...section('newly allows', diff.allows), ...section('no longer allows', diff.denies)]) terminal.out(line)
  for (const { name, before: old, after: now } of diff.budgets)
    terminal.out(`budget ${name}: ${old ?? 'unlimited'} → ${now ?? 'unlimited'}`)
  if (diff.allows.length + diff.denies.length + diff.budgets.length === 0) terminal.out('no difference in what is allowed')
  if (replayed !== null) for (const line of replayLines(replayed)) terminal.out(line)
  if (recorded?.whole === false) terminal.note(`authority: note: only the first ${MAX_EFFECTS} effects of the run were looked at`)
  return 0
}

function section(title: string, entries: readonly DiffEntry[]): string[] {
  if (entries.length === 0) return []
  return [
    `${title}:`,
    ...entries.map(({ permission, rule, origin, example, why }) => {
      const shown = example === null ? `cannot tell: ${why}` : `for example ${example}`
      return `  ${permission} ${safe(rule)}  ${safe(origin)}  (${safe(shown)})`
    }),
  ]
}

function replayLines({ allows, asks, denies, same, skipped }: Replay): string[] {
  const group = (verb: string, effects: readonly RecordedEffect[]): string[] => [
    `over the recorded run it would newly ${verb} ${count(effects.length, 'effect')}`,
    ...effects.slice(0, MAX_LISTED).map(({ op, object }) => `  ${op} ${safe(object)}`),
    ...(effects.length > MAX_LISTED ? [`  and ${effects.length - MAX_LISTED} more`] : []),
  ]
  const rest = `${count(same, 'effect')} decided as before${skipped === 0 ? '' : `, ${skipped} a policy alone does not decide`}`
  return [...group('allow', allows), ...(asks.length === 0 ? [] : group('ask about', asks)), ...group('deny', denies), rest]
}

interface Recorded {
  readonly effects: readonly RecordedEffect[]
  /** False: there were more. */
  readonly whole: boolean
}

/** What the run did and was refused by policy or for want of a person, looks included. */
async function effectsOf(log: string): Promise<Recorded> {
  const effects: RecordedEffect[] = []
  for await (const record of readRecords(log, { types: ['INTENT', 'DENY', 'LOOK'] })) {
    if (effects.length >= MAX_EFFECTS) return { effects, whole: false }
    if (record.type === 'INTENT') effects.push({ op: record.op, action: record.action, object: record.object, allowed: true })
    else if (record.type === 'DENY' && POLICY_CODES.includes(record.code))
      effects.push({ op: record.op, action: record.action, object: record.object, allowed: false })
    else if (record.type === 'LOOK')
      for (const { op, object } of record.counts)
        effects.push({ op, action: Object.hasOwn(OPERATIONS, op) ? operationRow(op as OperationName).action : null, object, allowed: true })
  }
  return { effects, whole: true }
}

/** Refusals another policy could change. */
const POLICY_CODES: readonly string[] = ['E_POLICY_DENY', 'E_CAP_MISSING', 'E_APPROVAL_REQUIRED', 'E_APPROVAL_DENIED']
