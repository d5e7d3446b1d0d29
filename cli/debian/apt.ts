import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { AuthorityError } from '@authority/protocol'
import { findProgram, runProgram } from '../process/run-program.ts'
import { DEFAULT_DEBIAN, type DebianSource, debianSources, takenSettings, writeSources } from './apt-sources.ts'
import { APT_DEADLINE_MS } from './limits.ts'

/**
 * Adapter: a private apt root in a folder of ours. It points at Debian (through the host's own mirror, proxy and keys where it has them), works for any
 * architecture, as root or not, and neither reads nor writes the system's package state. apt itself checks signatures and digests.
 */

export type DebianArch = 'amd64' | 'arm64'

export interface DebianPackage {
  readonly name: string
  readonly version: string
  readonly arch: DebianArch
  /** Bytes of the download. */
  readonly size: number
  readonly depends: string
}

export interface Progress {
  /** What is being done, e.g. `linux-image-6.1.0-56-cloud-amd64 6.1.192-2`. */
  readonly what: string
  /** 0…100. */
  readonly percent: number
  /** Bytes in all, where known. */
  readonly bytes: number | null
}
export type OnProgress = (progress: Progress) => void

export interface AptRoot {
  /** Fetches the package lists. Throws E_UPSTREAM when no mirror answers. */
  update(onProgress: OnProgress): Promise<void>
  /** The newest version of a package. Throws E_NOT_FOUND. */
  show(name: string): Promise<DebianPackage>
  /** Downloads into `folder`; answers the file's path. */
  download(deb: DebianPackage, folder: string, onProgress: OnProgress): Promise<string>
}

const NO_APT_HINT =
  'the stock kernel comes from Debian through apt: run this once on a Debian or Ubuntu machine and copy its cache folder, or give a kernel of your own with --kernel FILE'
const OFFLINE_HINT =
  'the first start needs the network once; later starts do not. Check the connection and the host’s apt proxy settings, or give a kernel with --kernel FILE'

/** Prepares the root in an existing folder. Throws E_NOT_FOUND without apt or without Debian's keys. */
export async function openAptRoot(folder: string, arch: DebianArch): Promise<AptRoot> {
  const aptGet = findProgram('apt-get')
  const aptCache = findProgram('apt-cache')
  if (aptGet === null || aptCache === null) throw new AuthorityError('E_NOT_FOUND', 'apt-get is not installed here', { hint: NO_APT_HINT })
  const config = await writeRoot(folder, arch)
  const env = { APT_CONFIG: config }
  return {
    async update(onProgress) {
      const result = await runProgram([aptGet, '-q', '-o', 'APT::Status-Fd=1', 'update'], {
        env,
        deadlineMs: APT_DEADLINE_MS,
        onOutput: progressReader('package lists of Debian', null, onProgress),
      })
      // apt-get update exits 0 with warnings when a mirror does not answer and there is nothing older to fall back to.
      if (result.code !== 0 || /^(?:E|W): .*(?:Failed to fetch|not signed|NO_PUBKEY|couldn't be verified)/m.test(result.stderr)) {
        throw new AuthorityError('E_UPSTREAM', `apt could not fetch Debian’s package lists: ${firstComplaint(result.stderr)}`, {
          hint: OFFLINE_HINT,
        })
      }
    },
    async show(name) {
      const result = await runProgram([aptCache, '--no-all-versions', 'show', name], { env })
      const deb = readPackage(new TextDecoder().decode(result.stdout), arch)
      if (result.code !== 0 || deb === null)
        throw new AuthorityError('E_NOT_FOUND', `Debian has no package \`${name}\` for ${arch}`, {
          hint: 'see the sources `authority doctor` lists',
        })
      return deb
    },
    async download(deb, into, onProgress) {
      const what = `${deb.name} ${deb.version}`
      const argv = [aptGet, '-q', '-o', 'APT::Status-Fd=1', 'download', `${deb.name}=${deb.version}`]
      const result = await runProgram(argv, {
        env,
        cwd: into,
        deadlineMs: APT_DEADLINE_MS,
        onOutput: progressReader(what, deb.size, onProgress),
      })
      const file = readdirSync(into).find((entry) => entry.startsWith(`${deb.name}_`) && entry.endsWith('.deb'))
      if (result.code !== 0 || file === undefined)
        throw new AuthorityError('E_UPSTREAM', `apt could not fetch ${what}: ${firstComplaint(result.stderr)}`, { hint: OFFLINE_HINT })
      return join(into, file)
    },
  }
}

/** Unpacks a package's files into a folder. */
export async function unpackDeb(file: string, into: string): Promise<void> {
  const dpkg = findProgram('dpkg-deb')
  if (dpkg === null) throw new AuthorityError('E_NOT_FOUND', 'dpkg-deb is not installed here', { hint: NO_APT_HINT })
  const result = await runProgram([dpkg, '-x', file, into], { deadlineMs: APT_DEADLINE_MS })
  if (result.code !== 0)
    throw new AuthorityError('E_IO', `dpkg-deb could not unpack ${file}: ${firstComplaint(result.stderr)}`, {
      hint: 'is the disk full? `authority doctor` tells',
    })
}

/** Debian sources of this host, or the documented default. */
export function hostSources(aptFolder = '/etc/apt'): readonly DebianSource[] {
  const files: { name: string; text: string }[] = []
  const add = (path: string) => {
    try {
      files.push({ name: path, text: readFileSync(path, 'utf8') })
    } catch {
      // A source file that cannot be read is one apt would not use either.
    }
  }
  add(join(aptFolder, 'sources.list'))
  const parts = join(aptFolder, 'sources.list.d')
  if (existsSync(parts)) for (const name of readdirSync(parts).sort()) if (/\.(?:list|sources)$/.test(name)) add(join(parts, name))
  const found = debianSources(files)
  return found.length > 0 ? found : DEFAULT_DEBIAN
}

async function writeRoot(folder: string, arch: DebianArch): Promise<string> {
  if (/[^A-Za-z0-9_./@+~ -]/.test(folder))
    throw new AuthorityError('E_CONFLICT', `apt cannot work in the folder ${folder}`, {
      hint: 'choose an AUTHORITY_HOME without quotes or other special characters',
    })
  const sources = hostSources()
  const missing = sources.find((source) => source.signedBy !== null && !existsSync(source.signedBy))
  if (missing)
    throw new AuthorityError('E_NOT_FOUND', `Debian’s keys are missing: ${missing.signedBy}`, {
      hint: 'install them: sudo apt-get install debian-archive-keyring',
    })
  for (const name of ['sources', 'empty', 'state/lists/partial', 'cache/archives/partial', 'log'])
    mkdirSync(join(folder, name), { recursive: true, mode: 0o700 })
  writeFileSync(join(folder, 'status'), '', { mode: 0o600 })
  writeFileSync(join(folder, 'sources', 'debian.sources'), writeSources(sources), { mode: 0o600 })
  const dump = findProgram('apt-config')
  const taken = dump === null ? [] : takenSettings(new TextDecoder().decode((await runProgram([dump, 'dump'])).stdout))
  const config = join(folder, 'apt.conf')
  writeFileSync(config, [...taken, ...privateSettings(folder, arch)].map((line) => `${line}\n`).join(''), { mode: 0o600 })
  return config
}

/** Read first by apt (APT_CONFIG), so the host's apt.conf.d with its hooks is never read at all. */
function privateSettings(folder: string, arch: DebianArch): string[] {
  const at = (name: string) => join(folder, name)
  return [
    `Dir::Etc::parts "${at('empty')}";`,
    `Dir::Etc::main "${at('no-main')}";`,
    `Dir::Etc::sourcelist "${at('no-list')}";`,
    `Dir::Etc::sourceparts "${at('sources')}";`,
    `Dir::Etc::preferences "${at('no-preferences')}";`,
    `Dir::Etc::preferencesparts "${at('empty')}";`,
    `Dir::State "${at('state')}";`,
    `Dir::State::lists "${at('state/lists')}";`,
    `Dir::State::status "${at('status')}";`,
    `Dir::Cache "${at('cache')}";`,
    `Dir::Cache::archives "${at('cache/archives')}";`,
    'Dir::Cache::pkgcache "";',
    'Dir::Cache::srcpkgcache "";',
    `Dir::Log "${at('log')}";`,
    `APT::Architecture "${arch}";`,
    `APT::Architectures { "${arch}"; };`,
    // The folder is 0700, so apt's own download user could not write into it.
    'APT::Sandbox::User "root";',
    'Acquire::Languages "none";',
    'Acquire::GzipIndexes "true";',
    'Acquire::AllowInsecureRepositories "false";',
    'Acquire::AllowDowngradeToInsecureRepositories "false";',
    'APT::Get::AllowUnauthenticated "false";',
  ]
}

/** Reads `dlstatus:N:PERCENT:…` lines of apt's status descriptor. */
function progressReader(what: string, bytes: number | null, onProgress: OnProgress): (text: string) => void {
  let rest = ''
  return (text) => {
    const lines = (rest + text).split('\n')
    rest = (lines.pop() ?? '').slice(-4096)
    for (const line of lines) {
      const percent = Number(/^dlstatus:\d+:([0-9.]+):/.exec(line)?.[1])
      if (Number.isFinite(percent)) onProgress({ what, percent: Math.min(100, percent), bytes })
    }
  }
}

function readPackage(text: string, arch: DebianArch): DebianPackage | null {
  const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(text)?.[1] ?? ''
  const name = field('Package')
  const version = field('Version')
  const size = Number(field('Size'))
  if (!/^[a-z0-9][a-z0-9+.-]+$/.test(name) || !/^[A-Za-z0-9.+:~-]+$/.test(version) || !Number.isSafeInteger(size)) return null
  return { name, version, arch, size, depends: field('Depends') }
}

function firstComplaint(stderr: string): string {
  const line = stderr.split('\n').find((text) => /^[EW]: |error/.test(text)) ?? stderr.split('\n')[0] ?? ''
  return line.replace(/^[EW]: /, '').slice(0, 400) || 'no reason given'
}
