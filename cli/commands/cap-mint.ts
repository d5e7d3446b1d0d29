import { parseDuration } from '../config/index.ts'
import { connectControl } from '../runs/control-client.ts'
import { CliError } from '../runs/errors.ts'
import { findRun } from '../runs/registry.ts'
import { isAlive } from '../runs/run-record.ts'
import { shortId } from '../ui/text.ts'
import type { Command } from './index.ts'
import { homeOf } from './shared.ts'
import { readObject, writeToken } from './token-io.ts'
import type { CAP_MINT } from './verbs.ts'

const DEFAULT_VALIDITY = '1h'

export const command: Command<typeof CAP_MINT> = async ({ flags, positionals }, context) => {
  if (flags.grant === undefined)
    throw new CliError('usage', '--grant FILE is missing', 'for example a file with {"fs":{"read":["/work/**"]},"uses":10}')
  const grant = readObject(flags.grant, 'the grant', context.cwd)
  const validMs = parseDuration(flags.for ?? DEFAULT_VALIDITY)
  const { record, folder } = findRun(homeOf(context), positionals[0] ?? '')
  if (record.state === 'ended' || !isAlive(record))
    throw new CliError('usage', `run ${shortId(record.id)} is over, and its key with it`, '`authority runs ls` tells which runs are alive')
  const client = await connectControl(folder)
  try {
    const now = Date.now()
    const [token] = await client.request('cap.mint', [JSON.stringify(grant), now, now + validMs])
    writeToken(String(token), flags.output, context)
  } finally {
    client.close()
  }
  return 0
}
