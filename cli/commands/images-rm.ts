import { ImageStore } from '../image/index.ts'
import { CliError } from '../runs/errors.ts'
import { safe } from '../ui/text.ts'
import type { Command } from './index.ts'
import { homeOf } from './shared.ts'
import type { IMAGES_RM } from './verbs.ts'

export const command: Command<typeof IMAGES_RM> = async ({ flags, positionals }, context) => {
  const { terminal } = context
  const store = new ImageStore(homeOf(context).images)
  // All are looked up before the first goes: a mistake in the last must not cost the others.
  const known = new Set(store.list().map(({ name }) => name))
  const names = [...new Set(positionals)]
  for (const name of names)
    if (!known.has(name)) throw new CliError('usage', `there is no image \`${name}\``, '`authority images ls` lists them')
  for (const name of names) {
    store.remove(name)
    if (!flags.json) terminal.out(`removed ${safe(name)}`)
  }
  if (flags.json) terminal.json({ removed: names })
  return 0
}
