import { isAbsolute, resolve } from 'node:path'
import { readRecords } from '@authority/kernel/audit'
import { type PolicyDocument, type SuggestOptions, suggestPolicy, withoutImpliedLooks } from '@authority/kernel/policy'
import type { Json } from '@authority/kernel/vocabulary'
import { safeJson } from '../ui/safe-json.ts'
import { count, safe } from '../ui/text.ts'
import { denialsOf } from './denials.ts'
import type { Command } from './index.ts'
import { needOf } from './learning.ts'
import { policyOfFile } from './load-policy.ts'
import { findSoundLog } from './sound-log.ts'
import type { POLICY_SUGGEST } from './verbs.ts'
import { writeNew } from './write-new.ts'

export const command: Command<typeof POLICY_SUGGEST> = async ({ flags, positionals }, context) => {
  const { cwd, terminal } = context
  const { path } = await findSoundLog(positionals[0] ?? '', context)
  const denials = await denialsOf(path)
  const { policy, leftOut, unreadable } = suggestPolicy(
    withoutImpliedLooks(denials, ({ record }) => (record.fix === null ? null : (needOf(record)?.question ?? null))).flatMap(
      ({ record }) => record.fix ?? [],
    ),
    await runContext(path),
  )
  const hopeless = denials.filter(({ record }) => record.fix === null)
  if (flags.output !== undefined) writeNew(resolve(cwd, flags.output), policy)
  if (flags.json) terminal.json({ policy: JSON.parse(policy) as unknown, left_out: leftOut, without_fix: hopeless.length, unreadable })
  else if (flags.output === undefined) terminal.raw(Buffer.from(harmless(policy)))
  if (denials.length === 0) terminal.note('authority: nothing was denied, so nothing is suggested')
  for (const path of leftOut)
    terminal.note(
      `authority: left out: fs.write ${safe(path)} would make the host run something later; only a literal rule of your own lifts it`,
    )
  for (const { record } of hopeless) terminal.note(`authority: left out: ${safe(record.op)} ${safe(record.object)}: ${safe(record.reason)}`)
  if (unreadable > 0) terminal.note(`authority: ${count(unreadable, 'recorded fix', 'recorded fixes')} could not be read by this version`)
  return 0
}

/** A name the agent chose may be in it: the same policy, spelled so that nothing acts on a terminal. */
function harmless(policy: string): string {
  return policy.split('\n').map(safeJson).join('\n')
}

/** What the run was under: its policy where the file is still the one that was used, and the profiles its image needs. */
async function runContext(path: string): Promise<SuggestOptions> {
  for await (const record of readRecords(path, { types: ['RUN_START'] })) {
    if (record.type !== 'RUN_START') continue
    const base = policyInUse(record.policy_source, record.policy)
    return { profiles: profilesOf(record.detail.image), ...(base === null ? {} : { base }) }
  }
  return {}
}

function policyInUse(source: string, id: string): PolicyDocument | null {
  if (!isAbsolute(source)) return null
  try {
    const { loaded } = policyOfFile(source, [], '/')
    return loaded.id === id ? loaded.document : null
  } catch {
    // Changed or gone since: the suggestion is then of what was denied alone.
    return null
  }
}

function profilesOf(image: Json | undefined): string[] {
  const profiles = typeof image === 'object' && image !== null && 'profiles' in image ? image.profiles : []
  return Array.isArray(profiles) ? profiles.filter((name): name is string => typeof name === 'string') : []
}
