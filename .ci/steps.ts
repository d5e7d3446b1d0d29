import { ROOT } from './toolchain.mjs'

/** Runs one command with its output shown; returns 0 or 1. */
export async function runStep(name: string, command: readonly string[]): Promise<number> {
  const started = performance.now()
  const child = Bun.spawn([...command], { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] })
  const code = await child.exited
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  console.log(`${name}: ${code === 0 ? 'ok' : `failed (exit ${code})`} in ${seconds} s`)
  return code === 0 ? 0 : 1
}
