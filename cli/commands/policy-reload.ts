import { resolve } from 'node:path'
import { CliError } from '../runs/errors.ts'
import { safe } from '../ui/text.ts'
import type { Command } from './index.ts'
import { withLivingRun } from './living-run.ts'
import { policyOfFile } from './load-policy.ts'
import type { POLICY_RELOAD } from './verbs-policy.ts'

/** Bytes that fit into one message to the gate, with room for the rest of it. */
const MAX_RELOAD_BYTES = 1_000_000

export const command: Command<typeof POLICY_RELOAD> = async ({ flags, positionals }, context) => {
  const { cwd, terminal, env } = context
  const [run = '', file = ''] = positionals
  // Loaded here first: a broken file never reaches the gate.
  const { bytes, includes } = policyOfFile(file, [], cwd)
  const files: (readonly [string, Uint8Array])[] = [
    ['', bytes],
    ...includes.map(({ name, base64 }) => [name, Buffer.from(base64, 'base64')] as const),
  ]
  if (files.reduce((sum, [, content]) => sum + content.length, 0) > MAX_RELOAD_BYTES)
    throw new CliError('policy', `${file} is larger than what can be reloaded (${MAX_RELOAD_BYTES} bytes)`, 'replace long lists by globs')
  const by = `authority policy reload (${env['USER'] ?? env['LOGNAME'] ?? 'operator'})`.slice(0, 100)
  const { id, policy } = await withLivingRun(run, context, async (client, id) => {
    const [policy] = await client.request('policy.reload', [resolve(cwd, file), files, by])
    return { id, policy: String(policy) }
  })
  if (flags.json) terminal.json({ run: id, policy })
  else terminal.out(`run ${id} is now under ${safe(file)}, policy ${policy}; its budgets stay as they were`)
  return 0
}
