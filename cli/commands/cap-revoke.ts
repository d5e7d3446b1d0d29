import { lastBlockId } from '@authority/kernel/capability'
import { connectControl } from '../runs/control-client.ts'
import { CliError } from '../runs/errors.ts'
import { findRun } from '../runs/registry.ts'
import { isAlive } from '../runs/run-record.ts'
import { shortId } from '../ui/text.ts'
import type { Command } from './index.ts'
import { homeOf } from './shared.ts'
import { readToken } from './token-io.ts'
import type { CAP_REVOKE } from './verbs-cap.ts'

const BLOCK_ID = /^[0-9a-f]{32}$/

export const command: Command<typeof CAP_REVOKE> = async ({ flags, positionals }, context) => {
  const [prefix = '', given] = positionals
  if ((given === undefined) === (flags.token === undefined))
    throw new CliError('usage', 'one block is needed', 'name its id, or give the token with --token FILE')
  const block = given ?? lastBlockId(readToken(flags.token, context.cwd))
  if (!BLOCK_ID.test(block))
    throw new CliError(
      'usage',
      'a block id is 32 lower-case hexadecimal digits',
      '`authority audit show RUN` names the blocks of each effect',
    )
  const { record, folder } = findRun(homeOf(context), prefix)
  if (record.state === 'ended' || !isAlive(record))
    throw new CliError('usage', `run ${shortId(record.id)} is over, and its tokens with it`, 'nothing is left to revoke')
  const client = await connectControl(folder)
  try {
    await client.request('cap.revoke', [Uint8Array.from(Buffer.from(block, 'hex'))])
  } finally {
    client.close()
  }
  if (flags.json) context.terminal.json({ run: record.id, revoked: block })
  else context.terminal.out(`revoked ${block} and all that came from it`)
  return 0
}
