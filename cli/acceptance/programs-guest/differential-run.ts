/** One VM of the compiled binary, one plain folder, and what differs between them. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runProgram } from '../../process/run-program.ts'
import { compileStatic, freshFolder, removeFolder } from '../vm-support.ts'
import { differences, prepare, scriptArguments } from './differential.ts'

const AGENT_UID = '1000'
const ROOT = join(import.meta.dirname, '../../..')
const BINARY = join(ROOT, 'dist/authority')

export async function buildBinary(): Promise<void> {
  const built = await runProgram([process.execPath, 'run', join(ROOT, 'cli/build/build.ts')], { deadlineMs: 170_000 })
  if (built.code !== 0) throw new Error(built.stderr)
}

/** A fresh folder that the agent's uid may enter. */
export function differentialFolder(): string {
  const folder = freshFolder('differential-')
  chmodSync(folder, 0o755)
  return folder
}

/** Compares `seeds` from `first` on, so many to one VM and its fresh folder, and prints what differs; returns how many sentences that were. */
export async function compareInBatches(
  { first, seeds, batch }: { readonly first: number; readonly seeds: number; readonly batch: number },
  compareIn: (folder: string, seeds: readonly number[]) => Promise<readonly string[]>,
): Promise<number> {
  await buildBinary()
  const all = Array.from({ length: seeds }, (_, i) => first + i)
  let broken = 0
  for (let at = 0; at < all.length; at += batch) {
    const folder = differentialFolder()
    const found = await compareIn(folder, all.slice(at, at + batch))
    for (const sentence of found) console.log(sentence)
    broken += found.length
    removeFolder(folder)
  }
  return broken
}

/** `folder` is empty and for everybody to enter; answers one sentence for each seed whose answers or tree differ. */
export async function compare(
  folder: string,
  home: string,
  seeds: readonly number[],
  count: number,
  deadlineMs: number,
): Promise<string[]> {
  const at = (...parts: string[]): string => join(folder, ...parts)
  mkdirSync(folder, { recursive: true })
  chmodSync(folder, 0o755)
  prepare(folder, seeds, count)
  await compileStatic(join(import.meta.dirname, 'operations.c'), at('operations'))
  const policy = { version: '1.0', profiles: ['tier1-musl'], fs: { read: ['/scripts/**', '/work', '/work/**'], write: ['/work/**'] } }
  writeFileSync(at('policy.json'), JSON.stringify(policy))
  // As somebody whom permission bits bind, as the agent is.
  const dropped = process.getuid?.() === 0 ? ['setpriv', `--reuid=${AGENT_UID}`, `--regid=${AGENT_UID}`, '--clear-groups'] : []
  const plain = await runProgram([...dropped, at('operations'), ...scriptArguments(seeds, at('scripts'), at('plain'))], { deadlineMs })
  if (plain.code !== 0) throw new Error(`the plain folder: exit code ${plain.code} ${plain.stderr}`)
  const mounts = ['-v', `${at('scripts')}:/scripts:ro`, '-v', `${at('mount')}:/work`]
  const line = [BINARY, 'run', at('operations'), '--policy', at('policy.json'), ...mounts, '--accel', 'tcg', '--']
  const env = { PATH: process.env['PATH'] ?? '', HOME: folder, AUTHORITY_HOME: home }
  const vm = await runProgram([...line, ...scriptArguments(seeds, '/scripts', '/work')], { env, deadlineMs })
  if (vm.code !== 0) throw new Error(`the VM: exit code ${vm.code} ${vm.stderr}`)
  return differences(folder, seeds, Buffer.from(vm.stdout).toString(), Buffer.from(plain.stdout).toString())
}
