import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Arch } from '../elf.ts'
import { type Entry, fileEntry } from '../entries.ts'
import { MULTIARCH } from '../libraries.ts'
import { COMPILE_DEADLINE_MS } from '../limits.ts'

/**
 * Byte code of Python sources in an unpacked runtime, made by the unpacked interpreter itself: without it every start compiles what it imports, which costs seconds
 * in an emulated guest. Hash-based and unchecked, so that it can never count as stale in an image that never changes.
 * `wanted`: paths inside the runtime. Empty where the interpreter does not run here, as a newer Debian's on an old kernel.
 */
export async function byteCode(unpacked: string, wanted: readonly string[], arch: Arch): Promise<readonly Entry[]> {
  const library = readdirSync(join(unpacked, 'usr/lib')).find((name) => /^python3\.\d+$/.test(name))
  if (library === undefined) return []
  const loader = [
    `lib64/ld-linux-x86-64.so.2`,
    'usr/lib64/ld-linux-x86-64.so.2',
    'lib/ld-linux-aarch64.so.1',
    'usr/lib/ld-linux-aarch64.so.1',
  ]
    .map((path) => join(unpacked, path))
    .find((path) => existsSync(path))
  if (loader === undefined) return []
  const out = join(unpacked, '.byte-code')
  mkdirSync(out)
  writeFileSync(join(unpacked, '.compile.py'), COMPILE)
  writeFileSync(join(unpacked, '.wanted'), wanted.map((path) => `${path}\n`).join(''))
  const path = [`lib/${MULTIARCH[arch]}`, `usr/lib/${MULTIARCH[arch]}`].map((dir) => join(unpacked, dir)).join(':')
  const child = Bun.spawn(
    [
      loader,
      '--library-path',
      path,
      join(unpacked, 'usr/bin', library),
      '-I',
      '-S',
      '-B',
      join(unpacked, '.compile.py'),
      unpacked,
      out,
      join(unpacked, '.wanted'),
    ],
    {
      cwd: out,
      env: { PYTHONHOME: join(unpacked, 'usr'), PYTHONHASHSEED: '0', LC_ALL: 'C.UTF-8' },
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: COMPILE_DEADLINE_MS,
      killSignal: 'SIGKILL',
    },
  )
  const [, code] = await Promise.all([new Response(child.stderr).text(), child.exited])
  if (code !== 0) return []
  return wanted.flatMap((source) => {
    const file = compiledPath(source, library)
    const made = join(out, file)
    return existsSync(made) ? [fileEntry(file, readFileSync(made))] : []
  })
}

/** `/usr/lib/python3.11/os.py` → `/usr/lib/python3.11/__pycache__/os.cpython-311.pyc` (PEP 3147). */
function compiledPath(source: string, library: string): string {
  const tag = `cpython-${library.slice('python'.length).replace('.', '')}`
  const name = source.slice(source.lastIndexOf('/') + 1, -'.py'.length)
  return `${dirname(source)}/__pycache__/${name}.${tag}.pyc`
}

/** argv: unpacked root, output folder, list of paths. The name compiled in is the path in the image, as tracebacks show it. */
const COMPILE = `import os, sys, py_compile, importlib.util
root, out, wanted = sys.argv[1:4]
for path in open(wanted, encoding="utf-8").read().splitlines():
    target = out + importlib.util.cache_from_source(path)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    try:
        py_compile.compile(root + path, cfile=target, dfile=path, doraise=True, quiet=1,
                           invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    except py_compile.PyCompileError:
        pass  # the library has test data that is not meant to compile
`
