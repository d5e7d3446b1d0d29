import { containsPolicy } from '@authority/kernel/policy'
import { safe } from '../ui/text.ts'
import type { Command } from './index.ts'
import { policyOfFile } from './load-policy.ts'
import type { POLICY_CONTAINS } from './verbs.ts'

const EXIT = { yes: 0, no: 1, unknown: 2 } as const

export const command: Command<typeof POLICY_CONTAINS> = async ({ flags, positionals }, { cwd, terminal }) => {
  const [parent = '', child = ''] = positionals
  const found = containsPolicy(policyOfFile(parent, flags.host, cwd).loaded, policyOfFile(child, flags.host, cwd).loaded)
  if (flags.json) terminal.json(found)
  else if (found.contains === 'yes') terminal.out(`yes: everything ${safe(child)} allows, ${safe(parent)} allows`)
  else terminal.out(`${found.contains}: ${safe(found.why)}`)
  return EXIT[found.contains]
}
