/** The compiled binary under test, a home of its own, and the probing agent (probe.c) with an image, two mounts and a policy around it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { runProgram } from '../../process/run-program.ts'
import { compileStatic, freshFolder, freshHome, removeFolder } from '../vm-support.ts'

const ROOT = join(import.meta.dirname, '../../..')
const BINARY = join(ROOT, 'dist/authority')

export interface Vm {
  readonly folder: string
  readonly home: string
  readonly probe: string
  readonly config: string
  readonly policy: string
  /** Path in the folder of the host's side. */
  at(...parts: string[]): string
  clean(): void
}

export async function prepareVm(): Promise<Vm> {
  const built = await runProgram([process.execPath, 'run', join(ROOT, 'cli/build/build.ts')], { deadlineMs: 170_000 })
  if (built.code !== 0) throw new Error(built.stderr)
  const folder = freshFolder('vm-')
  const at = (...parts: string[]): string => join(folder, ...parts)
  for (const name of ['etc', 'data', 'data/private', 'data/sub', 'out', 'outside', 'plain']) mkdirSync(at(name))
  writeFileSync(at('etc/granted.txt'), 'granted')
  writeFileSync(at('etc/denied.txt'), 'not granted')
  symlinkSync('denied.txt', at('etc/link-to-denied'))
  writeFileSync(at('data/read.txt'), 'inside')
  writeFileSync(at('data/private/secret.txt'), 'CANARY private')
  writeFileSync(at('outside/secret.txt'), 'CANARY outside')
  symlinkSync('../outside/secret.txt', at('data/link-file'))
  symlinkSync('../outside', at('data/link-folder'))
  symlinkSync(at('outside/secret.txt'), at('data/link-absolute'))
  symlinkSync('/proc/self/root', at('data/link-proc'))
  symlinkSync('private/secret.txt', at('data/link-denied'))
  writeFileSync(at('out/.profile'), 'of the host')
  await compileStatic(join(import.meta.dirname, 'probe.c'), at('probe'))
  writeFileSync(at('config.json'), JSON.stringify({ MapDirs: { etc: '/etc' } }))
  writeFileSync(
    at('policy.json'),
    JSON.stringify({
      version: '1.0',
      profiles: ['tier1-musl'],
      fs: {
        read: ['/etc/granted.txt', '/data', '/data/**', '/out', '/out/**', '/tmp/work/**'],
        write: ['/out/**', '/tmp/work/**'],
        deny: { read: ['/data/private/**'] },
      },
    }),
  )
  writeFileSync(
    at('files.json'),
    JSON.stringify({
      version: '1.0',
      profiles: ['tier1-musl'],
      fs: {
        read: ['/etc/settings.conf', '/fixed.conf', '/out/**'],
        write: ['/etc/settings.conf', '/fixed.conf', '/out/**', '/out/shared/.envrc'],
      },
    }),
  )
  writeFileSync(at('nothing.json'), JSON.stringify({ version: '1.0', fs: { read: ['/etc/granted.txt'] } }))
  const home = freshHome(folder)
  return {
    folder,
    home: home.path,
    probe: at('probe'),
    config: at('config.json'),
    policy: at('policy.json'),
    at,
    clean: () => removeFolder(folder),
  }
}

export interface Started {
  readonly child: ChildProcess
  /** Everything at the end. */
  readonly done: Promise<Ended>
}
export interface Ended {
  /** 128+n as a shell shows it. */
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: Buffer
  readonly stderr: string
  /** `ended_by` and the other facts of `--json`; null when there is none. */
  readonly facts: { readonly [key: string]: unknown } | null
}

export interface StartOptions {
  /** Flags of `authority run`. */
  readonly flags?: readonly string[]
  /** null: the test ends it. */
  readonly input?: string | Buffer | null
  /** Takes the agent's output in place of collecting it. */
  readonly take?: (stdout: Readable) => Promise<Buffer>
  readonly program?: string
  readonly policy?: string
}

let serial = 0
/** `authority run probe -- ARGS` with both mounts, config and policy. */
export function startRun(vm: Vm, args: readonly string[], options: StartOptions = {}): Started {
  const json = vm.at(`facts-${serial++}.json`)
  const mounts = ['-v', `${vm.at('data')}:/data`, '-v', `${vm.at('out')}:/out`]
  const policy = options.policy ?? vm.policy
  const line = ['run', options.program ?? vm.probe, '-c', vm.config, '--policy', policy, ...mounts, `--json=${json}`, '--accel', 'tcg']
  const child = spawn(BINARY, [...line, ...(options.flags ?? []), '--', ...args], { cwd: vm.folder, env: environment(vm) })
  child.stdin.on('error', () => undefined)
  if (options.input !== null) child.stdin.end(options.input ?? '')
  const stdout = (options.take ?? collect)(child.stdout)
  const stderr = collect(child.stderr)
  const done = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', async (code, signal) => {
      const facts = existsSync(json) ? (JSON.parse(readFileSync(json, 'utf8')) as Ended['facts']) : null
      resolve({ code, signal, stdout: await stdout, stderr: (await stderr).toString(), facts })
    })
  })
  return { child, done }
}

/** Any other verb. */
export async function authority(
  vm: Vm,
  ...args: readonly string[]
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  const { code, stdout, stderr } = await runProgram([BINARY, ...args], { env: environment(vm), deadlineMs: 60_000 })
  return { code, out: Buffer.from(stdout).toString(), err: stderr }
}

const environment = (vm: Vm): Record<string, string> => ({ PATH: process.env.PATH ?? '', HOME: vm.folder, AUTHORITY_HOME: vm.home })

export async function collect(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** What the probe printed, by name. */
export function probed(stdout: Buffer): Readonly<Record<string, string>> {
  const lines = stdout.toString().split('\n').filter(Boolean)
  return Object.fromEntries(
    lines.map((line) => {
      const { probe, got } = JSON.parse(line) as { probe: string; got: string }
      return [probe, got]
    }),
  )
}

/** Folders of the runs in this home, as they were made. */
export function runFolders(vm: Vm): string[] {
  return readdirSync(join(vm.home, 'runs')).map((id) => join(vm.home, 'runs', id))
}
