import { ensureInstallation, readRecords } from '@authority/kernel/audit'
import { type AdjustableEffect, AdjustableEffects, type AdjustRefusal, type Lowered, less, RunAdjustments } from '@authority/kernel/budget'
import type { Charges } from '@authority/kernel/vocabulary'
import { ConfigError, parseCount } from '../config/index.ts'
import { CliError } from '../runs/errors.ts'
import { settleEndedRuns } from '../runs/gate/shared-budget.ts'
import type { Home } from '../runs/home.ts'
import { reconcileHome } from '../runs/reconcile.ts'
import { findRun } from '../runs/registry.ts'
import { isAlive } from '../runs/run-record.ts'
import type { Terminal } from '../ui/terminal.ts'
import { clip, columns, safe, shortId } from '../ui/text.ts'
import { amountsText, dimensionName, formatCharge } from '../ui/units.ts'
import { adjustmentsOf } from './budget-rows.ts'
import { parseBudgets } from './budgets.ts'
import type { Command } from './index.ts'
import { homeOf } from './shared.ts'
import { findSoundLog } from './sound-log.ts'
import type { BUDGET_ADJUST } from './verbs-cap.ts'

/** UTF-16 units of a reason. */
const MAX_REASON = 1024
/** Characters of an object in the list. */
const MAX_OBJECT = 60

export const command: Command<typeof BUDGET_ADJUST> = async ({ flags, positionals }, context) => {
  const { terminal } = context
  const home = homeOf(context)
  for (const notice of await reconcileHome(home)) terminal.note(`authority: note: ${safe(notice)}`)
  const [prefix = '', effect] = positionals
  const asked = effect === undefined ? null : askedFor(effect, flags)
  if (asked === null && (flags.actual.length > 0 || flags.reason !== undefined))
    throw new CliError('usage', 'no effect is named', `\`authority budget adjust ${prefix}\` lists those that may be adjusted`)
  const run = findRun(home, prefix).record
  if (run.state !== 'ended' && isAlive(run))
    throw new CliError('usage', `run ${shortId(run.id)} is still going`, 'adjust it when it is over: only a sealed log is held to its end')
  const { path, state } = await findSoundLog(run.id, context)
  if (state !== 'sealed')
    throw new CliError('usage', `the log of run ${shortId(run.id)} is not sealed`, `authority audit verify ${shortId(run.id)}`)
  if (asked === null) {
    const effects = await adjustableIn(path)
    const { lowered } = adjustmentsOf(run, home)
    const charged = effects.all.map((each) => ({ ...each, charged: less(each.captured, lowered.get(each.intent) ?? {}) }))
    if (flags.json) terminal.json({ run: run.id, effects: charged })
    else list(charged, terminal)
    return 0
  }
  const found = (await adjustableIn(path, asked.effect)).get(asked.effect)
  if (found === null)
    throw new CliError(
      'usage',
      `effect ${asked.effect} of run ${shortId(run.id)} is none that was charged for more than is known`,
      `\`authority budget adjust ${shortId(run.id)}\` lists those`,
    )
  const done = await adjust({ home, run: run.id, found, ...asked })
  if (flags.json) terminal.json({ run: run.id, intent: found.intent, ...done, reason: asked.reason })
  else tell(done, found.intent, terminal)
  return 0
}

interface Asked {
  /** Number of its INTENT. */
  readonly effect: number
  /** What it really used. */
  readonly actual: Charges
  readonly reason: string
}

function askedFor(effect: string, { actual, reason = '' }: Parameters<Command<typeof BUDGET_ADJUST>>[0]['flags']): Asked {
  const limits = parseBudgets(actual, 'actual')
  const ofClass = Object.keys(limits).find((key) => key.includes('.'))
  if (ofClass !== undefined)
    throw new CliError(
      'usage',
      'an effect is adjusted as a whole, in every account it was charged to',
      `write it as --actual ${ofClass.replace(/^.*\./, '')}=N`,
    )
  if (actual.length === 0)
    throw new CliError(
      'usage',
      'what the effect really used is not said',
      'for example --actual cost=$0.12; what is not named stays as it is',
    )
  if (reason.trim() === '' || reason.length > MAX_REASON)
    throw new CliError(
      'usage',
      `an adjustment has a reason of 1 to ${MAX_REASON} characters, which stays on record`,
      "for example --reason 'invoice 17 says so'",
    )
  return { effect: numberOf(effect), actual: limits, reason }
}

function numberOf(effect: string): number {
  try {
    return parseCount(effect)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    throw new CliError(
      'usage',
      `\`${safe(effect)}\` is not the number of an effect`,
      '`authority budget adjust RUN` lists those that may be adjusted',
    )
  }
}

async function adjustableIn(log: string, only?: number): Promise<AdjustableEffects> {
  const effects = new AdjustableEffects((intent) => only === undefined || intent === only)
  for await (const record of readRecords(log, { types: ['INTENT', 'OUTCOME', 'CLOSE', 'RECOVERED'] })) effects.add(record)
  return effects
}

/** Under the lock of the installation log, so that two operators do not take the same back twice. The run's own log is sealed and stays as it is. */
async function adjust({
  home,
  run,
  found,
  actual,
  reason,
}: Asked & { readonly home: Home; readonly run: string; readonly found: AdjustableEffect }): Promise<Lowered> {
  const installation = await ensureInstallation(home.path)
  await settleEndedRuns(installation, home.runs)
  const adjustments = new RunAdjustments(run)
  let done: Lowered | AdjustRefusal = { lowered: {}, shared: {} }
  await installation.transact(
    0,
    (record) => adjustments.add(record),
    () => {
      done = adjustments.lower(found, actual)
      if ('refused' in done) return null
      return { type: 'BUDGET_ADJUST', run, intent: found.intent, ...done, reason, by_uid: process.getuid?.() ?? 0 }
    },
  )
  return orThrow(done, run)
}

function orThrow(done: Lowered | AdjustRefusal, run: string): Lowered {
  if (!('refused' in done)) return done
  switch (done.refused) {
    case 'not_less': {
      const { dimension, charged } = done
      const most = `of ${dimensionName(dimension)} it is charged ${formatCharge(dimension, charged)}`
      throw new CliError('usage', `an adjustment only ever lowers what is charged: ${most}`, 'say what it used, less than that')
    }
    case 'too_many_adjustments':
      throw new CliError('usage', `run ${shortId(run)} was adjusted too often`, 'its charges stay as they are')
    case 'too_many_runs_since':
      throw new CliError('usage', `too many runs ended since run ${shortId(run)}`, 'its charges stay as they are')
    case 'lease_not_settled':
      throw new CliError(
        'usage',
        `what run ${shortId(run)} spent of the budget all runs share is not settled`,
        '`authority audit verify RUN` says whether its log is whole',
      )
  }
}

type Charged = AdjustableEffect & { readonly charged: Charges }

const WHY: Readonly<Record<AdjustableEffect['why'], string>> = {
  unknown: 'its outcome is not known',
  overrun: 'more than was reserved',
  lease: 'open when the gate died',
}

function list(effects: readonly Charged[], terminal: Terminal): void {
  if (effects.length === 0) return terminal.note('authority: no effect of this run was charged for more than is known')
  const rows = effects.flatMap(({ intent, op, object, why, captured, charged }) =>
    Object.keys(captured).map((dimension) => {
      const amount = formatCharge(dimension, charged[dimension as keyof Charges] ?? 0)
      return [String(intent), safe(op), dimensionName(dimension), amount, WHY[why], clip(safe(object), MAX_OBJECT)]
    }),
  )
  for (const line of columns([['EFFECT', 'OPERATION', 'BUDGET', 'CHARGED', 'WHY', 'OBJECT'], ...rows])) terminal.out(line)
}

function tell({ lowered, shared }: Lowered, intent: number, terminal: Terminal): void {
  const back = Object.keys(shared).length === 0 ? '' : `; of what all runs share, free again: ${amountsText(shared)}`
  terminal.out(`effect ${intent} is charged less by ${amountsText(lowered)}${back}`)
}
