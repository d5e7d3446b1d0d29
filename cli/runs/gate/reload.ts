import type { RunLog } from '@authority/kernel/audit'
import { type BudgetStage, limitsByAccount } from '@authority/kernel/budget'
import type { PublishedPorts } from '@authority/kernel/effects/net'
import { listenObject } from '@authority/kernel/effects/net'
import type { AdmitPipeline } from '@authority/kernel/gate'
import type { Policy } from '@authority/kernel/policy'
import type { NamedLimits } from '@authority/kernel/vocabulary'
import { AuthorityError } from '@authority/protocol'
import type { LivePolicy } from './live-policy.ts'

/** What a reload can change of a run. */
export interface Reloadable {
  readonly policy: LivePolicy
  readonly limits: RunLimits
  readonly audit: RunLog
  readonly budget: BudgetStage
  readonly pipeline: AdmitPipeline
  readonly published: PublishedPorts
}

export interface Reloaded {
  readonly policy: string
  /** Limits that are lower now. */
  readonly lowered: NamedLimits
  /** Limits the new policy would raise or lift: they stay as they were. */
  readonly kept: NamedLimits
  /** Published ports that listen no more, as policy names them. */
  readonly unpublished: readonly string[]
  /** Those an earlier reload closed that listen again. */
  readonly published: readonly string[]
  /** Those that could not. */
  readonly unopened: readonly { readonly object: string; readonly why: string }[]
}

/** Limits in force: the lower of the policy's and the command line's, and only ever lowered. */
export class RunLimits {
  private readonly values: Record<string, number>

  constructor(policy: NamedLimits, commandLine: NamedLimits) {
    this.values = { ...policy }
    for (const [key, limit] of Object.entries(commandLine)) this.values[key] = Math.min(this.values[key] ?? Number.MAX_SAFE_INTEGER, limit)
  }

  get all(): NamedLimits {
    return this.values
  }

  lower(limits: NamedLimits): void {
    Object.assign(this.values, limits)
  }
}

/**
 * From the record on the new policy decides: whatever it admits is written after it, and what it takes away is closed before this resolves. Throws E_CONFLICT where a
 * lower limit is spent already: nothing has changed then.
 */
export async function reload(run: Reloadable, next: Policy, by: string): Promise<Reloaded> {
  const { policy, limits, audit, budget, pipeline, published } = run
  const allowed = (object: string): boolean => next.decide({ action: 'net.listen', object }).allow
  // Each connection is decided for itself: none gets in before the new policy is there.
  const { opened, failed } = await published.reopen(allowed)
  let lowered: NamedLimits
  let kept: NamedLimits
  let unpublished: readonly string[]
  try {
    ;({ lowered, kept } = changeOf(limits.all, next.budgets))
    assertRoom(budget, lowered)
    unpublished = published.ports.map(listenObject).filter((object) => !allowed(object))
    // No step between these waits: no effect sees half of it. A log without room for the limits takes nothing; it keeps room for a policy.
    if (Object.keys(lowered).length > 0) {
      for (const [account, charges] of limitsByAccount(lowered)) {
        audit.append({ type: 'LIMIT', account, limits: charges })
        budget.limit(account, charges)
      }
      limits.lower(lowered)
    }
    audit.append({
      type: 'POLICY',
      policy: next.id,
      source: next.source,
      previous: policy.id,
      by,
      ...(unpublished.length === 0 ? {} : { unpublished }),
      ...(opened.length === 0 ? {} : { published: opened }),
    })
  } catch (error) {
    published.closeUnless((object) => policy.decide({ action: 'net.listen', object }).allow)
    throw error
  }
  policy.replace(next)
  published.closeUnless(allowed)
  await pipeline.endWithdrawn()
  await audit.durable()
  return { policy: next.id, lowered, kept, unpublished, published: opened, unopened: failed }
}

/** The log's own size is fixed when it is made. */
function changeOf(now: NamedLimits, next: NamedLimits): { readonly lowered: NamedLimits; readonly kept: NamedLimits } {
  const lowered: Record<string, number> = {}
  const kept: Record<string, number> = {}
  for (const name of new Set([...Object.keys(now), ...Object.keys(next)])) {
    const [old, wanted] = [now[name], next[name]]
    if (old === wanted) continue
    if (wanted !== undefined && wanted < (old ?? Number.POSITIVE_INFINITY) && name !== 'log_bytes') lowered[name] = wanted
    else if (old !== undefined) kept[name] = old
  }
  return { lowered, kept }
}

/** What was spent cannot be taken back, and a log with more spent than allowed proves nothing. */
function assertRoom(budget: BudgetStage, lowered: NamedLimits): void {
  const byAccount = limitsByAccount(lowered)
  for (const { account, dimension, captured, reserved } of budget.rows([...byAccount.keys()])) {
    const limit = byAccount.get(account)?.[dimension]
    if (limit === undefined || captured + reserved <= limit) continue
    throw new AuthorityError(
      'E_CONFLICT',
      `${dimension}: ${captured} are spent and ${reserved} reserved, the new policy allows ${limit}; nothing was changed`,
      {
        hint: `allow at least ${captured + reserved}, or end the run with \`authority stop\``,
      },
    )
  }
}
