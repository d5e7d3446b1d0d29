import { resolve } from 'node:path'
import type { ControlClient } from '../runs/control-client.ts'
import type { Reloaded } from '../runs/gate/reload.ts'
import { safe } from '../ui/text.ts'
import type { Command } from './index.ts'
import { withLivingRun } from './living-run.ts'
import { policyOfFile } from './load-policy.ts'
import type { POLICY_RELOAD } from './verbs-policy.ts'

/** Bytes that fit into one message to the gate, with room for the rest of it. */
const MAX_MESSAGE_BYTES = 900_000
/** Bytes of one piece of a larger policy. */
const PIECE_BYTES = 512 * 1024

type File = readonly [name: string, content: Uint8Array]
type Changes = Omit<Reloaded, 'policy'>

export const command: Command<typeof POLICY_RELOAD> = async ({ flags, positionals }, context) => {
  const { cwd, terminal, env } = context
  const [run = '', file = ''] = positionals
  // Loaded here first: a broken file never reaches the gate.
  const { bytes, includes } = policyOfFile(file, [], cwd)
  const files: File[] = [['', bytes], ...includes.map(({ name, base64 }): File => [name, Buffer.from(base64, 'base64')])]
  const by = `authority policy reload (${env['USER'] ?? env['LOGNAME'] ?? 'operator'})`.slice(0, 100)
  const { id, policy, changes } = await withLivingRun(run, context, async (client, id) => {
    const [policy, changes] = await send(client, resolve(cwd, file), files, by)
    return { id, policy: String(policy), changes: JSON.parse(String(changes)) as Changes }
  })
  if (flags.json) terminal.json({ run: id, policy, ...changes })
  else {
    terminal.out(`run ${id} is now under ${safe(file)}, policy ${policy}`)
    for (const line of changeLines(changes)) terminal.out(line)
  }
  return 0
}

async function send(client: ControlClient, source: string, files: readonly File[], by: string) {
  if (files.reduce((sum, [, content]) => sum + content.length, 0) <= MAX_MESSAGE_BYTES)
    return client.request('policy.reload', [source, files, by])
  for (const [name, content] of files) {
    let at = 0
    do {
      await client.request('policy.part', [source, name, at, content.subarray(at, at + PIECE_BYTES)])
      at += PIECE_BYTES
    } while (at < content.length)
  }
  return client.request('policy.reload', [source, [], by])
}

function changeLines({ lowered, kept, unpublished, published, unopened }: Changes): string[] {
  return [
    ...Object.entries(lowered).map(([name, limit]) => `budget ${name}: now ${limit}`),
    ...Object.entries(kept).map(([name, limit]) => `budget ${name}: stays ${limit}; a running run gets no more than it began with`),
    ...unpublished.map((object) => `no longer published: ${safe(object)}`),
    ...published.map((object) => `published again: ${safe(object)}`),
    ...unopened.map(({ object, why }) => `not published again: ${safe(object)}: ${safe(why)}; free it and reload once more`),
  ]
}
