import { closeSync, openSync, writeSync } from 'node:fs'
import { resolve } from 'node:path'
import { readPayloads } from '@authority/kernel/audit'
import { build } from '../embedded/build-info.ts'
import { CliError } from '../runs/errors.ts'
import { safeJson } from '../ui/safe-json.ts'
import { count } from '../ui/text.ts'
import type { Command } from './index.ts'
import { findLog } from './shared.ts'
import type { AUDIT_EXPORT } from './verbs-audit.ts'

export const command: Command<typeof AUDIT_EXPORT> = async ({ flags, positionals }, context) => {
  const { path } = await findLog(positionals[0] ?? '', context)
  if (flags.otlp === undefined) return lines(path, flags.output, context)
  if (flags.output !== undefined) throw new CliError('usage', '--otlp sends to a collector, not to a file', 'leave one of them out')
  const { exportOtlp } = await import('@authority/kernel/audit/export')
  const report = await exportOtlp(path, flags.otlp, { version: build.version })
  if (flags.json) context.terminal.json(report)
  else context.terminal.note(`authority: ${count(report.spans, 'span')} in ${count(report.requests, 'request')}`)
  return 0
}

/** The payloads as they were hashed; on a terminal the same values, with nothing in them that acts on it. */
function lines(path: string, output: string | undefined, context: Parameters<typeof command>[1]): number {
  const file = output === undefined ? null : openNew(resolve(context.cwd, output))
  const newline = Buffer.from('\n')
  const forPeople = file === null && context.terminal.isTty.out
  try {
    for (const payload of readPayloads(path)) {
      if (forPeople) {
        context.terminal.out(safeJson(new TextDecoder().decode(payload)))
        continue
      }
      const line = Buffer.concat([payload, newline])
      if (file === null) context.terminal.raw(line)
      else for (let at = 0; at < line.length; ) at += writeSync(file, line, at)
    }
    return 0
  } finally {
    if (file !== null) closeSync(file)
  }
}

function openNew(path: string): number {
  try {
    return openSync(path, 'wx', 0o600)
  } catch (cause) {
    throw new CliError(
      'usage',
      `${path} cannot be written: ${(cause as NodeJS.ErrnoException).code}`,
      'name a file that is not there yet',
      {
        cause,
      },
    )
  }
}
