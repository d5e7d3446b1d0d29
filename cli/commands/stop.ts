import { AuthorityError } from '@authority/protocol'
import { connectControl } from '../runs/control-client.ts'
import { CliError } from '../runs/errors.ts'
import { findRun } from '../runs/registry.ts'
import { isAlive, type RunRecord, readRun } from '../runs/run-record.ts'
import { shortId } from '../ui/text.ts'
import type { Command } from './index.ts'
import { homeOf } from './shared.ts'
import type { STOP } from './verbs.ts'

/** ms a gate has to stop its machine and seal the log. */
const STOP_DEADLINE_MS = 20_000
const LOOK_MS = 50
/** Characters of a reason on the wire. */
const MAX_REASON = 200

export const command: Command<typeof STOP> = async ({ flags, positionals }, context) => {
  const { terminal } = context
  const { record, folder } = findRun(homeOf(context), positionals[0] ?? '')
  const id = shortId(record.id)
  if (record.state === 'ended' || !isAlive(record))
    throw new CliError('usage', `run ${id} is not running`, `\`authority runs show ${id}\` tells how it ended`)
  const client = await connectControl(folder)
  try {
    await client.request('run.stop', [(flags.reason ?? 'authority stop').slice(0, MAX_REASON)])
  } catch (error) {
    // A gate that went away while it was told to is a gate that stopped: its record tells.
    if (!(error instanceof AuthorityError) || error.code !== 'E_UPSTREAM') throw error
  } finally {
    client.close()
  }
  const ended = await waitForEnd(folder)
  if (ended === null)
    throw new CliError(
      'gate',
      `run ${id} took the order and has not ended after ${STOP_DEADLINE_MS / 1000} s`,
      'look again with `authority runs ls`',
    )
  if (flags.json) terminal.json(ended)
  else terminal.out(`stopped ${id}; its log is sealed`)
  return 0
}

async function waitForEnd(folder: string): Promise<RunRecord | null> {
  const deadline = performance.now() + STOP_DEADLINE_MS
  while (performance.now() < deadline) {
    const record = readRun(folder)
    if (record.state === 'ended' || !isAlive(record)) return record
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
  }
  return null
}
