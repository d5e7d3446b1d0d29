import { resolve } from 'node:path'
import { ensureInstallation } from '@authority/kernel/audit'
import { loadPolicy } from '@authority/kernel/policy'
import { ARCHES, buildImage, ImageStore, type Recipe } from '../image/index.ts'
import { CliError } from '../runs/errors.ts'
import { progressOf } from '../ui/progress.ts'
import { safe } from '../ui/text.ts'
import { formatBytes } from '../ui/units.ts'
import type { Arguments } from './arguments.ts'
import { buildTools } from './build-tools.ts'
import type { Command } from './index.ts'
import { readConfig } from './run-request.ts'
import { homeOf, oneOf, readNamed } from './shared.ts'
import type { BUILD } from './verbs.ts'

export const command: Command<typeof BUILD> = async (args, context) => {
  const { terminal } = context
  const recipe = recipeOf(args, context.cwd)
  const home = homeOf(context)
  const { id } = await ensureInstallation(home.path)
  const { meta, manifest } = await buildImage(recipe, buildTools(home, progressOf(terminal)), new ImageStore(home.images), {
    installation: id,
    builtAt: new Date().toISOString(),
  })
  if (args.flags.json) terminal.json({ ...meta, manifest })
  else {
    const policy = meta.policyId === null ? 'no policy' : `policy ${meta.policyId.slice(0, 8)}`
    terminal.out(`built ${meta.name}: ${manifest.kind} for ${manifest.arch}, ${formatBytes(meta.size)}, ${policy}`)
    terminal.out(`run it: authority run ${safe(meta.name)}`)
  }
  return 0
}

function recipeOf({ flags, positionals }: Arguments<typeof BUILD>, cwd: string): Recipe {
  const config = flags.config === undefined ? null : readConfig(flags.config, cwd)
  const program = positionals[0] === undefined ? config?.program : resolve(cwd, positionals[0])
  if (program === undefined) throw new CliError('usage', 'PATH is missing', 'name the program, or give a config with Program')
  const policy = flags.policy === undefined ? config?.policy : resolve(cwd, flags.policy)
  return {
    program,
    ...(flags.arch === undefined ? {} : { arch: oneOf('arch', flags.arch, ARCHES) }),
    ...(flags.name === undefined ? {} : { name: flags.name }),
    ...(policy === undefined ? {} : { policy: imagePolicy(policy) }),
    args: config?.args ?? [],
    env: config?.env ?? {},
    extras: config?.extras ?? [],
  }
}

/** Checked before anything is built: an image with a policy that does not load could never run. */
function imagePolicy(path: string): Uint8Array {
  const bytes = readNamed(path, 'the policy', 'policy')
  if (path.toLowerCase().endsWith('.toml'))
    throw new CliError('policy', `${path}: the policy in an image is JSON`, 'write it as JSON, or give it with `authority run --policy`')
  loadPolicy(bytes, path)
  return bytes
}
