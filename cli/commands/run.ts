import { build, cellBinary, initBinary } from '../embedded/assets.ts'
import { prepareRun } from '../runs/prepare.ts'
import { reconcileHome } from '../runs/reconcile.ts'
import { createRunFolder, discardUnstarted } from '../runs/registry.ts'
import type { BudgetMark, EndFacts, StartFacts } from '../runs/run-spec.ts'
import { supervise } from '../runs/supervisor.ts'
import { progressOf } from '../ui/progress.ts'
import { markLine, startLine } from '../ui/run-lines.ts'
import { safe } from '../ui/text.ts'
import { approvalDesk } from './approver.ts'
import { buildTools } from './build-tools.ts'
import type { Command, Context } from './index.ts'
import { runRequest } from './run-request.ts'
import { reportRun } from './run-result.ts'
import { homeOf } from './shared.ts'
import type { RUN } from './verbs.ts'

export const command: Command<typeof RUN> = async (args, context) => {
  const { terminal } = context
  const request = runRequest(args, context)
  const home = homeOf(context)
  for (const notice of await reconcileHome(home)) note(context, notice)
  const onProgress = progressOf(terminal)
  const spec = await prepareRun(request, {
    home,
    build: `${build.version}+${build.commit}`,
    images: buildTools(home, onProgress),
    initBinary,
    cellBinary,
    onProgress,
    onNotice: (text) => note(context, text),
  })
  createRunFolder(home, spec.run)
  const began: { start: StartFacts | null } = { start: null }
  const desk = approvalDesk({
    run: spec.run,
    hook: args.flags['approve-with'],
    quiet: spec.agent.tty,
    shared: false,
    note: (text) => note(context, text),
  })
  let end: EndFacts
  try {
    end = await supervise(spec, {
      self: [process.execPath],
      env: context.env,
      onStart: (start) => {
        began.start = start
        if (args.flags.json !== true) terminal.note(startLine(start, terminal.style))
      },
      // The terminal is the agent's then.
      ...(spec.agent.tty ? {} : { onMark: (mark: BudgetMark) => note(context, markLine(mark)) }),
      onApproval: desk.ask,
      onSettled: desk.settled,
    })
  } catch (error) {
    discardUnstarted(home, spec.run)
    throw error
  } finally {
    desk.close()
  }
  reportRun({ start: began.start, end, json: args.flags.json, context })
  if (args.flags.learn !== undefined) await learnFrom(end, args.flags.learn, args.flags.yes, context)
  return end.exitCode
}

/** The run is over and its exit code stands, whatever comes of learning. */
async function learnFrom(end: EndFacts, file: string, yes: boolean, context: Context): Promise<void> {
  const { teach } = await import('./learning.ts')
  try {
    await teach({ log: end.audit.path, file, rung: 'literal', yes, json: false }, context)
  } catch (error) {
    const { reportError } = await import('../ui/errors.ts')
    reportError(error, { terminal: context.terminal, debug: false, verb: 'policy learn', json: false })
  }
}

function note({ terminal }: Context, text: string): void {
  terminal.note(`authority: note: ${safe(text)}`)
}
