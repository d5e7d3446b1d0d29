import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { DebianPackageSet } from '../../debian/index.ts'
import { cacheKey } from '../cache.ts'
import type { Arch } from '../elf.ts'
import { type Entry, fileEntry, symlinkEntry } from '../entries.ts'
import { hostArch, layer, type PlannedLayer } from '../plan.ts'
import type { BuildTools } from '../sdk-files.ts'
import { mergeLayers } from '../tree.ts'
import { cachedLayer, type RuntimeLayers } from './cached-layer.ts'
import { type DebianLayer, debianLayer } from './debian-layer.ts'
import { extract } from './extract.ts'
import { byteCode } from './python-compile.ts'

/** The interpreter and the whole standard library; certificates for TLS. */
const PACKAGES = ['python3-minimal', 'libpython3-stdlib', 'ca-certificates'] as const
/** On sys.path of Debian's Python. */
const SITE = '/usr/lib/python3/dist-packages'
/** Raised when the layer is made differently from the same packages. */
const RECIPE = 'python 2'

/** Debian's Python with its standard library as byte code, and the SDK beside it: `import authority` just works. */
export async function pythonLayers(arch: Arch, tools: BuildTools): Promise<RuntimeLayers> {
  const runtime = await pythonRuntime(arch, tools)
  try {
    const sdk = await sdkLayer(runtime, arch, tools)
    const close = () => {
      sdk.close()
      runtime.close()
    }
    return { layers: [runtime.layer, sdk.layer], packages: runtime.packages, close }
  } catch (error) {
    runtime.close()
    throw error
  }
}

function pythonRuntime(arch: Arch, tools: BuildTools): Promise<DebianLayer> {
  return debianLayer('python3', PACKAGES, arch, tools, RECIPE, async (unpacked, set, entries) => [
    ...certificates(unpacked),
    ...(runsHere(arch) ? await byteCode(unpacked, sources(entries), arch) : await borrowedByteCode(set, tools)),
  ])
}

function sources(entries: Iterable<Entry>): readonly string[] {
  return [...entries].flatMap((entry) => (entry.kind === 'file' && /^\/usr\/lib\/python3[./].*\.py$/.test(entry.path) ? [entry.path] : []))
}

/** The SDK with its byte code, made by this machine's own interpreter; a runtime of another Python version gets the sources alone. */
async function sdkLayer(runtime: DebianLayer, arch: Arch, tools: BuildTools): Promise<{ readonly layer: PlannedLayer; close(): void }> {
  const files = [...tools.sdk.python].sort(([a], [b]) => (a < b ? -1 : 1)).map(([path, bytes]) => fileEntry(`${SITE}/${path}`, bytes))
  const key = cacheKey('python sdk', RECIPE, runtime.layer.digest, layer('sdk', files).digest)
  return cachedLayer('sdk', key, tools.cacheDir, async (store) => {
    const own = process.platform !== 'linux' ? undefined : runsHere(arch) ? runtime : await pythonRuntime(hostArch(), tools)
    const compiled = own !== undefined && pythonOf(own.packages) === pythonOf(runtime.packages) ? await compileIn(own, files, tools) : []
    if (own !== runtime) own?.close()
    store(mergeLayers([{ name: 'sdk', entries: [...files, ...compiled] }]))
  })
}

/** Unpacks a runtime to run it once over some more sources. */
async function compileIn(runtime: DebianLayer, files: readonly Entry[], tools: BuildTools): Promise<readonly Entry[]> {
  mkdirSync(tools.cacheDir, { recursive: true, mode: 0o700 })
  const work = mkdtempSync(join(tools.cacheDir, 'compile-'))
  try {
    extract(mergeLayers([runtime.layer, { name: 'sdk', entries: files }]), work)
    return await byteCode(work, sources(files), hostArch())
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

function pythonOf(packages: readonly string[]): string | undefined {
  return packages.find((each) => /^libpython3\.\d+-stdlib=/.test(each))
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
    if (pythonOf(own.packages) !== pythonOf(set.packages.map((each) => `${each.name}=${each.version}`))) return []
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
