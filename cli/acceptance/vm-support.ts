/** What the tests with real VMs share beyond machine-support.ts: compiling guest programs, a home folder whose cache outlives the tests, and what must not be left. */
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmdirSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findProgram, runProgram } from '../process/run-program.ts'
import { type Home, openHome } from '../runs/home.ts'
import { CACHE } from './machine-support.ts'

/** A fresh folder, resolved: mounts compare real paths. */
export function freshFolder(prefix: string): string {
  return realpathSync(mkdtempSync(join(tmpdir(), prefix)))
}

/** A home of its own whose kernels and layers are the shared ones. */
export function freshHome(parent: string, name = 'home'): Home {
  const home = openHome(join(parent, name))
  mkdirSync(CACHE, { recursive: true })
  if (!lstatSync(home.cache).isSymbolicLink()) {
    rmdirSync(home.cache)
    symlinkSync(realpathSync(CACHE), home.cache)
  }
  return home
}

/** Compiles one C file to a static program. */
export async function compileStatic(source: string, out: string, flags: readonly string[] = []): Promise<void> {
  const arch = process.arch === 'arm64' ? 'aarch64' : 'x86_64'
  const headers = ['-idirafter', '/usr/include', '-idirafter', `/usr/include/${arch}-linux-gnu`]
  const compiler = findProgram('musl-gcc') ?? 'musl-gcc'
  const result = await runProgram([compiler, '-static', '-O2', '-Wall', '-Wextra', '-Werror', ...flags, ...headers, '-o', out, source])
  if (result.code !== 0) throw new Error(result.stderr)
}

/** What a run may leave in its folder once it is over. */
const KEPT = ['audit', 'run.json']
export function leftovers(runFolder: string): string[] {
  return readdirSync(runFolder).filter((name) => !KEPT.includes(name))
}

/** All descendants of a process, deepest last. */
export function descendantsOf(pid: number): number[] {
  const found: number[] = []
  const visit = (parent: number): void => {
    let children: string
    try {
      children = readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8')
    } catch {
      return
    }
    for (const child of children.split(' ').filter(Boolean).map(Number)) {
      found.push(child)
      visit(child)
    }
  }
  visit(pid)
  return found
}

export const removeFolder = (folder: string): void => rmSync(folder, { recursive: true, force: true })

/** Two machines at a time: more starve each other on two cores. */
const turns = { free: 2, waiting: [] as (() => void)[] }
export async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (turns.free > 0) turns.free -= 1
  else await new Promise<void>((resolve) => turns.waiting.push(resolve))
  try {
    return await work()
  } finally {
    const next = turns.waiting.shift()
    if (next === undefined) turns.free += 1
    else next()
  }
}
