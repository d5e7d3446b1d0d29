import type { AuditStage } from '@authority/kernel/audit'
import type { EffectResult } from '@authority/kernel/effects/contract'
import type { AdmitRequest, Gate } from '@authority/kernel/gate'
import { AuthorityError } from '@authority/protocol'

/** Denials of one run whose program is asked for: a guest may make up any number. */
const MAX_NAMED = 1_024
/** Questions under way. */
const MAX_ASKED = 64

export interface ProgramSource {
  /** The program of a process of the guest, as init claims; null when it says none in time. */
  program(pid: number): Promise<string | null>
}

/**
 * Plain system calls and openings of image files come with a process number only. Before a denial is answered, while its process still waits for it, init is asked
 * which program that is, and a GUEST record beside the denial keeps the claim. Once for each denial that has a record of its own; never again after init was silent.
 */
export class ClaimedPrograms {
  readonly #audit: Pick<AuditStage, 'append'>
  readonly #source: () => ProgramSource | undefined
  readonly #named = new Set<number>()
  #asked = 0
  #silent = false

  constructor(audit: Pick<AuditStage, 'append'>, source: () => ProgramSource | undefined) {
    this.#audit = audit
    this.#source = source
  }

  /** The gate, with denials that wait for their program's name. */
  over(gate: Gate): Gate {
    return {
      admit: async (request) => {
        try {
          return await gate.admit(request)
        } catch (error) {
          await this.#name(error, request)
          throw error
        }
      },
      look: (request) => {
        let answer: EffectResult | Promise<EffectResult>
        try {
          answer = gate.look(request)
        } catch (error) {
          const named = this.#name(error, request)
          if (named === null) throw error
          return named.then(() => Promise.reject(error))
        }
        if (!(answer instanceof Promise)) return answer
        return answer.catch(async (error: unknown) => {
          await this.#name(error, request)
          throw error
        })
      },
    }
  }

  #name(error: unknown, { subject }: Pick<AdmitRequest, 'subject'>): Promise<void> | null {
    const denial = error instanceof AuthorityError ? error.denial : undefined
    const source = this.#source()
    const { pid } = subject
    if (denial === undefined || source === undefined || pid === undefined || pid === 0) return null
    if (this.#silent || this.#named.has(denial.seq) || this.#named.size >= MAX_NAMED || this.#asked >= MAX_ASKED) return null
    this.#named.add(denial.seq)
    return this.#ask(source, denial.seq, pid)
  }

  async #ask(source: ProgramSource, deny: number, pid: number): Promise<void> {
    this.#asked += 1
    try {
      const exe = await source.program(pid)
      if (exe === null) this.#silent = true
      else if (exe !== '') this.#audit.append({ type: 'GUEST', event: 'program', detail: { deny, pid, exe } })
    } catch {
      // The guest or the log is gone: both are told elsewhere.
      this.#silent = true
    } finally {
      this.#asked -= 1
    }
  }
}
