import { attenuate, type Restriction } from '@authority/kernel/capability'
import { parseCount, parseDuration } from '../config/index.ts'
import { CliError } from '../runs/errors.ts'
import type { Command } from './index.ts'
import { readObject, readToken, writeToken } from './token-io.ts'
import type { CAP_ATTENUATE } from './verbs.ts'

export const command: Command<typeof CAP_ATTENUATE> = async ({ flags }, context) => {
  const { cwd } = context
  if (flags.restrict === '-' && (flags.token ?? '-') === '-')
    throw new CliError('usage', 'token and restriction cannot both come from stdin', 'give one of them as a file')
  const written = flags.restrict === undefined ? {} : readObject(flags.restrict, 'the restriction', cwd)
  const restriction = {
    ...written,
    ...(flags.for === undefined ? {} : { expires: earlier(written.expires, Date.now() + parseDuration(flags.for)) }),
    ...(flags.uses === undefined ? {} : { uses: parseCount(flags.uses) }),
  } as Restriction
  writeToken(attenuate(readToken(flags.token, cwd), restriction), flags.output, context)
  return 0
}

function earlier(written: unknown, flag: number): unknown {
  return typeof written === 'number' ? Math.min(written, flag) : (written ?? flag)
}
