/** What a verification says. Exit codes are those of `authority audit verify` (DESIGN 5). */
export type Status = 'intact' | 'tampered' | 'recovered' | 'unsealed' | 'unreadable'
export const EXIT_CODES: Readonly<Record<Status, number>> = { intact: 0, tampered: 1, recovered: 2, unsealed: 3, unreadable: 4 }

/** On what the answer rests, weakest first. */
export const TRUST_LEVELS = ['self-attested', 'pinned-key', 'remembered-checkpoint', 'witnessed'] as const
export type Trust = (typeof TRUST_LEVELS)[number]

export interface Finding {
  readonly message: string
  readonly file: string | null
  /** Bytes from the start of the file. */
  readonly offset: number | null
  /** Sequence number of the record. */
  readonly seq: number | null
}

export interface Verdict {
  readonly status: Status
  readonly exitCode: number
  readonly path: string
  readonly trust: Trust
  /** False when `require` asked for more than `trust`: the exit code is then at least 3. */
  readonly trustMet: boolean
  /** Whose log it is. */
  readonly kind: 'run' | 'installation'
  readonly origin: string | null
  readonly run: string | null
  /** The key its checkpoints are signed with. */
  readonly key: string | null
  readonly records: number
  readonly segments: number
  readonly checkpoints: number
  readonly bytes: number
  /** base64, of all records; null when they could not all be read. */
  readonly root: string | null
  readonly endedBy: string | null
  readonly effects: number
  readonly denials: number
  readonly unknownOutcomes: number
  /** Sentences, each about something that was really checked. */
  readonly proved: readonly string[]
  /** Sentences: what a liar could still have done. */
  readonly notExcluded: readonly string[]
  /** Why the status is not `intact`. */
  readonly findings: readonly Finding[]
  /** Odd, but no proof of anything. */
  readonly warnings: readonly string[]
}

/** The log was changed. */
export class Tampered extends Error {
  readonly finding: Finding
  constructor(message: string, file: string | null = null, offset: number | null = null, seq: number | null = null) {
    super(message)
    this.finding = { message, file, offset, seq }
  }
}

/** It cannot be judged: it cannot be read, or is of a version this build does not know. */
export class Unreadable extends Error {
  readonly finding: Finding
  constructor(message: string, file: string | null = null) {
    super(message)
    this.finding = { message, file, offset: null, seq: null }
  }
}
