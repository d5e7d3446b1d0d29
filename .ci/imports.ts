/** Dependencies point one way (DESIGN 3): cli → kernel → protocol, sdks → protocol; stages never import each other's insides. */
import { dirname, join, relative, resolve } from 'node:path'

export interface Violation {
  readonly file: string
  readonly line: number
  readonly specifier: string
  readonly rule: string
}

const PACKAGE_MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  protocol: [],
  kernel: ['protocol'],
  cli: ['protocol', 'kernel', 'sdks'],
  sdks: ['protocol'],
  benchmarks: ['protocol', 'kernel', 'sdks', 'cli'],
}
const PACKAGE_OF_NAME: Readonly<Record<string, string>> = { protocol: 'protocol', kernel: 'kernel', cli: 'cli', sdk: 'sdks' }
/** What a folder of kernel/ shows to the others. */
const PUBLIC_FILES = ['index.ts', 'types.ts', 'contract.ts', 'transport.ts']
/** What belongs to no stage. */
const LIBRARIES = ['vocabulary', 'patterns']
/** Tests, campaigns and benchmarks look inside. */
const LOOKS_INSIDE = /^cli\/(acceptance|campaigns)\/|^benchmarks\//
const CLI_LIBRARIES = ['config', 'image', 'machine', 'runs', 'debian']

const IMPORT = /(?:^|\s)(?:import|export)\s[^'"]*?from\s+['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]\s*\)|^import\s+['"]([^'"]+)['"]/gm

export function importsOf(source: string): { specifier: string; line: number }[] {
  return [...source.matchAll(IMPORT)].map((match) => ({
    specifier: match[1] ?? match[2] ?? match[3] ?? '',
    line: source.slice(0, match.index).split('\n').length,
  }))
}

/** What is wrong with one import of one file (both relative to the root), or null. */
export function judgeImport(file: string, specifier: string): string | null {
  if (specifier === 'undici') return "the bare name is a stub under Bun: import 'undici/index.js'"
  const from = file.split('/')[0] ?? ''
  if (specifier.startsWith('@authority/')) {
    const target = PACKAGE_OF_NAME[specifier.split('/')[1] ?? ''] ?? 'unknown'
    return (PACKAGE_MAY_IMPORT[from] ?? []).includes(target) ? null : `${from} must not import ${target}`
  }
  if (!specifier.startsWith('.')) return null
  const target = relative('.', join(dirname(file), specifier))
  const to = target.split('/')[0] ?? ''
  if (LOOKS_INSIDE.test(file)) return null
  if (to !== from && from in PACKAGE_MAY_IMPORT && to in PACKAGE_MAY_IMPORT) return `import packages by name, not by path (${specifier})`
  if (/\.test\.ts$|\/testing\//.test(file)) return null
  if (from === 'kernel') return judgeKernel(file, target)
  if (from === 'cli') return judgeCli(file, target)
  return null
}

function judgeKernel(file: string, target: string): string | null {
  const mine = kernelFolder(file)
  const theirs = kernelFolder(target)
  if (mine === theirs || LIBRARIES.includes(theirs) || theirs === '') return null
  const name = target.split('/').at(-1) ?? ''
  return PUBLIC_FILES.includes(name) ? null : `kernel/${mine} reaches into kernel/${theirs}: only ${PUBLIC_FILES.join(', ')} are for others`
}

function kernelFolder(path: string): string {
  const parts = path.split('/').slice(1, -1)
  return parts[0] === 'effects' ? parts.slice(0, 2).join('/') : (parts[0] ?? '')
}

function judgeCli(file: string, target: string): string | null {
  const mine = file.split('/')[1] ?? ''
  const theirs = target.split('/')[1] ?? ''
  if (CLI_LIBRARIES.includes(mine) && (theirs === 'commands' || theirs === 'ui'))
    return `cli/${mine} is a library: it must not import cli/${theirs}`
  return null
}

/** All violations of the tree. */
export async function findViolations(root: string): Promise<Violation[]> {
  const violations: Violation[] = []
  for (const file of sources(root)) {
    if (file.includes('node_modules/') || file.includes('/dist/')) continue
    const source = await Bun.file(resolve(root, file)).text()
    for (const { specifier, line } of importsOf(source)) {
      const rule = judgeImport(file, specifier)
      if (rule !== null) violations.push({ file, line, specifier, rule })
    }
  }
  return violations
}

/** Folder by folder: a slash within braces matches nothing in Bun's globs. */
function* sources(root: string): Generator<string> {
  for (const folder of ['protocol', 'kernel', 'cli', 'sdks/typescript', 'benchmarks'])
    yield* new Bun.Glob(`${folder}/**/*.ts`).scanSync({ cwd: root })
}
