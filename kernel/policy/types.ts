/** What the pipeline knows of the policy stage (DESIGN 4.4; research security.md 6.3). */
import type { NamedLimits, Question } from '../vocabulary/index.ts'

export interface PolicyVerdict {
  readonly allow: boolean
  /** Denied unless a person approves this very request. Only with `allow: false`. */
  readonly ask?: true
  /** JSON pointer of the deciding rule (`/fs/read/0`, `profile:python/fs/read/1`, `always-deny:git-hooks`), or null: no rule, default deny. */
  readonly rule: string | null
  /** One sentence for the operator. */
  readonly reason: string
  /** A whole policy document (JSON text) that loads and would allow the question; null when nothing may (always-deny says its literal rule instead). */
  readonly fix: string | null
}

export interface Policy {
  /** SHA-256 (hex) of the bytes of the file; with `include`, over all files (load.ts). */
  readonly id: string
  /** Where it came from: a path, `image`, or `built-in: deny everything outside`. */
  readonly source: string
  /** Limits of the run, in kernel units; absent is unlimited. */
  readonly budgets: NamedLimits
  /** Everything the policy could allow, expanded: what the run capability grants. */
  readonly grants: import('../capability/types.ts').Grants
  /** `net.hosts`: names the operator mapped to an address; counts as the rule for that address. */
  readonly hosts: ReadonlyMap<string, string>
  /** ms a request for approval waits before it is denied. */
  readonly askTimeoutMs: number
  /** Pure and total: any failure inside is a denial whose reason says so. */
  decide(question: Question): PolicyVerdict
  /** As `decide`, for files of the image itself (operation image.open, action fs.read). Differs only for the built-in policy, which lets a program read its own image. */
  decideImage(question: Question): PolicyVerdict
  /** Whether some rule could allow this name to be resolved (net.dns, or a connect rule that implies it). */
  mayResolve(name: string): boolean
}
