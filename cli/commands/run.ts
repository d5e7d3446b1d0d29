import { resolve } from 'node:path'
import { build, cellBinary, initBinary, pythonSdk, typescriptSdk } from '../embedded/assets.ts'
import { homePath, openHome } from '../runs/home.ts'
import { prepareRun } from '../runs/prepare.ts'
import { createRunFolder } from '../runs/registry.ts'
import { supervise } from '../runs/supervisor.ts'

export async function command(args: readonly string[]): Promise<number> {
  const home = openHome(homePath(process.env))
  const mounts: { host: string; guest: string; readonly: boolean }[] = []
  let policyPath: string | null = null
  let target = ''
  const rest: string[] = []
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? ''
    if (arg === '--') { rest.push(...args.slice(i + 1)); break }
    if (arg === '-v') { const [host = '', guest = '', ro] = (args[++i] ?? '').split(':'); mounts.push({ host: resolve(host), guest, readonly: ro === 'ro' }) }
    else if (arg === '--policy') policyPath = resolve(args[++i] ?? '')
    else target = arg
  }
  const spec = await prepareRun(
    { target, args: rest, configArgs: [], env: [], mounts, policyPath, configPath: null, acceptPolicy: null, budgets: {}, hosts: [], timeoutMs: 120_000, memoryMib: null, cpus: 1, accel: 'tcg', require: null, kernelFile: null, timing: true, console: process.env['AUTH_CONSOLE'] === '1', tty: false },
    {
      home, build: `${build.version}+${build.commit}`,
      images: { cacheDir: home.cache, version: build.version, bun: { [build.arch]: process.execPath }, sdk: { python: new Map(Object.entries(pythonSdk()).map(([path, text]) => [path, Buffer.from(text)])), typescript: Buffer.from(typescriptSdk()) } },
      initBinary, cellBinary, onProgress: (p) => process.stderr.write(`${JSON.stringify(p)}\n`), onNotice: (text) => process.stderr.write(`${text}\n`),
    },
  )
  createRunFolder(home, spec.run)
  const end = await supervise(spec, { self: [process.execPath], env: process.env, onStart: (start) => process.stderr.write(`${JSON.stringify(start)}\n`) })
  process.stderr.write(`${JSON.stringify(end, null, 1)}\n`)
  return end.exitCode
}
