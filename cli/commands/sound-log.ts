import { verifyRun } from '@authority/kernel/audit'
import { CliError } from '../runs/errors.ts'
import { safe } from '../ui/text.ts'
import type { Context } from './index.ts'
import { findLog } from './shared.ts'

export interface SoundLog {
  readonly path: string
  /** `unsealed`: of a run that goes on, or died. */
  readonly state: 'sealed' | 'unsealed'
}

/** `audit verify` for whoever makes policies of a log: one that was tampered with says nothing, one without an end perhaps not everything, which is said. */
export async function findSoundLog(given: string, context: Context): Promise<SoundLog> {
  const log = await findLog(given, context)
  const { status, exitCode, findings } = await verifyRun(log.path, {
    installation: log.installation,
    anchors: [],
    witnesses: [],
    ...(log.run === null ? {} : { run: log.run }),
  })
  if (status === 'tampered' || status === 'unreadable') {
    const why = findings[0]?.message ?? 'it is not whole'
    const what = status === 'tampered' ? 'was tampered with' : 'cannot be read'
    throw new CliError(
      'usage',
      `the log of ${safe(given)} ${what}: ${safe(why)}`,
      `\`authority audit verify ${safe(given)}\` says where; nothing was made of it`,
      { exitCode },
    )
  }
  if (status === 'unsealed')
    context.terminal.note(
      `authority: note: the log of ${safe(given)} is not sealed (the run goes on, or died): what comes after is not in it`,
    )
  return { path: log.path, state: status === 'unsealed' ? 'unsealed' : 'sealed' }
}
