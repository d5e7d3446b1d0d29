import { PolicyLoadError } from '@authority/kernel/policy'
import { safe } from '../ui/text.ts'
import type { Command } from './index.ts'
import { policyOfFile } from './load-policy.ts'
import type { POLICY_CHECK } from './verbs.ts'

export const command: Command<typeof POLICY_CHECK> = async ({ flags, positionals }, { cwd, terminal }) => {
  const file = positionals[0] ?? ''
  try {
    const { id } = policyOfFile(file, flags.host, cwd).loaded
    if (flags.json) terminal.json({ ok: true, id, file, problems: [] })
    else terminal.out(`${safe(file)}: ok, policy ${id}`)
    return 0
  } catch (error) {
    if (!flags.json || !(error instanceof PolicyLoadError)) throw error
    // Of several files it is the one the problems are in.
    terminal.json({ ok: false, id: null, file: error.source, problems: error.problems })
    return EXIT_REFUSED
  }
}

/** As without --json. */
const EXIT_REFUSED = 64
