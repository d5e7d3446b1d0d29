import { spawn } from 'node:child_process'
import { closeSync, constants, createReadStream, openSync, writeSync } from 'node:fs'
import type { PendingApproval } from '@authority/kernel/approvals'
import type { ApprovalAnswer } from '../runs/run-spec.ts'
import { safe, shortId } from '../ui/text.ts'

export interface Approver {
  /** Resolves with nothing where nobody here can answer: the request then waits for `authority approvals`, or for its deadline. */
  readonly ask: (pending: PendingApproval) => Promise<ApprovalAnswer | null>
  readonly close: () => void
}

/** What a hook may write, and how long it may take beyond the request's own deadline. */
const MAX_HOOK_OUTPUT = 4096

/**
 * Runs the operator's command for each request: JSON on its stdin, exit code 0 allows (its first word on stdout `run`: for the whole run), anything else denies.
 * It runs on the host with the operator's rights.
 */
export function hookApprover(command: string): Approver {
  return {
    ask: (pending) =>
      new Promise((resolve) => {
        const hook = spawn('/bin/sh', ['-c', command], { stdio: ['pipe', 'pipe', 'inherit'], timeout: Math.max(1, pending.leftMs) })
        let output = ''
        hook.stdout.setEncoding('utf8')
        hook.stdout.on('data', (text: string) => {
          output = (output + text).slice(0, MAX_HOOK_OUTPUT)
        })
        hook.stdin.on('error', () => undefined)
        hook.stdin.end(`${JSON.stringify(pending)}\n`)
        hook.on('error', () => resolve({ decision: 'deny', by: 'hook (could not be started)' }))
        hook.on('close', (code) => {
          const allowed = output.trim() === 'run' ? 'run' : 'once'
          resolve({ decision: code === 0 ? allowed : 'deny', by: `hook (exit ${code ?? 'by signal'})` })
        })
      }),
    close: () => undefined,
  }
}

/** Asks the person at /dev/tty, one request after the other. Null without a terminal, or where the agent reads it: two readers would share the keys. */
export function terminalApprover(): Approver | null {
  if (process.stdin.isTTY === true) return null
  let tty: number
  try {
    tty = openSync('/dev/tty', constants.O_RDWR | constants.O_NOCTTY)
  } catch {
    return null
  }
  const input = createReadStream('', { fd: tty, autoClose: false, encoding: 'utf8' })
  let waiting: ((line: string | null) => void) | null = null
  let over = false
  input.on('data', (text) => waiting?.(String(text).trim().toLowerCase()))
  input.on('error', () => waiting?.(null))
  const user = process.env['USER'] ?? process.env['LOGNAME'] ?? 'operator'
  let turn: Promise<unknown> = Promise.resolve()
  const askNow = (pending: PendingApproval): Promise<ApprovalAnswer | null> =>
    new Promise((resolve) => {
      if (over) return resolve(null)
      const timer = setTimeout(() => done(null), pending.leftMs)
      const done = (answer: ApprovalAnswer | null): void => {
        clearTimeout(timer)
        waiting = null
        resolve(answer)
      }
      // Text of the agent's choosing: only what cannot move a cursor or pose as another line.
      writeSync(
        tty,
        `authority: ${pending.permission} ${safe(pending.object)} (${pending.operation}, rule ${safe(pending.rule)})\n  allow [o]nce, for this [r]un, or [d]eny? `,
      )
      waiting = (line) => {
        if (line === null) return done(null)
        const decision = line === 'o' || line === 'once' ? 'once' : line === 'r' || line === 'run' ? 'run' : 'deny'
        done({ decision, by: `terminal (${user})` })
      }
    })
  return {
    ask: (pending) => {
      const answer = turn.then(() => askNow(pending))
      turn = answer.catch(() => undefined)
      return answer
    },
    close: () => {
      over = true
      waiting?.(null)
      input.destroy()
      closeSync(tty)
    },
  }
}

/** Who answers during a run: the hook, else the person at the terminal, else whoever uses `authority approvals`. Nothing is opened or shown before something is asked. */
export function approvalDesk(options: {
  readonly run: string
  readonly hook: string | undefined
  /** The terminal is the agent's (-it): nothing is shown there. */
  readonly quiet: boolean
  readonly note: (text: string) => void
}): Approver {
  let approver: Approver | null | undefined
  return {
    ask: async (pending) => {
      approver ??= options.hook !== undefined ? hookApprover(options.hook) : options.quiet ? null : terminalApprover()
      if (approver !== null) return approver.ask(pending)
      if (!options.quiet)
        options.note(
          `${pending.permission} ${pending.object} waits for approval: authority approvals allow ${shortId(options.run)} ${pending.id}`,
        )
      return null
    },
    close: () => approver?.close(),
  }
}
