import { resolve } from 'node:path'
import { suggestPolicy } from '@authority/kernel/policy'
import { count, safe } from '../ui/text.ts'
import { denialsOf } from './denials.ts'
import type { Command } from './index.ts'
import { findLog } from './shared.ts'
import type { POLICY_SUGGEST } from './verbs.ts'
import { writeNew } from './write-new.ts'

export const command: Command<typeof POLICY_SUGGEST> = async ({ flags, positionals }, context) => {
  const { cwd, terminal } = context
  const { path } = await findLog(positionals[0] ?? '', context)
  const denials = await denialsOf(path)
  const { policy, leftOut, unreadable } = suggestPolicy(denials.flatMap(({ record }) => record.fix ?? []))
  const hopeless = denials.filter(({ record }) => record.fix === null)
  if (flags.output !== undefined) writeNew(resolve(cwd, flags.output), policy)
  if (flags.json) terminal.json({ policy: JSON.parse(policy) as unknown, left_out: leftOut, without_fix: hopeless.length, unreadable })
  else if (flags.output === undefined) terminal.raw(Buffer.from(policy))
  if (denials.length === 0) terminal.note('authority: nothing was denied, so nothing is suggested')
  for (const path of leftOut)
    terminal.note(
      `authority: left out: fs.write ${safe(path)} would make the host run something later; only a literal rule of your own lifts it`,
    )
  for (const { record } of hopeless) terminal.note(`authority: left out: ${record.op} ${safe(record.object)}: ${safe(record.reason)}`)
  if (unreadable > 0) terminal.note(`authority: ${count(unreadable, 'recorded fix', 'recorded fixes')} could not be read by this version`)
  return 0
}
