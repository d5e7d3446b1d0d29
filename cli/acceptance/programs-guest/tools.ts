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

/** gcc's driver, compiler proper, assembler and linker, and musl to link against: `folder/gcc`. What calls them is gcc.sh. */
export async function copyCompiler(folder: string): Promise<void> {
  const ask = async (question: string): Promise<string> =>
    Buffer.from((await runProgram(['gcc', question])).stdout)
      .toString()
      .trim()
  const version = dirname(await ask('-print-libgcc-file-name'))
  const own = join(folder, 'gcc/lib/gcc', basename(dirname(version)), basename(version))
  await copyTool(folder, 'gcc', join(folder, 'gcc/bin/gcc'))
  for (const name of ['as', 'ld']) await copyTool(folder, name, join(folder, 'bin', name))
  for (const name of ['cc1', 'collect2']) await copyTool(folder, await ask(`-print-prog-name=${name}`), join(own, name))
  await copyTool(folder, await ask('-print-file-name=liblto_plugin.so'), join(own, 'liblto_plugin.so'))
  for (const name of readdirSync(version)) if (/^crt.*\.o$|^libgcc(_eh)?\.a$/.test(name)) copyFileSync(join(version, name), join(own, name))
  cpSync(join(version, 'include'), join(own, 'include'), { recursive: true, dereference: true })
  const triple = `${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-musl`
  cpSync(join('/usr/include', triple), join(folder, 'gcc/musl/include'), { recursive: true, dereference: true })
  mkdirSync(join(folder, 'gcc/musl/lib'))
  for (const name of readdirSync(join('/usr/lib', triple)))
    if (/\.[ao]$/.test(name)) copyFileSync(join('/usr/lib', triple, name), join(folder, 'gcc/musl/lib', name))
}

/** node, and npm with all it needs: a folder of its own, or Debian's shared one. Answers npm's script as the guest names it, when `folder` is at `guest`. */
export async function copyNode(folder: string, guest: string): Promise<string> {
  await copyTool(folder, 'node', join(folder, 'bin/node'))
  const script = realpathSync(findProgram('npm') ?? '/usr/bin/npm')
  const root = dirname(dirname(script))
  const shared = dirname(root).endsWith('/nodejs') ? dirname(root) : root
  cpSync(shared, join(folder, 'npm'), { recursive: true, dereference: true })
  return join(guest, 'npm', script.slice(shared.length + 1))
}
