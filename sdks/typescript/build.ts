/** `bun sdks/typescript/build.ts [FOLDER]`: the npm package in FOLDER (default dist/ beside this file): one ES module for Node ≥ 20 and Bun, and its types. */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'

/** What users install and import. Inside images the SDK has this name too. */
export const PUBLISHED_NAME = 'authority'

const HERE = import.meta.dirname
const ROOT = resolve(HERE, '../..')
/** Where the declarations of each package go below types/. */
const TYPES: Readonly<Record<string, string>> = { 'sdks/typescript/src': 'sdk', 'protocol/src': 'protocol' }
const COMPILE_DEADLINE_MS = 120_000

export async function buildPackage(out: string): Promise<void> {
  rmSync(out, { recursive: true, force: true })
  mkdirSync(out, { recursive: true })
  await bundle(out)
  declarations(join(out, 'types'))
  cpSync(join(HERE, 'README.md'), join(out, 'README.md'))
  writeFileSync(join(out, 'package.json'), `${JSON.stringify(manifest(), null, 2)}\n`)
}

async function bundle(out: string): Promise<void> {
  const built = await Bun.build({ entrypoints: [join(HERE, 'src/index.ts')], outdir: out, target: 'node', format: 'esm' })
  if (!built.success) throw new Error(`the SDK does not bundle: ${built.logs.join('\n')}`)
}

function manifest(): object {
  const { version, license } = JSON.parse(readFileSync(join(HERE, 'package.json'), 'utf8')) as { version: string; license: string }
  return {
    name: PUBLISHED_NAME,
    version,
    description: 'What an agent says to the Authority gate: files, network, budgets and capabilities, each effect decided outside.',
    license,
    type: 'module',
    exports: { '.': { types: './types/sdk/index.d.ts', default: './index.js' } },
    types: './types/sdk/index.d.ts',
    engines: { node: '>=20' },
    files: ['index.js', 'types'],
  }
}

/** Declarations of the SDK and of what it uses of the protocol, with specifiers that hold inside the package. */
function declarations(out: string): void {
  const work = mkdtempSync(join(tmpdir(), 'authority-types-'))
  try {
    emit(work)
    for (const [source, folder] of Object.entries(TYPES)) cpSync(join(work, source), join(out, folder), { recursive: true })
    for (const file of readdirSync(out, { recursive: true, encoding: 'utf8' })) if (file.endsWith('.d.ts')) rewrite(out, file)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

function emit(work: string): void {
  const config = join(work, 'tsconfig.json')
  const compilerOptions = {
    ...{
      target: 'ESNext',
      lib: ['ESNext'],
      module: 'Preserve',
      moduleResolution: 'bundler',
      types: ['bun'],
      typeRoots: [join(ROOT, 'node_modules/@types')],
    },
    ...{ strict: true, exactOptionalPropertyTypes: true, allowImportingTsExtensions: true, skipLibCheck: true },
    ...{ declaration: true, emitDeclarationOnly: true, stripInternal: true, outDir: work, rootDir: ROOT },
    // Reached through node_modules the protocol would count as somebody else's, whose declarations are there already.
    paths: { '@authority/protocol': [join(ROOT, 'protocol/src/index.ts')] },
  }
  writeFileSync(config, JSON.stringify({ compilerOptions, files: [join(HERE, 'src/index.ts')] }))
  const tsc = Bun.spawnSync([process.execPath, join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', config], {
    cwd: HERE,
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: COMPILE_DEADLINE_MS,
  })
  if (!tsc.success) throw new Error(`the SDK's types do not compile:\n${tsc.stdout}${tsc.stderr}`)
}

function rewrite(out: string, file: string): void {
  const path = join(out, file)
  const protocol = relative(dirname(path), join(out, 'protocol/index.js'))
  const text = readFileSync(path, 'utf8')
    .replaceAll(/(['"])@authority\/protocol\1/g, `'${protocol.startsWith('.') ? protocol : `./${protocol}`}'`)
    .replaceAll(/(['"])(\.{1,2}\/[^'"]+)\.ts\1/g, "'$2.js'")
  writeFileSync(path, text)
}

if (import.meta.main) await buildPackage(resolve(process.argv[2] ?? join(HERE, 'dist')))
