import { limitsByAccount } from '@authority/kernel/budget'
import { removeLeftovers } from '../registry.ts'
import type { EndedBy, RunRecord } from '../run-record.ts'
import { type EndFacts, MAX_SHOWN_DENIALS } from '../run-spec.ts'
import { type GateCore, sharedFacts } from './core.ts'
import { runSpending } from './run-spending.ts'

export interface End {
  readonly endedBy: EndedBy
  readonly exitCode: number
  readonly reason: string | null
}

const EXIT_FAILED = 125

/** The last steps of every run, with a machine or without: seals the log, removes what only a living run needs, records the end. */
export async function sealRun(options: {
  readonly core: GateCore
  readonly end: End
  readonly run: string
  readonly folder: string
  readonly save: (change: Partial<RunRecord>) => void
}): Promise<Omit<EndFacts, 'timing'>> {
  const { core, run, folder, save } = options
  let { endedBy, exitCode, reason } = options.end
  let sealed: { seq: number; root: string } | null = null
  try {
    sealed = await core.close({ endedBy, exitCode })
  } catch (error) {
    endedBy = 'audit'
    exitCode = EXIT_FAILED
    reason = error instanceof Error ? error.message : String(error)
  }
  removeLeftovers(folder)
  save({ state: 'ended', ended: new Date().toISOString(), ended_by: endedBy, exit_code: exitCode })
  const { effects, denials } = core.pipeline.statistics
  return {
    run,
    exitCode,
    endedBy,
    reason,
    effects,
    denials,
    spent: {
      ...runSpending(core.budget),
      ...mostAtOnce(core),
      ...(core.limits.log_bytes === undefined ? {} : { log_bytes: core.audit.frameBytes }),
    },
    limits: core.limits,
    ...sharedFacts(core),
    shownDenials: core.pipeline.firstDenials.slice(0, MAX_SHOWN_DENIALS),
    audit: { path: core.audit.path, root: sealed?.root ?? null, records: sealed === null ? 0 : sealed.seq + 1 },
  }
}

/** Of `concurrency` nothing is ever spent: where it has a limit, how much was held at once is what its owner wants to know. */
function mostAtOnce({ limits, budget }: GateCore): Readonly<Record<string, number>> {
  const limited = Object.keys(limits).filter((key) => key === 'concurrency' || key.endsWith('.concurrency'))
  return Object.fromEntries(limited.map((key) => [key, budget.mostAtOnce([...limitsByAccount({ [key]: 0 }).keys()][0] ?? '')]))
}
