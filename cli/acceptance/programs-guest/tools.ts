/** Programs of this host for an image: copied with the libraries they need, as MapDirs of a config. */
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, realpathSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { findProgram, runProgram } from '../../process/run-program.ts'

/** Python's own image has these; two C libraries in one process do not go together. */
const OF_THE_IMAGE = /^(libc|ld-linux.*|libpthread|libdl)\.so/

/** `folder/bin` and `folder/lib`. */
export async function copyTools(folder: string, names: readonly string[]): Promise<void> {
  for (const name of ['bin', 'lib']) mkdirSync(join(folder, name), { recursive: true })
  for (const name of names) await copyTool(folder, name, join(folder, 'bin', name))
}

/** One program, by its name or path, to `target`; its libraries to `folder/lib`. */
export async function copyTool(folder: string, name: string, target: string): Promise<void> {
  const path = realpathSync(name.startsWith('/') ? name : (findProgram(name) ?? `/usr/bin/${name}`))
  mkdirSync(dirname(target), { recursive: true })
  copyFileSync(path, target)
  const { stdout } = await runProgram(['ldd', path])
  for (const [, library] of Buffer.from(stdout)
    .toString()
    .matchAll(/=> (\S+)/g)) {
    if (library !== undefined && existsSync(library) && !OF_THE_IMAGE.test(basename(library)))
      copyFileSync(realpathSync(library), join(folder, 'lib', basename(library)))
  }
}

/** gcc's driver, compiler proper, assembler and linker, and musl to link against: `folder/gcc`, laid out as gcc itself looks for them. What calls them is cc.sh. */
export async function copyCompiler(folder: string): Promise<void> {
  const ask = async (question: string): Promise<string> =>
    Buffer.from((await runProgram(['gcc', question])).stdout)
      .toString()
      .trim()
  const version = dirname(await ask('-print-libgcc-file-name'))
  const places = join(basename(dirname(version)), basename(version))
  const own = join(folder, 'gcc/lib/gcc', places)
  const compiler = await ask('-print-prog-name=cc1')
  const programs = compiler.includes('/libexec/') ? join(folder, 'gcc/libexec/gcc', places) : own
  await copyTool(folder, 'gcc', join(folder, 'gcc/bin/gcc'))
  for (const name of ['as', 'ld']) await copyTool(folder, name, join(folder, 'bin', name))
  for (const path of [compiler, await ask('-print-prog-name=collect2'), await ask('-print-file-name=liblto_plugin.so')])
    await copyTool(folder, path, join(programs, basename(path)))
  mkdirSync(own, { recursive: true })
  for (const name of readdirSync(version)) if (/^crt.*\.o$|^libgcc(_eh)?\.a$/.test(name)) copyFileSync(join(version, name), join(own, name))
  cpSync(join(version, 'include'), join(own, 'include'), { recursive: true, dereference: true })
  const triple = `${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-musl`
  cpSync(join('/usr/include', triple), join(folder, 'gcc/musl/include'), { recursive: true, dereference: true })
  mkdirSync(join(folder, 'gcc/musl/lib'))
  for (const name of readdirSync(join('/usr/lib', triple)))
    if (/\.[ao]$/.test(name)) copyFileSync(join('/usr/lib', triple, name), join(folder, 'gcc/musl/lib', name))
}

/** Where the guest has the modules (its NODE_PATH), and npm's script there and on this host. */
export interface NodeFolder {
  readonly guest: string
  readonly npm: string
  readonly npmOnHost: string
}

/**
 * node to `tools/bin`, and npm with all it needs to `nodejs`, which the image must have at `guest`: a place of its own, or where Debian's node looks for the
 * shared modules it is built without.
 */
export async function copyNode(tools: string, nodejs: string): Promise<NodeFolder> {
  await copyTool(tools, 'node', join(tools, 'bin/node'))
  const npmOnHost = realpathSync(findProgram('npm') ?? '/usr/bin/npm')
  const root = dirname(dirname(npmOnHost))
  const shared = dirname(root).endsWith('/nodejs')
  const from = shared ? dirname(root) : root
  cpSync(from, nodejs, { recursive: true, dereference: true })
  const guest = shared ? from : '/opt/nodejs'
  return { guest, npm: join(guest, npmOnHost.slice(from.length + 1)), npmOnHost }
}
