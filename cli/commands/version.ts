import { build } from '../embedded/assets.ts'

export async function command(): Promise<number> {
  process.stdout.write(`authority ${build.version} (${build.commit}, bun ${build.bun}, ${build.arch})\n`)
  return 0
}
