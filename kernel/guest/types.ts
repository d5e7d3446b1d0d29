import { AuthorityError, type GuestMount, type GuestScratch } from '@authority/protocol'

/** Time, passed in: a core has no clock. */
export interface GuestClock {
  /** ms, monotonic. */
  now(): number
  /** Calls `run` once after `ms`; the returned function cancels it. */
  after(ms: number, run: () => void): () => void
}

export interface GuestReady {
  readonly bootMs: number
  readonly kernel: string
}

export interface GuestSetup {
  /** 32 fresh random bytes. */
  readonly entropy: Uint8Array
  /** Wall clock: seconds since 1970 and nanoseconds. */
  readonly timeS: number
  readonly timeNs: number
  readonly hostname: string
  readonly mounts: readonly GuestMount[]
  readonly scratch: readonly GuestScratch[]
}

export interface GuestStart {
  /** `argv[0]` is the path init executes. */
  readonly argv: readonly string[]
  /** `K=V` each. */
  readonly env: readonly string[]
  readonly cwd: string
  readonly uid: number
  readonly gid: number
  /** Size of the terminal the agent gets; null: pipes. */
  readonly tty: { readonly rows: number; readonly cols: number } | null
}

/** An image file is opened in the guest. All of it is a claim. */
export interface OpenQuestion {
  readonly pid: number
  readonly exec: boolean
  readonly nlink: number
  readonly path: Uint8Array
}
export interface OpenVerdict {
  readonly allow: boolean
  /** The guest may stop asking about this file and kind of open. */
  readonly cacheable: boolean
}

/** How the agent ended, as the guest claims. */
export interface GuestExit {
  readonly kind: 'exit' | 'signal' | 'exec'
  /** Exit status, signal number, or the errno execve failed with. */
  readonly value: number
  /** µs of CPU time of the agent and the children it waited for. */
  readonly cpuUs: number
  readonly maxRssKib: number
  /** Processes the guest's kernel has killed because it had no memory left. */
  readonly oomKills: number
}

export interface GuestHandlers {
  /** Answers one open. What it throws denies. While it is undecided only that thread of the guest waits. */
  onOpen(question: OpenQuestion): OpenVerdict | Promise<OpenVerdict>
  /** Bytes of stdout or stderr, in order for each; the guest may send more once the promise is settled. */
  onOutput(fd: 1 | 2, data: Uint8Array): void | Promise<void>
  /** CPU time of the guest so far, in µs; never falls. */
  onTick(cpuUs: number): void
}

/** Init could not arm a fence or start the agent, or a fence broke: no agent runs in that guest any more. */
export class GuestFault extends AuthorityError {
  readonly stage: string
  readonly guestErrno: number

  constructor(stage: string, guestErrno: number, detail: string) {
    super('E_IO', `the guest’s init stopped at «${stage}»: ${detail} (errno ${guestErrno})`, {
      hint: 'run again with --console to see what the guest kernel says',
    })
    this.name = 'GuestFault'
    this.stage = stage
    this.guestErrno = guestErrno
  }
}
