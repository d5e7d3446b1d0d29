import { type RecordType, readRecords } from '@authority/kernel/audit'
import { recordLine } from '../ui/record-lines.ts'
import type { Command } from './index.ts'
import { findLog } from './shared.ts'
import type { LOGS } from './verbs.ts'

/** The life of a run without its effects. */
const SHOWN: readonly RecordType[] = [
  'RUN_START',
  'GUEST',
  'STDIO',
  'TIME',
  'REVOKE',
  'LIMIT',
  'LEASED',
  'MARK',
  'RECOVERED',
  'FATAL',
  'RUN_END',
]

export const command: Command<typeof LOGS> = async ({ flags, positionals }, context) => {
  const { terminal } = context
  const { path } = await findLog(positionals[0] ?? '', context)
  for await (const record of readRecords(path, { types: SHOWN })) {
    if (flags.json) terminal.json(record)
    else terminal.out(recordLine(record))
  }
  if (!flags.json)
    terminal.note('authority: what the agent wrote went to its stdout and stderr and is not kept; effects: `authority audit show`')
  return 0
}
