/** A mount that a process of its own serves: `run-process.ts` (another run on the folder) or `folding-process.ts` (a host file system that folds names). */
import { spawn } from 'node:child_process'
import path from 'node:path'

export interface ChildMount {
  readonly point: string
  /** Resolves when it is unmounted and its process ended. */
  close(): Promise<unknown>
}

/** null when this host cannot mount. */
export async function mountByChild(script: 'run-process' | 'folding-process', host: string): Promise<ChildMount | null> {
  const child = spawn(process.execPath, ['run', path.join(import.meta.dirname, `${script}.ts`), host], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const ended = new Promise((resolve) => child.on('close', resolve))
  const close = (): Promise<unknown> => {
    child.stdin.end()
    return ended
  }
  const point = await new Promise<string>((resolve) => child.stdout.once('data', (data) => resolve(String(data).trim())))
  if (point !== 'cannot') return { point, close }
  await close()
  return null
}
