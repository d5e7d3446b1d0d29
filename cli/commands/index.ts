import { CliError } from '../runs/errors.ts'
import { reportError } from '../ui/errors.ts'

type Verb = (args: readonly string[]) => Promise<number>

const VERBS: Readonly<Record<string, () => Promise<{ readonly command: Verb }>>> = {
  run: () => import('./run.ts'),
  version: () => import('./version.ts'),
}

/** Runs one verb; returns the exit code of DESIGN 5. */
export async function runCommandLine(argv: readonly string[]): Promise<number> {
  try {
    const [verb = 'help', ...args] = argv
    const load = VERBS[verb]
    if (load === undefined) throw new CliError('usage', `there is no command \`${verb}\``, 'see `authority help`')
    return await (await load()).command(args)
  } catch (error) {
    return reportError(error)
  }
}
