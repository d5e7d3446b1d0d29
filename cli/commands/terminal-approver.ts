import { closeSync, constants, openSync, readFileSync, readSync, writeSync } from 'node:fs'
import type { PendingApproval } from '@authority/kernel/approvals'
import { discardTyped } from '../runs/raw-terminal.ts'
import type { ApprovalAnswer } from '../runs/run-spec.ts'
import { safe } from '../ui/text.ts'
import type { Approver } from './approver.ts'

/** How often the terminal is looked at while a question stands there, in ms. */
const LOOK_MS = 25
/** Longest line that is looked at. */
const MAX_LINE = 256

/**
 * Asks the person at /dev/tty, one request after the other; the terminal is open and read only while a question stands there, since it may be the agent's stdin too.
 * Null without a terminal, or in the background of its shell, where reading it would stop this process.
 */
export function terminalApprover(): Approver | null {
  const found = openTerminal()
  if (found === null) return null
  closeSync(found)
  const queued = new Map<string, { gone: boolean }>()
  let question: Question | null = null
  let over = false
  let turn: Promise<unknown> = Promise.resolve()
  const askNow = (pending: PendingApproval): Promise<ApprovalAnswer | null> => {
    const tty = over || queued.get(pending.digest)?.gone === true ? null : openTerminal()
    queued.delete(pending.digest)
    if (tty === null) return Promise.resolve(null)
    question = new Question(tty, pending)
    return question.answer
  }
  return {
    ask: (pending) => {
      queued.set(pending.digest, { gone: false })
      const answer = turn.then(() => askNow(pending))
      turn = answer
      return answer
    },
    settled: (digest) => {
      const entry = queued.get(digest)
      if (entry !== undefined) entry.gone = true
      else if (question?.digest === digest) question.withdraw()
    },
    close: () => {
      over = true
      question?.withdraw()
    },
  }
}

class Question {
  readonly digest: string
  readonly answer: Promise<ApprovalAnswer | null>
  readonly #tty: number
  readonly #timers: readonly [NodeJS.Timeout, NodeJS.Timeout]
  readonly #resolve: (answer: ApprovalAnswer | null) => void
  #open = true

  constructor(tty: number, pending: PendingApproval) {
    this.digest = pending.digest
    this.#tty = tty
    const { promise, resolve } = Promise.withResolvers<ApprovalAnswer | null>()
    this.answer = promise
    this.#resolve = resolve
    // Typed before the question was seen, perhaps for the agent: no answer.
    discardTyped(tty)
    // Text of the agent's choosing: only what cannot move a cursor or pose as another line.
    writeSync(
      tty,
      `authority: ${pending.permission} ${safe(pending.object)} (${pending.operation}, rule ${safe(pending.rule)})\n  allow [o]nce, for this [r]un, or [d]eny? `,
    )
    this.#timers = [setInterval(() => this.#look(), LOOK_MS), setTimeout(() => this.withdraw(), pending.leftMs)]
  }

  /** Somebody else decided, the time is up, or the run is over. */
  withdraw(): void {
    if (!this.#open) return
    writeSync(this.#tty, '\n  no longer asked\n')
    this.#end(null)
  }

  #look(): void {
    if (!inForeground()) return
    const line = readLine(this.#tty)
    if (line === null) return
    const word = line.trim().toLowerCase()
    const decision = word === 'o' || word === 'once' ? 'once' : word === 'r' || word === 'run' ? 'run' : 'deny'
    const user = process.env['USER'] ?? process.env['LOGNAME'] ?? 'operator'
    this.#end({ decision, by: `terminal (${user})` })
  }

  #end(answer: ApprovalAnswer | null): void {
    this.#open = false
    for (const timer of this.#timers) clearTimeout(timer)
    closeSync(this.#tty)
    this.#resolve(answer)
  }
}

/** Non-blocking: no read may be under way once the question is answered. */
function openTerminal(): number | null {
  try {
    if (!inForeground()) return null
    return openSync('/dev/tty', constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK)
  } catch {
    return null
  }
}

/** Null: nothing was typed yet. The end of input (Ctrl-D) is an empty line: no. */
function readLine(tty: number): string | null {
  const buffer = Buffer.alloc(MAX_LINE)
  try {
    return buffer.toString('utf8', 0, readSync(tty, buffer, 0, MAX_LINE, null))
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EAGAIN' ? null : ''
  }
}

/** Whether our process group is the one the terminal listens to (proc(5): the fifth and the eighth field of stat); where that cannot be told, it is. */
function inForeground(): boolean {
  try {
    const fields = readFileSync('/proc/self/stat', 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ')
    return fields[2] === fields[5]
  } catch {
    return true
  }
}
