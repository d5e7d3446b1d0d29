import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { DebianPackageSet } from '../../debian/index.ts'
import type { Arch } from '../elf.ts'
import { type Entry, fileEntry, symlinkEntry } from '../entries.ts'
import { COMPILE_DEADLINE_MS } from '../limits.ts'
import { hostArch, layer } from '../plan.ts'
import type { BuildTools } from '../sdk-files.ts'
import type { RuntimeLayers } from './cached-layer.ts'
import { type DebianLayer, debianLayer } from './debian-layer.ts'

/** The interpreter and the whole standard library; certificates for TLS. */
const PACKAGES = ['python3-minimal', 'libpython3-stdlib', 'ca-certificates'] as const
/** On sys.path of Debian's Python. */
const SITE = '/usr/lib/python3/dist-packages'
/** Raised when the layer is made differently from the same packages. */
const RECIPE = 'python 2'

/** Debian's Python with its standard library as byte code, and the SDK beside it: `import authority` just works. */
export async function pythonLayers(arch: Arch, tools: BuildTools): Promise<RuntimeLayers> {
  const runtime = await pythonRuntime(arch, tools)
  const sdk = [...tools.sdk.python].sort(([a], [b]) => (a < b ? -1 : 1)).map(([path, bytes]) => fileEntry(`${SITE}/${path}`, bytes))
  return { layers: [runtime.layer, layer('sdk', sdk)], packages: runtime.packages, close: runtime.close }
}

function pythonRuntime(arch: Arch, tools: BuildTools): Promise<DebianLayer> {
  return debianLayer('python3', PACKAGES, arch, tools, RECIPE, async (unpacked, set, entries) => [
    ...certificates(unpacked),
    ...(runsHere(arch) ? await byteCode(unpacked, entries, arch) : await borrowedByteCode(set, tools)),
  ])
}

function runsHere(arch: Arch): boolean {
  return process.platform === 'linux' && arch === hostArch()
}

/**
 * Byte code does not depend on the architecture: for another one it is taken from this machine's own layer, if that is the same version of the same
 * library. Where it is not, the library is compiled in memory at each start: slower, and right all the same.
 */
async function borrowedByteCode(set: DebianPackageSet, tools: BuildTools): Promise<readonly Entry[]> {
  if (process.platform !== 'linux') return []
  const own = await pythonRuntime(hostArch(), tools)
  try {
    const library = set.packages.find((each) => /^libpython3\.\d+-stdlib$/.test(each.name))
    if (library === undefined || !own.packages.includes(`${library.name}=${library.version}`)) return []
    return [...own.layer.entries].flatMap((entry) =>
      entry.kind === 'file' && entry.path.endsWith('.pyc') ? [fileEntry(entry.path, Buffer.concat([...entry.content.chunks()]))] : [],
    )
  } finally {
    own.close()
  }
}

/** /etc/ssl/certs/ca-certificates.crt as update-ca-certificates writes it: every certificate of the package, in name order. */
function certificates(unpacked: string): readonly Entry[] {
  const dir = join(unpacked, 'usr/share/ca-certificates/mozilla')
  if (!existsSync(dir)) return []
  const names = readdirSync(dir)
    .filter((name) => name.endsWith('.crt'))
    .sort()
  const texts = names.map((name) => `${readFileSync(join(dir, name), 'utf8').trim()}\n`)
  return [
    fileEntry('/etc/ssl/certs/ca-certificates.crt', texts.join('')),
    symlinkEntry('/usr/lib/ssl/cert.pem', '/etc/ssl/certs/ca-certificates.crt'),
  ]
}

/**
 * Byte code of the standard library, made by the unpacked interpreter itself: without it every start compiles what it imports, which costs seconds
 * in an emulated guest. Hash-based and unchecked, so that it can never count as stale in an image that never changes.
 */
async function byteCode(unpacked: string, entries: readonly Entry[], arch: Arch): Promise<readonly Entry[]> {
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
  const wanted = entries.flatMap((entry) =>
    entry.kind === 'file' && entry.path.startsWith(`/usr/lib/${library}/`) && entry.path.endsWith('.py') ? [entry.path] : [],
  )
  const out = join(unpacked, '.byte-code')
  mkdirSync(out)
  writeFileSync(join(unpacked, '.compile.py'), COMPILE)
  writeFileSync(join(unpacked, '.wanted'), wanted.map((path) => `${path}\n`).join(''))
  const multi = arch === 'x86_64' ? 'x86_64-linux-gnu' : 'aarch64-linux-gnu'
  const path = [`lib/${multi}`, `usr/lib/${multi}`].map((dir) => join(unpacked, dir)).join(':')
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
  // an old host kernel may not run a newer Debian's interpreter: no byte code then, as for another architecture
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
