import { chmodSync } from 'node:fs'
import { build, cellBinary } from '../embedded/assets.ts'
import { type Check, ensureKernel, examine } from '../machine/index.ts'
import { CliError } from '../runs/errors.ts'
import { type Home, homePath, openHome } from '../runs/home.ts'
import { installCell } from '../runs/prepare.ts'
import { progressOf } from '../ui/progress.ts'
import type { Terminal } from '../ui/terminal.ts'
import { columns, safe } from '../ui/text.ts'
import type { Command, Context } from './index.ts'
import type { DOCTOR } from './verbs.ts'

const EXIT_CANNOT = 1

export const command: Command<typeof DOCTOR> = async ({ flags }, context) => {
  const { terminal } = context
  const checks = await findings(flags.fix, context)
  if (flags.json) terminal.json(checks)
  else print(checks, terminal)
  return checks.some(({ verdict }) => verdict === 'fail') ? EXIT_CANNOT : 0
}

async function findings(fix: boolean, context: Context): Promise<Check[]> {
  const path = homePath(context.env)
  let home: Home
  try {
    home = openHome(path)
  } catch (error) {
    if (!(error instanceof CliError)) throw error
    return [{ id: 'home', title: 'home folder', verdict: 'fail', detail: error.message, fix: error.hint }]
  }
  const repairs = fix ? await repair(home, progressOf(context.terminal)) : []
  const launcher = installCell(home, cellBinary())
  return [...repairs, ...(await examine({ arch: build.arch, homeFolder: home.path, cacheFolder: home.cache, launcher, fresh: fix }))]
}

/** What can be put right without the system's help; what fails is a finding like the others. */
async function repair(home: Home, onProgress: ReturnType<typeof progressOf>): Promise<Check[]> {
  chmodSync(home.path, 0o700)
  try {
    await ensureKernel({ cacheFolder: home.cache, arch: build.arch, onProgress })
    return []
  } catch (error) {
    const { message, hint } = error as Error & { readonly hint?: string }
    return [{ id: 'fix', title: 'fetching the kernel', verdict: 'fail', detail: message, fix: hint ?? null }]
  }
}

function print(checks: readonly Check[], terminal: Terminal): void {
  const { green, red, bold } = terminal.style
  const paint = { ok: green, warn: bold, fail: red } as const
  const lines = columns(checks.map(({ verdict, title, detail }) => [verdict.padEnd(4), title, safe(detail)]))
  for (const [index, { verdict, fix }] of checks.entries()) {
    terminal.out(`${paint[verdict](verdict.padEnd(4))}${(lines[index] ?? '').slice(4)}`)
    if (verdict !== 'ok' && fix !== null) terminal.out(`      ${safe(fix)}`)
  }
}
