import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'

/** Disk benchmarks need a real disk: /tmp is often memory. */
const SCRATCH_PARENT = join(import.meta.dirname, '..', '.cache')

export function scratchFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(SCRATCH_PARENT, 'bench-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

/** Starts one of servers/ and waits until it listens. */
export async function startServer(name: 'echo' | 'gate', args: readonly string[]): Promise<{ stop(): Promise<void> }> {
  const child = Bun.spawn([process.execPath, join(import.meta.dirname, 'servers', `${name}.ts`), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const reader = child.stdout.getReader()
  const { value } = await reader.read()
  if (value === undefined || !new TextDecoder().decode(value).startsWith('ready')) throw new Error(`the ${name} server did not start`)
  return {
    stop: async () => {
      child.kill()
      await child.exited
    },
  }
}
