import { hostTerminal, PipeClosed, type Terminal } from '../ui/terminal.ts'
import { type Arguments, parseArguments, type Verb } from './arguments.ts'
import { resolveVerb } from './resolve.ts'
import type { VerbName } from './verbs.ts'

/** What a verb is run with. */
export interface Context {
  readonly terminal: Terminal
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
}

/** Does what the verb says and answers the exit code of DESIGN 5. Throws CliError and AuthorityError. */
export type Command<V extends Verb> = (args: Arguments<V>, context: Context) => Promise<number>

/** Each command loads when it is called: `authority version` must not pay for the HTTP client. */
const LOADERS: { readonly [Name in VerbName]: () => Promise<{ readonly command: Command<never> }> } = {
  init: () => import('./init.ts'),
  build: () => import('./build.ts'),
  run: () => import('./run.ts'),
  inspect: () => import('./inspect.ts'),
  'images ls': () => import('./images-ls.ts'),
  'images rm': () => import('./images-rm.ts'),
  'runs ls': () => import('./runs-ls.ts'),
  'runs show': () => import('./runs-show.ts'),
  'runs rm': () => import('./runs-rm.ts'),
  logs: () => import('./logs.ts'),
  stop: () => import('./stop.ts'),
  prune: () => import('./prune.ts'),
  'audit verify': () => import('./audit-verify.ts'),
  'audit show': () => import('./audit-show.ts'),
  'audit prove': () => import('./audit-prove.ts'),
  'audit checkpoint': () => import('./audit-checkpoint.ts'),
  'audit export': () => import('./audit-export.ts'),
  'key show': () => import('./key-show.ts'),
  'key export': () => import('./key-export.ts'),
  'key rotate': () => import('./key-rotate.ts'),
  'policy check': () => import('./policy-check.ts'),
  'policy show': () => import('./policy-show.ts'),
  'policy why': () => import('./policy-why.ts'),
  'policy suggest': () => import('./policy-suggest.ts'),
  'policy test': () => import('./policy-test.ts'),
  'policy diff': () => import('./policy-diff.ts'),
  'policy learn': () => import('./policy-learn.ts'),
  'policy contains': () => import('./policy-contains.ts'),
  'policy reload': () => import('./policy-reload.ts'),
  'approvals ls': () => import('./approvals-ls.ts'),
  'approvals allow': () => import('./approvals-allow.ts'),
  'approvals deny': () => import('./approvals-deny.ts'),
  'cap mint': () => import('./cap-mint.ts'),
  'cap attenuate': () => import('./cap-attenuate.ts'),
  'cap show': () => import('./cap-show.ts'),
  'cap seal': () => import('./cap-seal.ts'),
  'cap revoke': () => import('./cap-revoke.ts'),
  'cap why': () => import('./cap-why.ts'),
  'budget show': () => import('./budget-show.ts'),
  'budget top': () => import('./budget-top.ts'),
  'budget limit': () => import('./budget-limit.ts'),
  'budget adjust': () => import('./budget-adjust.ts'),
  'gate serve': () => import('./gate-serve.ts'),
  doctor: () => import('./doctor.ts'),
  version: () => import('./version.ts'),
}

/** As a program that SIGPIPE ended. */
const EXIT_PIPE = 141

/** Runs one command line; answers the exit code. Never throws. */
export async function runCommandLine(argv: readonly string[], env: Context['env']): Promise<number> {
  const terminal = hostTerminal(env)
  const { words, debug, help, json } = globalFlags(argv)
  let verb: VerbName | null = null
  try {
    const found = resolveVerb(words, help)
    if (found.kind === 'text') {
      terminal.out(found.text)
      return 0
    }
    verb = found.name
    const args = parseArguments(found.name, found.verb, found.words)
    const { command } = await LOADERS[found.name]()
    return await command(args as never, { terminal, env, cwd: process.cwd() })
  } catch (error) {
    if (error instanceof PipeClosed) return EXIT_PIPE
    const { reportError } = await import('../ui/errors.ts')
    return reportError(error, { terminal, debug, verb, json })
  }
}

interface GlobalFlags {
  readonly words: readonly string[]
  readonly debug: boolean
  readonly help: boolean
  readonly json: boolean
}

/** `--help`, `-h` and `--debug` stand anywhere before `--`; whether errors are told as JSON is known before the verb is. */
function globalFlags(argv: readonly string[]): GlobalFlags {
  const cut = argv.indexOf('--')
  const own = cut < 0 ? argv : argv.slice(0, cut)
  const isGlobal = (word: string): boolean => word === '--help' || word === '-h' || word === '--debug'
  return {
    words: [...own.filter((word) => !isGlobal(word)), ...(cut < 0 ? [] : argv.slice(cut))],
    debug: own.includes('--debug'),
    help: own.includes('--help') || own.includes('-h'),
    json: own.includes('--json'),
  }
}
