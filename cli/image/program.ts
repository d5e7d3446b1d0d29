import { closeSync, lstatSync, openSync, readSync, realpathSync, statSync } from 'node:fs'
import { basename, extname, join } from 'node:path'
import { type ByteSource, type Elf, isElf, readElf } from './elf.ts'
import { errnoOf, ImageError } from './errors.ts'

/** What the user gave us to run, recognised by looking at it. */
export type Program =
  | { readonly kind: 'static' | 'dynamic'; readonly path: string; readonly elf: Elf }
  /** `entry` is relative to `path`; for a single file `folder` is false and `path` the file. */
  | { readonly kind: 'python' | 'typescript'; readonly path: string; readonly folder: boolean; readonly entry: string }

export type ProgramKind = Program['kind']

const PYTHON_ENTRIES = ['__main__.py', 'main.py'] as const
const TYPESCRIPT_ENTRIES = ['main.ts', 'index.ts', 'main.mts', 'main.js', 'index.js', 'main.mjs'] as const
const TYPESCRIPT_EXTENSIONS: ReadonlySet<string> = new Set(['.ts', '.mts', '.cts', '.tsx', '.js', '.mjs', '.cjs', '.jsx'])
/** Bytes of a first line that are looked at, as Linux does. */
const SHEBANG_BYTES = 256

const KINDS_HINT =
  'Authority builds static and dynamic Linux programs (ELF), Python files or folders (__main__.py or main.py), and TypeScript or JavaScript files'

/** Throws ImageError `not-found` or `not-executable` with what to do about it. */
export function detectProgram(given: string): Program {
  let path: string
  try {
    path = realpathSync(given)
  } catch (error) {
    throw new ImageError('not-found', `there is no program ${given}: ${errnoOf(error)}`, { hint: 'check the path', cause: error })
  }
  const stat = statSync(path)
  if (stat.isDirectory()) return detectFolder(path)
  if (!stat.isFile()) throw new ImageError('not-executable', `${given} is not a file or folder`, { hint: KINDS_HINT })
  // the name the user gave decides, not the one a symlink leads to
  const extension = extname(given).toLowerCase()
  if (extension === '.py') return { kind: 'python', path, folder: false, entry: basename(path) }
  if (TYPESCRIPT_EXTENSIONS.has(extension)) return { kind: 'typescript', path, folder: false, entry: basename(path) }
  const head = readHead(path)
  if (isElf(head)) return withFile(path, (source) => elfProgram(path, readElf(source)))
  if (head[0] === 0x23 && head[1] === 0x21) return detectScript(given, path, head)
  throw new ImageError('not-executable', `${given} is not a program Authority knows`, { hint: KINDS_HINT })
}

function elfProgram(path: string, elf: Elf): Program {
  if (elf.interpreter === undefined && elf.needed.length > 0)
    throw new ImageError('not-executable', `${path} is a shared library, not a program`, { hint: 'give the program that uses it' })
  return { kind: elf.interpreter === undefined ? 'static' : 'dynamic', path, elf }
}

function detectFolder(path: string): Program {
  for (const entry of PYTHON_ENTRIES) if (isFile(join(path, entry))) return { kind: 'python', path, folder: true, entry }
  for (const entry of TYPESCRIPT_ENTRIES) if (isFile(join(path, entry))) return { kind: 'typescript', path, folder: true, entry }
  throw new ImageError('not-executable', `the folder ${path} has no program to start`, {
    hint: `add one of ${[...PYTHON_ENTRIES, ...TYPESCRIPT_ENTRIES].join(', ')}, or name the file itself`,
  })
}

function detectScript(given: string, path: string, head: Buffer): Program {
  const line = head.toString('latin1').split('\n')[0] ?? ''
  if (/\bpython3?(\.\d+)?\b/.test(line)) return { kind: 'python', path, folder: false, entry: basename(path) }
  if (/\b(bun|node|deno)\b/.test(line)) return { kind: 'typescript', path, folder: false, entry: basename(path) }
  throw new ImageError(
    'not-executable',
    `${given} is a script for ${line.slice(2).trim() || 'no interpreter'}, and an image has no shell or other interpreter`,
    {
      hint: 'write the agent in Python or TypeScript, or build a program',
    },
  )
}

function isFile(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isFile() ?? false
}

function readHead(path: string): Buffer {
  return withFile(path, (source) => source.read(0, Math.min(SHEBANG_BYTES, source.size)))
}

/** Opens a host file as a ByteSource for as long as `use` runs. */
export function withFile<T>(path: string, use: (source: ByteSource) => T): T {
  let fd: number
  try {
    fd = openSync(path, 'r')
  } catch (error) {
    throw new ImageError('host-io', `${path} cannot be read: ${errnoOf(error)}`, { cause: error })
  }
  try {
    const size = statSync(path).size
    const read = (offset: number, length: number) => {
      const buffer = Buffer.alloc(length)
      if (length > 0 && readSync(fd, buffer, 0, length, offset) !== length)
        throw new ImageError('host-io', `${path} changed while it was read`)
      return buffer
    }
    return use({ name: path, size, read })
  } finally {
    closeSync(fd)
  }
}
