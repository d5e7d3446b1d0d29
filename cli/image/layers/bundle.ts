import { existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path'
import type { Arch } from '../elf.ts'
import { type Entry, fileEntry } from '../entries.ts'
import { ImageError } from '../errors.ts'
import { BUNDLE_DEADLINE_MS, MAX_BUNDLE_BYTES, MAX_BUNDLE_MESSAGE_BYTES } from '../limits.ts'
import { APP_DIR } from '../plan.ts'
import type { BuildTools } from '../sdk-files.ts'

export interface Bundle {
  /** File name of the program below /app. */
  readonly main: string
  readonly entries: readonly Entry[]
}

/** Names the agent imports the SDK by; it is in the image, not in the bundle, so that every image has the SDK of its own authority. */
const SDK_NAMES = ['authority', '@authority/sdk'] as const

/**
 * Bundles a TypeScript program into /app. It is somebody else's code, and bundling must not run it: a child process does the work with macros
 * off (Bun.build has no such switch: an import `with { type: 'macro' }` runs at build time), an empty environment and an empty working
 * folder, so that no bunfig.toml or .env is read. Whatever the bundle was made of must lie in the project's folder:
 * `import key from '/home/me/.ssh/id_ed25519' with { type: 'text' }` is an error, not a way into the image.
 */
export async function bundle(
  program: { readonly path: string; readonly folder: boolean; readonly entry: string },
  host: Arch,
  tools: BuildTools,
): Promise<Bundle> {
  const bun = tools.bun[host]
  if (bun === undefined)
    throw new ImageError('unavailable', 'there is no Bun here to bundle TypeScript with', { hint: 'run the compiled authority binary' })
  const main = program.folder ? join(program.path, program.entry) : program.path
  const project = program.folder ? program.path : projectOf(dirname(program.path))
  const work = realpathSync(mkdtempSync(join(tmpdir(), 'authority-bundle-')))
  try {
    await runBundler(bun, main, work)
    checkInputs(join(work, 'meta.json'), work, project, program.path)
    return collect(join(work, 'out'), main)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/** The nearest folder upwards with a package.json, else the program's own: what "the project" means to everyone who writes TypeScript. */
function projectOf(dir: string): string {
  for (let at = dir; ; at = dirname(at)) {
    if (existsSync(join(at, 'package.json'))) return at
    if (dirname(at) === at) return dir
  }
}

async function runBundler(bun: string, main: string, work: string): Promise<void> {
  const argv = [
    bun,
    'build',
    '--no-macros',
    '--target=bun',
    '--format=esm',
    '--env=disable',
    `--outdir=${join(work, 'out')}`,
    `--metafile=${join(work, 'meta.json')}`,
  ]
  for (const name of SDK_NAMES) argv.push('--external', name)
  const child = Bun.spawn([...argv, main], {
    cwd: work,
    env: { BUN_BE_BUN: '1', HOME: work, TMPDIR: work, PATH: '/usr/bin:/bin', NO_COLOR: '1', DO_NOT_TRACK: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: BUNDLE_DEADLINE_MS,
    killSignal: 'SIGKILL',
  })
  const [said, complained, code] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text(), child.exited])
  if (child.signalCode !== null) throw new ImageError('bad-input', `bundling ${main} did not finish within ${BUNDLE_DEADLINE_MS / 1000} s`)
  if (code === 0) return
  const why = `${complained}${said}`.replaceAll(`${work}/`, '').trim().slice(0, MAX_BUNDLE_MESSAGE_BYTES)
  throw new ImageError('bad-input', `${main} cannot be bundled:\n${why}`, {
    hint: /Could not resolve/.test(why)
      ? 'install its packages in the project folder first'
      : 'correct the source; macros are not available',
  })
}

/** Every input must be below the project's folder, or in a node_modules folder above it as workspaces have them. */
function checkInputs(metafile: string, work: string, project: string, program: string): void {
  const meta = JSON.parse(readFileSync(metafile, 'utf8')) as { inputs?: Record<string, unknown> }
  if (meta.inputs === undefined) throw new ImageError('bad-input', `the bundler did not say what ${program} is made of`)
  const root = realpathSync(project)
  for (const input of Object.keys(meta.inputs)) {
    const path = isAbsolute(input) ? input : resolve(work, input)
    // virtual modules of Bun itself have no file
    if (!existsSync(path)) {
      if (/^(bun|node):/.test(input)) continue
      throw new ImageError('bad-input', `${program} is made of ${input}, which is not a file`)
    }
    if (!inside(root, realpathSync(path)) && !inModulesAbove(root, path))
      throw new ImageError('bad-input', `${program} imports ${path}, which is outside its project ${root}`, {
        hint: 'copy the file into the project, or give it to the agent with a mount (-v)',
      })
  }
}

function inside(root: string, path: string): boolean {
  const from = relative(root, path)
  return from !== '..' && !from.startsWith(`..${sep}`) && !isAbsolute(from)
}

function inModulesAbove(root: string, path: string): boolean {
  const real = realpathSync(path)
  for (let at = dirname(root); ; at = dirname(at)) {
    if (inside(join(at, 'node_modules'), real)) return true
    if (dirname(at) === at) return false
  }
}

function collect(out: string, main: string): Bundle {
  const names = readdirSync(out).sort()
  let bytes = 0
  const entries = names.map((name) => {
    const content = readFileSync(join(out, name))
    bytes += content.length
    if (bytes > MAX_BUNDLE_BYTES) throw new ImageError('too-big', `the bundle of ${main} is larger than ${MAX_BUNDLE_BYTES} bytes`)
    return fileEntry(`${APP_DIR}/${name}`, content)
  })
  const stem = (main.split(sep).pop() ?? '').replace(/\.[cm]?[jt]sx?$/, '')
  const name = names.find((each) => each === `${stem}.js`) ?? names.find((each) => each.endsWith('.js'))
  if (name === undefined) throw new ImageError('bad-input', `bundling ${main} gave no program`)
  return { main: name, entries }
}
