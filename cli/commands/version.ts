import { build } from '../embedded/build-info.ts'
import type { Command } from './index.ts'
import type { VERSION } from './verbs.ts'

export const command: Command<typeof VERSION> = async ({ flags }, { terminal }) => {
  const { version, commit, bun, arch } = build
  if (flags.json) terminal.json({ version, commit, bun, arch })
  else terminal.out(`authority ${version} (${commit}, bun ${bun}, ${arch})`)
  return 0
}
