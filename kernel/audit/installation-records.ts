/** What the installation log holds: one line in the life of a run each, so that a run's log cannot be shortened or lost unnoticed. Roots and chains in hex. */

import type { Charges, SharedAmounts } from '../vocabulary/index.ts'

/** How far a run's log had got when its checkpoint was signed. */
export interface NotedHead {
  readonly run: string
  readonly size: number
  readonly root: string
  readonly chain: string
}

export interface Adjustment {
  readonly run: string
  /** Number of the effect's INTENT. */
  readonly intent: number
  readonly lowered: Charges
  readonly shared: SharedAmounts
  readonly reason: string
  readonly by_uid: number
}

export type InstallationRecord =
  | { readonly type: 'INSTALLATION'; readonly installation: string; readonly key: string }
  /** A new key is in force after this record; the certificate is a note signed by the old and the new one. */
  | { readonly type: 'KEY_ROTATED'; readonly certificate: string }
  | ({
      readonly type: 'RUN_OPENED'
      readonly origin: string
      readonly operator_uid: number
      readonly build: string
      readonly policy: string
    } & NotedHead)
  | ({ readonly type: 'RUN_CHECKPOINT' } & NotedHead)
  | ({ readonly type: 'RUN_SEALED'; readonly ended_by: string } & NotedHead)
  /** The operator removed the run's folder on purpose; its log is no longer expected. */
  | { readonly type: 'RUN_REMOVED'; readonly run: string; readonly by_uid: number }
  /** What all runs together may use, from the next run on; replaces what was stated before. */
  | { readonly type: 'BUDGET_LIMITS'; readonly limits: SharedAmounts; readonly by_uid: number }
  /** A run takes this much more of it, and counts with all it has until BUDGET_SPENT. */
  | { readonly type: 'BUDGET_LEASE'; readonly run: string; readonly lease: SharedAmounts }
  | { readonly type: 'BUDGET_RETURN'; readonly run: string; readonly unused: SharedAmounts }
  /** The run is over and used this; its lease ends. */
  | { readonly type: 'BUDGET_SPENT'; readonly run: string; readonly spent: SharedAmounts }
  /** What an effect of a sealed run captured beyond what it used, by the word of an operator: of each of its accounts `lowered`, of what runs share `shared`. */
  | ({ readonly type: 'BUDGET_ADJUST' } & Adjustment)
  | { readonly type: 'RECOVERED'; readonly bytes: number; readonly sha256: string }
