import { showPolicy, viewPolicy } from '@authority/kernel/policy'
import type { Command } from './index.ts'
import { policyOfFile } from './load-policy.ts'
import type { POLICY_SHOW } from './verbs.ts'

export const command: Command<typeof POLICY_SHOW> = async ({ flags, positionals }, { cwd, terminal }) => {
  const policy = policyOfFile(positionals[0] ?? '', flags.host, cwd).loaded
  if (flags.json) terminal.json(viewPolicy(policy))
  else terminal.out(showPolicy(policy).trimEnd())
  return 0
}
