import type { ApprovalDecision, PendingApproval } from '@authority/kernel/approvals'
import type { ResolverChoice } from '@authority/kernel/effects/net/resolver-choice'
import type { IncludedFile } from './policy-files.ts'

/** What the supervisor hands the gate through an inherited pipe: one line of JSON. Both ends are the same program. */
export interface RunSpec {
  readonly format: 1
  /** 32 hex digits. */
  readonly run: string
  readonly home: string
  /** Version and commit of this program. */
  readonly build: string
  /** As the operator typed it. */
  readonly program: string
  /** `profiles`: what the image's own runtime needs to be read, for `policy suggest`. */
  readonly image: { readonly path: string; readonly sha256: string; readonly name: string; readonly profiles: readonly string[] }
  readonly machine: {
    readonly arch: 'x86_64' | 'aarch64'
    readonly accel: 'kvm' | 'hvf' | 'tcg'
    readonly isolation: string
    readonly memoryMib: number
    readonly cpus: number
    readonly kernel: { readonly path: string; readonly sha256: string; readonly release: string }
    readonly initrd: { readonly path: string; readonly sha256: string }
    readonly cell: string
    readonly console: boolean
  }
  readonly agent: { readonly argv: readonly string[]; readonly env: readonly string[]; readonly cwd: string; readonly tty: boolean }
  /** Names of the environment: what the image sets and what the operator passed. Values are not needed to check what a policy expects. */
  readonly given?: { readonly image: readonly string[]; readonly env: readonly string[] }
  readonly mounts: readonly { readonly host: string; readonly guest: string; readonly readonly: boolean; readonly cacheSeconds?: number }[]
  /** Scratch folders in the guest: what the policy lets be written and no mount covers. */
  readonly scratch: readonly { readonly guest: string; readonly bytes: number }[]
  /** `operator`: a file of theirs. `image`: the image's own request, less what only an operator may grant. `none`: deny everything outside. */
  readonly policy: {
    readonly base64: string
    readonly source: string
    readonly kind: 'operator' | 'image' | 'none'
    /** What the policy includes, as it was read. */
    readonly includes?: readonly IncludedFile[]
  }
  /** Files that must not be written through a mount while the run goes: policy and config in use. */
  readonly guarded: readonly string[]
  readonly hosts: readonly (readonly [name: string, address: string])[]
  /** Whom the gate asks for addresses of names. */
  readonly resolver: ResolverChoice
  /** `--ca`: PEM certificates the gate trusts beside the public ones. */
  readonly authorities: readonly string[]
  /** `-p`: ports of this machine that lead to one of the guest. */
  readonly published?: readonly { readonly address: string; readonly port: number; readonly guestPort: number }[]
  /** `--budget`: limits in kernel units; the lower of these and the policy's wins. */
  readonly budgets: Readonly<Record<string, number>>
  readonly timeoutMs: number | null
  /** Whether to remember when each step happened. */
  readonly timing: boolean
}

/** The same for a gate without a machine (`authority gate serve`). */
export interface ServeSpec
  extends Pick<
    RunSpec,
    'format' | 'run' | 'home' | 'build' | 'given' | 'mounts' | 'guarded' | 'hosts' | 'resolver' | 'authorities' | 'published' | 'budgets'
  > {
  readonly kind: 'serve'
  /** Words of the command, or what stands for it. */
  readonly program: string
  readonly policy: { readonly base64: string; readonly source: string; readonly includes?: readonly IncludedFile[] }
  /** Folder of a gate whose tokens outlive this process; absent: they die with it. */
  readonly keep?: string
  /** Absolute path to listen at. */
  readonly socket: string
}

/** Gate → supervisor, one JSON object per line. */
export type GateEvent =
  | { readonly event: 'serving'; readonly tokenFile: string }
  | { readonly event: 'started'; readonly start: StartFacts }
  | { readonly event: 'running' }
  /** So much of a limit is spent. */
  | { readonly event: 'mark'; readonly mark: BudgetMark }
  /** An effect waits for a person. */
  | { readonly event: 'approval'; readonly pending: PendingApproval }
  /** It waits no more, whoever decided. */
  | { readonly event: 'settled'; readonly digest: string }
  | { readonly event: 'ended'; readonly end: EndFacts }
  | { readonly event: 'failed'; readonly code: string; readonly message: string; readonly hint: string; readonly exitCode: number }

/** `percent` of a limit of the run, of one class of operations or of what runs share is spent. */
export interface BudgetMark {
  readonly account: string
  readonly dimension: string
  readonly percent: number
  readonly captured: number
  readonly limit: number
}

/** What runs of the installation may use together; `used`: spent, or leased by one of them. */
export interface SharedLimit {
  readonly dimension: string
  readonly limit: number
  readonly used: number
}

/** What the start line says is enforced. */
export interface StartFacts {
  readonly run: string
  readonly isolation: string
  readonly policy: { readonly id: string; readonly source: string }
  readonly budgets: Readonly<Record<string, number>>
  /** Absent: nothing is shared. */
  readonly shared?: readonly SharedLimit[]
  readonly mounts: readonly { readonly host: string; readonly guest: string; readonly readonly: boolean; readonly cacheSeconds?: number }[]
  readonly scratch: readonly string[]
  /** As `--resolver` takes it, each server by itself. */
  readonly resolver: readonly string[]
  /** SHA-256 of each certificate of `--ca`. */
  readonly authorities: readonly string[]
  readonly audit: string
  readonly console: boolean
  readonly unfilteredTerminal: boolean
}

export interface EndFacts {
  readonly run: string
  readonly exitCode: number
  readonly endedBy: string
  readonly reason: string | null
  readonly effects: number
  readonly denials: number
  readonly spent: Readonly<Record<string, number>>
  readonly limits: Readonly<Record<string, number>>
  /** Absent: nothing is shared. As it stood when this run had given back what it did not use. */
  readonly shared?: readonly SharedLimit[]
  /** Distinct denials in order of appearance, at most MAX_SHOWN_DENIALS. */
  readonly shownDenials: readonly {
    readonly seq: number
    readonly permission: string
    readonly code: string
    readonly object: string
    readonly fix: string | null
    readonly rule: string | null
  }[]
  readonly audit: { readonly path: string; readonly root: string | null; readonly records: number }
  /** ms since the supervisor began, in order; empty without --timing. */
  readonly timing: readonly (readonly [step: string, ms: number])[]
}

/** What somebody decided about a request that waits. */
export interface ApprovalAnswer {
  readonly decision: ApprovalDecision
  readonly by: string
}

/** Supervisor → gate, one JSON object per line, after the spec. */
export type SupervisorCommand =
  | { readonly command: 'decide'; readonly id: string; readonly decision: ApprovalDecision; readonly by: string }
  | { readonly command: 'signal'; readonly signal: number }
  | { readonly command: 'stop'; readonly reason: string }
  /** `gate serve`: the command is over. */
  | { readonly command: 'ended'; readonly endedBy: 'agent' | 'signal' | 'exec'; readonly exitCode: number }
  | { readonly command: 'window'; readonly rows: number; readonly cols: number }

export const MAX_SHOWN_DENIALS = 5
/** The gate reads the spec here and writes events there. */
export const SPEC_FD = 3
export const EVENTS_FD = 4
/** First word of the command line that makes this program a gate. */
export const GATE_COMMAND = '__gate'
