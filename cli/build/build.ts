/** `npm run build`: compiles init and the cell, packs the SDKs, and leaves one executable, dist/authority. Does nothing when nothing changed. */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { compileInit } from '@authority/kernel/guest/build-init'
import { compileCell } from '../machine/cell/build-cell.ts'
import { packPythonSdk, packTypescriptSdk } from './pack-sdks.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const GENERATED = join(ROOT, 'cli/embedded/generated')
const BINARY = join(ROOT, 'dist/authority')
const STAMP = join(ROOT, 'dist/authority.inputs')
/** Everything that can change the binary. */
const INPUTS = new Bun.Glob('{protocol,kernel,cli,sdks,.ci}/**/*.{ts,mjs,c,h,py,json}')

/** Flags and their reasons: DESIGN 7. Without the two --no-compile-autoload flags a hostile working folder could run code in the gate. */
const COMPILE_FLAGS = [
  '--compile',
  '--minify',
  '--bytecode',
  '--format=esm',
  '--splitting',
  '--sourcemap=linked',
  '--no-compile-autoload-dotenv',
  '--no-compile-autoload-bunfig',
]

const inputs = await fingerprint()
if (existsSync(BINARY) && existsSync(STAMP) && readFileSync(STAMP, 'utf8') === inputs) process.exit(0)

mkdirSync(GENERATED, { recursive: true })
mkdirSync(dirname(BINARY), { recursive: true })
rmSync(STAMP, { force: true })
await compileInit(hostArch(), join(GENERATED, 'init.bin'))
await compileCell(join(GENERATED, 'cell.bin'))
writeFileSync(join(GENERATED, 'sdk-python.txt'), JSON.stringify(packPythonSdk(ROOT)))
writeFileSync(join(GENERATED, 'sdk-typescript.txt'), await packTypescriptSdk(ROOT))
writeFileSync(
  join(GENERATED, 'build-info.txt'),
  JSON.stringify({ version: readVersion(), commit: commit(), bun: Bun.version, arch: hostArch() }),
)
compile()
prove()
writeFileSync(STAMP, inputs)

async function fingerprint(): Promise<string> {
  const hash = createHash('sha256').update(Bun.version).update(commit())
  const files: string[] = []
  for await (const file of INPUTS.scan({ cwd: ROOT, dot: true }))
    if (!/node_modules|generated\/|\/dist\/|\.test\.ts$/.test(file)) files.push(file)
  for (const file of files.sort())
    hash
      .update(file)
      .update('\0')
      .update(readFileSync(join(ROOT, file)))
      .update('\0')
  return hash.digest('hex')
}

function hostArch(): 'x86_64' | 'aarch64' {
  return process.arch === 'arm64' ? 'aarch64' : 'x86_64'
}

function readVersion(): string {
  return (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }).version
}

function commit(): string {
  const git = Bun.spawnSync(['git', 'rev-parse', '--short=12', 'HEAD'], { cwd: ROOT, stderr: 'ignore' })
  return git.success ? git.stdout.toString().trim() : 'unknown'
}

function compile(): void {
  const command = [process.execPath, 'build', ...COMPILE_FLAGS, 'cli/main.ts', `--outfile=${BINARY}`]
  const built = Bun.spawnSync(command, { cwd: ROOT, stdout: 'pipe', stderr: 'pipe' })
  const output = `${built.stdout}${built.stderr}`
  if (!built.success || /error:/.test(output)) fail(`bun build failed:\n${output}`)
}

/** A broken bundle can leave a binary behind an exit code of 0: only running it tells. */
function prove(): void {
  const ran = Bun.spawnSync([BINARY, 'version'], { cwd: '/', stdout: 'pipe', stderr: 'pipe' })
  if (!ran.success || !ran.stdout.toString().startsWith('authority ')) fail(`the built binary does not run:\n${ran.stdout}${ran.stderr}`)
  process.stderr.write(`built dist/authority: ${ran.stdout.toString().trim()}\n`)
}

function fail(message: string): never {
  process.stderr.write(`build: ${message}\n`)
  process.exit(1)
}
