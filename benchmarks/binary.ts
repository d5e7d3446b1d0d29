import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')

/** dist/authority, made from the sources as they are: a benchmark never measures an older one. Throws with what the build said. */
export function builtBinary(): string {
  const build = Bun.spawnSync([process.execPath, 'run', join(ROOT, 'cli/build/build.ts')], { cwd: ROOT })
  if (!build.success) throw new Error(`dist/authority does not build; \`npm run build\` says: ${build.stderr.toString().trim()}`)
  return join(ROOT, 'dist/authority')
}
