import { type ChildProcess, spawn } from 'node:child_process'
import type { ApprovalAnswer } from '../runs/run-spec.ts'
import type { Approver } from './approver.ts'

/** What a hook may write. */
const MAX_HOOK_OUTPUT = 4096
/** ms its output may take to arrive once it has ended. */
const HOOK_OUTPUT_MS = 500

/**
 * Runs the operator's command for each request: JSON on its stdin, exit code 0 allows (its first word on stdout `run`: for the whole run), anything else denies:
 * another code, a signal, a command that is not there, silence until the request's own deadline. It runs on the host with the operator's rights.
 */
export function hookApprover(command: string): Approver {
  const running = new Set<ChildProcess>()
  return {
    ask: (pending) =>
      new Promise((resolve) => {
        // A group of its own: what the hook started ends with it.
        const hook = spawn('/bin/sh', ['-c', command], { stdio: ['pipe', 'pipe', 'inherit'], detached: true })
        running.add(hook)
        let output = ''
        const answer = (decision: ApprovalAnswer['decision'], how: string): void => {
          clearTimeout(timer)
          if (running.delete(hook)) endGroup(hook)
          resolve({ decision, by: `hook (${how})` })
        }
        const timer = setTimeout(() => answer('deny', 'no answer in time'), Math.max(1, pending.leftMs))
        hook.stdout.setEncoding('utf8')
        hook.stdout.on('data', (text: string) => {
          output = (output + text).slice(0, MAX_HOOK_OUTPUT)
        })
        hook.stdin.on('error', () => undefined)
        hook.stdin.end(`${JSON.stringify(pending)}\n`)
        hook.on('error', () => answer('deny', 'could not be started'))
        const ended = (code: number | null): void => {
          const allowed = /^run\s*$/.test(output) ? 'run' : 'once'
          answer(code === 0 ? allowed : 'deny', code === null ? 'ended by a signal' : `exit ${code}`)
        }
        hook.on('close', ended)
        // What it left running may hold its stdout for ever.
        hook.on('exit', (code) => setTimeout(() => ended(code), HOOK_OUTPUT_MS))
      }),
    settled: () => undefined,
    close: () => {
      for (const hook of running) endGroup(hook)
      running.clear()
    },
  }
}

function endGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // All of it has ended.
  }
}
