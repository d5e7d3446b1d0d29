import { explainToken, patternRules } from '@authority/kernel/capability'
import { questionOf } from '@authority/kernel/policy'
import { CliError } from '../runs/errors.ts'
import { safe } from '../ui/text.ts'
import type { Command } from './index.ts'
import { policyOfFile } from './load-policy.ts'
import { readToken } from './token-io.ts'
import type { CAP_WHY } from './verbs-cap.ts'

const EXIT_REFUSED = 1

export const command: Command<typeof CAP_WHY> = async ({ flags, positionals }, { cwd, terminal }) => {
  const [file = '', permission = '', object = ''] = positionals
  const question = questionOf(permission, object)
  if ('error' in question) throw new CliError('usage', question.error, question.hint)
  const policy = flags.policy === undefined ? undefined : patternRules(policyOfFile(flags.policy, [], cwd).loaded.grants)
  const { allows, blocks } = explainToken(readToken(file, cwd), question, Date.now(), patternRules, policy)
  if (flags.json) terminal.json({ permission: question.action, object: question.object, allows, blocks })
  else {
    terminal.out(`${allows ? 'allowed' : 'refused'}: ${question.action} ${safe(question.object)}`)
    for (const { index, allows: yes, reason } of blocks) terminal.out(`  block ${index} ${yes ? 'allows' : 'refuses'}: ${reason}`)
  }
  return allows ? 0 : EXIT_REFUSED
}
