import type { BudgetMark, EndFacts, SharedLimit, StartFacts } from '../runs/run-spec.ts'
import type { Style } from './terminal.ts'
import { clip, count, safe, shortId } from './text.ts'
import { budgetKey, classOf, dimensionName, formatCharge, formatMs, isShared } from './units.ts'

/** Characters of one object or fix in the lines about a run. */
const MAX_SHOWN = 400
const SEPARATOR = ' · '
const POLICY_ID = 8
/** Hex digits of a certificate's digest, to compare by eye. */
const FINGERPRINT = 16
/** Held while something is under way, never spent: what counts is how much at once. */
const LEVEL = 'concurrency'

/** One line: what is enforced, and on what ground. */
export function startLine(start: StartFacts, style: Style): string {
  const { policy, budgets, mounts, scratch } = start
  const limits = Object.entries(budgets).map(([dimension, limit]) => `${dimensionName(dimension)} ${formatCharge(dimension, limit)}`)
  const parts = [
    `run ${shortId(start.run)}`,
    start.isolation,
    `policy ${policy.id.slice(0, POLICY_ID)} (${safe(policy.source)})`,
    limits.length === 0 ? 'no budgets' : `budgets ${limits.join(', ')}`,
    ...sharedText(start.shared ?? []),
    mounts.length === 0 ? 'no mounts' : `mounts ${mounts.map(mountText).join(', ')}`,
    scratch.length === 0 ? 'no scratch' : `scratch ${scratch.map(safe).join(', ')} (gone at the end)`,
    ...(start.resolver[0] === 'system' ? [] : [`resolver ${start.resolver.map(safe).join(', ')}`]),
    ...authoritiesText(start.authorities),
    ...(start.console ? ['kernel log on stderr'] : []),
    ...(start.unfilteredTerminal ? ['terminal sequences pass unfiltered'] : []),
    `log ${safe(start.audit)}`,
  ]
  return `${style.bold('authority:')} ${parts.join(SEPARATOR)}`
}

/** Whose word the gate takes for who a server is. */
function authoritiesText(authorities: readonly string[]): string[] {
  if (authorities.length === 0) return []
  return [`also trusts ${authorities.map((sha256) => `certificate ${sha256.slice(0, FINGERPRINT)}`).join(', ')}`]
}

function mountText({ host, guest, readonly, cacheSeconds }: StartFacts['mounts'][number]): string {
  const how = [...(readonly ? ['read-only'] : []), ...(cacheSeconds === undefined ? [] : [`kept ${cacheSeconds} s`])]
  return `${safe(host)}→${safe(guest)}${how.length === 0 ? '' : ` (${how.join(', ')})`}`
}

/** Each distinct denial in one line with the policy text that would allow it. */
export function denialLines(end: EndFacts, style: Style): string[] {
  const lines = end.shownDenials.map(({ permission, code, object, fix, rule }) => {
    const remedy = fix === null || fix === '' ? withoutFix(code, rule) : `allow it with ${clip(safe(fix), MAX_SHOWN)}`
    const what = code === 'E_BUDGET_EXCEEDED' ? `by ${budgetText(rule)}:` : permission
    return `${style.red('authority: denied')} ${what} ${clip(safe(object), MAX_SHOWN)}${SEPARATOR}${remedy}`
  })
  return [...new Set(lines)]
}

/** What to do about a denial that no policy text lifts. */
export function withoutFix(code: string, rule: string | null = null): string {
  if (code === 'E_APPROVAL_DENIED') return 'a person refused it, or nobody answered in time'
  if (code === 'E_APPROVAL_REQUIRED') return 'a person must approve it: `authority approvals ls RUN` while it waits'
  return code === 'E_BUDGET_EXCEEDED' ? withoutBudget(rule) : 'no rule can allow it'
}

/** `budget:run/calls`, as the gate names the budget that refused. */
const BUDGET_RULE = /^budget:(run|installation(?::[a-z]+)?|class:[a-z]+|block:[0-9a-f]{32})\/([a-z_]+)$/

/** Which budget a denial's rule names; null for none. */
export function refusingBudget(rule: string | null): { readonly account: string; readonly dimension: string } | null {
  const [, account, dimension] = BUDGET_RULE.exec(rule ?? '') ?? []
  return account === undefined || dimension === undefined ? null : { account, dimension }
}

function budgetText(rule: string | null): string {
  const { account, dimension } = refusingBudget(rule) ?? { account: '', dimension: '' }
  if (account === '') return 'a budget'
  const name = dimensionName(dimension)
  if (account === 'run') return `the ${name} budget of the run`
  if (isShared(account)) return `the ${classOf(account)}${name} budget all runs share`
  if (account.startsWith('class:')) return `the ${classOf(account)}${name} budget of the run`
  return `the ${name} budget of token block ${shortId(account.slice('block:'.length))}`
}

function withoutBudget(rule: string | null): string {
  const { account, dimension } = refusingBudget(rule) ?? { account: '', dimension: '' }
  const key = budgetKey(dimension)
  const scope = classOf(account).replace(' ', '.')
  if (isShared(account)) return `see and raise it: authority budget limit --budget ${scope}${key}=N`
  if (account.startsWith('block:')) return 'the token says so: hand out one with a larger budget'
  return `raise the limit: --budget ${account === '' ? 'KIND' : scope + key}=N, or "budgets" in the policy`
}

function isLevel(dimension: string): boolean {
  return dimension === LEVEL || dimension.endsWith(`.${LEVEL}`)
}

/** Whether a policy could allow some of what was denied. Denials only the guest enforces are counted, not shown: a profile allows those. */
function mayBeAllowed({ denials, shownDenials }: EndFacts): boolean {
  return denials > 0 && (shownDenials.length === 0 || shownDenials.some(({ fix }) => fix !== null && fix !== ''))
}

/** One line: how it ended, what it did and spent, and the command that shows more. */
export function endLine(end: EndFacts, style: Style): string {
  const id = shortId(end.run)
  const parts = [
    howItEnded(end),
    count(end.effects, 'effect'),
    count(end.denials, 'denial'),
    spending(end),
    ...sharedText((end.shared ?? []).filter(({ dimension }) => !isLevel(dimension))),
    mayBeAllowed(end) ? `authority policy suggest ${id}` : `authority audit show ${id}`,
  ]
  return `${style.bold('authority:')} ${parts.join(SEPARATOR)}`
}

function howItEnded({ endedBy, exitCode, reason }: EndFacts): string {
  const why = reason === null ? '' : `: ${safe(reason).trim()}`
  return endedBy === 'agent' ? `ended with exit code ${exitCode}${why}` : `ended by ${endedBy} (exit code ${exitCode})${why}`
}

function spending({ spent, limits }: EndFacts): string {
  const dimensions = [...new Set([...Object.keys(limits), ...Object.keys(spent)])]
  const parts = dimensions.map((dimension) => {
    const limit = limits[dimension]
    const most = isLevel(dimension) ? 'at most ' : ''
    const used = `${most}${formatCharge(dimension, spent[dimension] ?? 0)}`
    return `${dimensionName(dimension)} ${used}${limit === undefined ? '' : ` of ${formatCharge(dimension, limit)}`}`
  })
  return parts.length === 0 ? 'nothing spent' : `spent ${parts.join(', ')}`
}

/** `shared by all runs: cost $1.30 of $5.00 left` */
function sharedText(shared: readonly SharedLimit[]): string[] {
  const parts = shared.map(({ dimension, limit, used }) => {
    const left = formatCharge(dimension, Math.max(0, limit - used))
    return `${dimensionName(dimension)} ${left} of ${formatCharge(dimension, limit)} left`
  })
  return parts.length === 0 ? [] : [`shared by all runs: ${parts.join(', ')}`]
}

/** `80 % of net calls is spent: 8 of 10` */
export function markLine({ account, dimension, percent, captured, limit }: BudgetMark): string {
  const amounts = `${formatCharge(dimension, captured)} of ${formatCharge(dimension, limit)}`
  if (isShared(account))
    return `${percent} % of the ${classOf(account)}${dimensionName(dimension)} that runs share is spent or leased: ${amounts}`
  return `${percent} % of ${classOf(account)}${dimensionName(dimension)} is spent: ${amounts}`
}

/** `--timing`: each step, when it was done and how long it took. */
export function timingLine(timing: EndFacts['timing'], style: Style): string {
  let before = 0
  const steps = timing.map(([step, at]) => {
    const took = at - before
    before = at
    return `${step} ${formatMs(at)} (+${formatMs(took)})`
  })
  return `${style.bold('authority:')} timing${SEPARATOR}${steps.join(SEPARATOR)}`
}
