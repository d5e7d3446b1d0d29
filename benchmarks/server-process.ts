import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'

/** Disk benchmarks need a real disk: /tmp is often memory. */
const SCRATCH_PARENT = join(import.meta.dirname, '..', '.cache')

export function scratchFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(SCRATCH_PARENT, 'bench-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

export interface ServerProcess {
  readonly pid: number
  stop(): Promise<void>
}

/** Starts one of servers/ and waits until it listens. */
export async function startServer(name: 'echo' | 'gate', args: readonly string[]): Promise<ServerProcess> {
  const child = Bun.spawn([process.execPath, join(import.meta.dirname, 'servers', `${name}.ts`), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const reader = child.stdout.getReader()
  const { value } = await reader.read()
  if (value === undefined || !new TextDecoder().decode(value).startsWith('ready')) throw new Error(`the ${name} server did not start`)
  return {
    pid: child.pid,
    stop: async () => {
      child.kill()
      await child.exited
    },
  }
}

export function canPin(): boolean {
  return navigator.hardwareConcurrency > 1 && Bun.which('taskset') !== null && Bun.which('chrt') !== null
}

/** All threads of a process on one core, or again on all. At the usual priority: threads of real-time priority that share a core wait for each other for ever. */
export function pin(pid: number, core: number | null): void {
  const cores = core === null ? `0-${navigator.hardwareConcurrency - 1}` : String(core)
  for (const command of [
    ['chrt', '--all-tasks', '--other', '--pid', '0', String(pid)],
    ['taskset', '--all-tasks', '--cpu-list', '--pid', cores, String(pid)],
  ]) {
    const { exitCode, stderr } = Bun.spawnSync(command, { stdout: 'ignore', stderr: 'pipe' })
    if (exitCode !== 0) throw new Error(`${command.join(' ')}: ${stderr.toString().trim()}`)
  }
}
