import { type ControlClient, connectControl } from '../runs/control-client.ts'
import { CliError } from '../runs/errors.ts'
import { findRun } from '../runs/registry.ts'
import { isAlive } from '../runs/run-record.ts'
import { shortId } from '../ui/text.ts'
import type { Context } from './index.ts'
import { homeOf } from './shared.ts'

/** Talks to the gate of a run that goes on. Throws CliError for one that is over. */
export async function withLivingRun<T>(
  given: string,
  context: Context,
  use: (client: ControlClient, id: string) => Promise<T>,
): Promise<T> {
  const { record, folder } = findRun(homeOf(context), given)
  const id = shortId(record.id)
  if (record.state === 'ended' || !isAlive(record))
    throw new CliError('usage', `run ${id} is not running`, `\`authority runs show ${id}\` tells how it ended`)
  const client = await connectControl(folder)
  try {
    return await use(client, id)
  } finally {
    client.close()
  }
}
