import { resolve } from 'node:path'
import { writeFileAtomic } from '../runs/home.ts'
import type { EndFacts, StartFacts } from '../runs/run-spec.ts'
import { denialLines, endLine, timingLine } from '../ui/run-lines.ts'
import type { Context } from './index.ts'

/** Tells how a run ended, on stderr: stdout was the agent's. With `json` one object, as the last line of stderr or in the file it names. */
export function reportRun(options: {
  readonly start: StartFacts | null
  readonly end: EndFacts
  readonly json: boolean | string
  readonly context: Context
}): void {
  const { start, end, json, context } = options
  const { terminal } = context
  if (json !== false) {
    const object = JSON.stringify(resultOf(start, end))
    if (json === true) {
      // The agent's last line may lack its end; the object begins on a line of its own.
      terminal.note(`\n${object}`)
      return
    }
    writeFileAtomic(resolve(context.cwd, json), `${object}\n`)
  }
  if (end.timing.length > 0) terminal.note(timingLine(end.timing, terminal.style))
  for (const line of denialLines(end, terminal.style)) terminal.note(line)
  terminal.note(endLine(end, terminal.style))
}

/** The one form of `--json`; names of keys are kept stable. */
function resultOf(start: StartFacts | null, end: EndFacts): unknown {
  return {
    run: end.run,
    exit_code: end.exitCode,
    ended_by: end.endedBy,
    reason: end.reason,
    isolation: start?.isolation ?? null,
    policy: start?.policy ?? null,
    resolver: start?.resolver ?? null,
    authorities: start?.authorities ?? [],
    mounts: start?.mounts ?? [],
    scratch: start?.scratch ?? [],
    effects: end.effects,
    denials: end.denials,
    spent: end.spent,
    limits: end.limits,
    first_denials: end.shownDenials,
    audit: end.audit,
    ...(end.timing.length > 0 ? { timing: end.timing } : {}),
  }
}
