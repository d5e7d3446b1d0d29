import type { PendingApproval } from '@authority/kernel/approvals'
import type { ApprovalAnswer } from '../runs/run-spec.ts'
import { shortId } from '../ui/text.ts'
import { hookApprover } from './hook-approver.ts'
import { terminalApprover } from './terminal-approver.ts'

export interface Approver {
  /** Resolves with nothing where nobody here can answer: the request then waits for `authority approvals`, or for its deadline. */
  readonly ask: (pending: PendingApproval) => Promise<ApprovalAnswer | null>
  /** It waits no more: somebody else decided, or its time is up. */
  readonly settled: (digest: string) => void
  readonly close: () => void
}

/** Who answers during a run: the hook, else the person at the terminal, else whoever uses `authority approvals`. Nothing is opened or shown before something is asked. */
export function approvalDesk(options: {
  readonly run: string
  readonly hook: string | undefined
  /** The terminal is the agent's (-it): nothing is shown there. */
  readonly quiet: boolean
  /** Another program reads the terminal, and cannot be held meanwhile: two readers would share the keys. */
  readonly shared: boolean
  readonly note: (text: string) => void
}): Approver {
  let approver: Approver | null | undefined
  return {
    ask: async (pending) => {
      approver ??= options.hook !== undefined ? hookApprover(options.hook) : options.quiet || options.shared ? null : terminalApprover()
      if (approver !== null) return approver.ask(pending)
      if (!options.quiet)
        options.note(
          `${pending.permission} ${pending.object} waits for approval: authority approvals allow ${shortId(options.run)} ${pending.id}`,
        )
      return null
    },
    settled: (digest) => approver?.settled(digest),
    close: () => approver?.close(),
  }
}
