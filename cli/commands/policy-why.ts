import { explain } from '@authority/kernel/policy'
import { CliError } from '../runs/errors.ts'
import { safeLines } from '../ui/text.ts'
import type { Command } from './index.ts'
import { policyOfFile } from './load-policy.ts'
import type { POLICY_WHY } from './verbs.ts'

const DEFAULT_POLICY = 'policy.json'
const EXIT_DENIED = 1

export const command: Command<typeof POLICY_WHY> = async ({ flags, positionals }, { cwd, terminal }) => {
  const [permission = '', object = ''] = positionals
  const explanation = explain(policyOfFile(flags.policy ?? DEFAULT_POLICY, flags.host, cwd).loaded, permission, object)
  if ('error' in explanation) throw new CliError('usage', explanation.error, explanation.hint)
  const { question, verdict, text } = explanation
  if (flags.json) terminal.json({ permission: question.action, object: question.object, ...verdict })
  else terminal.out(safeLines(text.trimEnd()))
  return verdict.allow ? 0 : EXIT_DENIED
}
