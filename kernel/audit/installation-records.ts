/** What the installation log holds: one line in the life of a run each, so that a run's log cannot be shortened or lost unnoticed. Roots and chains in hex. */

/** How far a run's log had got when its checkpoint was signed. */
export interface NotedHead {
  readonly run: string
  readonly size: number
  readonly root: string
  readonly chain: string
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
  | { readonly type: 'RECOVERED'; readonly bytes: number; readonly sha256: string }
