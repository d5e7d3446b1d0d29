import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { AuthorityError } from '@authority/protocol'
import { exclusively } from '../process/exclusive.ts'
import { findProgram, runProgram } from '../process/run-program.ts'
import { type AptRoot, type DebianArch, type OnProgress, openAptRoot } from './apt.ts'
import { DOWNLOAD_DEADLINE_MS, LISTS_MAX_AGE_MS, RESOLVE_DEADLINE_MS, UNPACK_DEADLINE_MS } from './limits.ts'
import { assumedInstalled, parsePrintUris, type ResolvedPackage } from './resolve.ts'

export type { ResolvedPackage } from './resolve.ts'

/** Packages with all they depend on. */
export interface DebianPackageSet {
  readonly packages: readonly ResolvedPackage[]
  /** What was asked for. */
  readonly asked: readonly string[]
}

export interface DebianRoot {
  /** Newest versions of the packages and everything they need, without recommendations. From memory while the lists are the same; throws E_UPSTREAM, E_NOT_FOUND. */
  resolve(names: readonly string[]): Promise<DebianPackageSet>
  /** Downloads a set (apt checks signatures and digests) and unpacks it into one folder. Maintainer scripts are never run. */
  unpack(set: DebianPackageSet, into: string): Promise<void>
}

/**
 * Adapter: Debian packages of any architecture as files, without root and without touching the system's own package state. `folder` keeps the
 * package lists between calls, one root per architecture.
 */
export async function openDebian(folder: string, arch: DebianArch, onProgress: OnProgress): Promise<DebianRoot> {
  const root = join(folder, arch)
  return { resolve: (names) => resolve(root, arch, names, onProgress), unpack: (set, into) => unpack(root, arch, set, into, onProgress) }
}

async function resolve(root: string, arch: DebianArch, names: readonly string[], onProgress: OnProgress): Promise<DebianPackageSet> {
  const remembered = recall(root, names)
  if (remembered !== undefined) return remembered
  const apt = await prepare(root, arch)
  return exclusively(lockOf(root), async () => recall(root, names) ?? (await resolveAnew(root, arch, apt, names, onProgress)))
}

async function resolveAnew(
  root: string,
  arch: DebianArch,
  apt: AptRoot,
  names: readonly string[],
  onProgress: OnProgress,
): Promise<DebianPackageSet> {
  await freshLists(root, apt, onProgress)
  const result = await aptGet(root, ['-qq', '-y', '--print-uris', '--no-install-recommends', 'install', ...names], RESOLVE_DEADLINE_MS)
  if (result.code !== 0) {
    const missing = /Unable to locate package (\S+)/.exec(result.stderr)?.[1]
    throw new AuthorityError(
      missing === undefined ? 'E_UPSTREAM' : 'E_NOT_FOUND',
      missing === undefined
        ? `apt cannot put ${names.join(', ')} together: ${complaint(result.stderr)}`
        : `Debian has no package ${missing} for ${arch}`,
      {
        hint: 'see which Debian release this machine is configured for: authority doctor',
      },
    )
  }
  const set = { packages: parsePrintUris(new TextDecoder().decode(result.stdout)), asked: names }
  writeFileSync(memoryPath(root, names), `${JSON.stringify({ lists: listsState(root), set })}\n`, { mode: 0o600 })
  return set
}

async function unpack(root: string, arch: DebianArch, set: DebianPackageSet, into: string, onProgress: OnProgress): Promise<void> {
  const dpkg = findProgram('dpkg-deb')
  if (dpkg === null)
    throw new AuthorityError('E_NOT_FOUND', 'dpkg-deb is not installed here', { hint: 'install it: sudo apt-get install dpkg' })
  await prepare(root, arch)
  const downloads = mkdtempSync(join(root, 'download-'))
  try {
    mkdirSync(join(downloads, 'partial'))
    await download(root, set, downloads, onProgress)
    for (const each of set.packages) {
      const result = await runProgram([dpkg, '-x', join(downloads, each.file), into], { deadlineMs: UNPACK_DEADLINE_MS })
      if (result.code !== 0)
        throw new AuthorityError('E_IO', `dpkg-deb could not unpack ${each.file}: ${complaint(result.stderr)}`, {
          hint: 'is the disk full? `authority doctor` tells',
        })
    }
  } finally {
    rmSync(downloads, { recursive: true, force: true })
  }
}

async function download(root: string, set: DebianPackageSet, into: string, onProgress: OnProgress): Promise<void> {
  const bytes = set.packages.reduce((sum, each) => sum + each.size, 0)
  const what = `${set.asked.join(', ')} and what they need: ${set.packages.length} Debian packages`
  onProgress({ what, percent: 0, bytes })
  const wanted = set.packages.map((each) => `${each.name}=${each.version}`)
  const run = () =>
    aptGet(
      root,
      ['-q', '-y', '--download-only', '--no-install-recommends', '-o', `Dir::Cache::archives=${into}`, 'install', ...wanted],
      DOWNLOAD_DEADLINE_MS,
    )
  const result = await run()
  const absent = set.packages.filter((each) => !existsSync(join(into, each.file)))
  if (result.code !== 0 || absent.length > 0) {
    // the mirror has moved on since the lists were fetched: forget them, so that the next try resolves anew
    rmSync(join(root, 'state', 'lists'), { recursive: true, force: true })
    throw new AuthorityError('E_UPSTREAM', `apt could not fetch ${absent[0]?.name ?? set.asked.join(', ')}: ${complaint(result.stderr)}`, {
      hint: 'check the network and try again: package lists are fetched anew. Later builds need no network',
    })
  }
  onProgress({ what, percent: 100, bytes })
}

/** A private apt root in `folder` whose package lists are there and not too old: one per architecture, shared by the kernel and all layers. */
export async function openFreshApt(folder: string, arch: DebianArch, onProgress: OnProgress): Promise<AptRoot> {
  const root = join(folder, arch)
  const apt = await prepare(root, arch)
  await exclusively(lockOf(root), () => freshLists(root, apt, onProgress))
  return apt
}

/** apt refuses to fetch lists that another apt is fetching; ours waits. */
function lockOf(root: string): string {
  return join(root, 'authority.lock')
}

async function prepare(root: string, arch: DebianArch): Promise<AptRoot> {
  mkdirSync(root, { recursive: true, mode: 0o700 })
  const apt = await openAptRoot(root, arch)
  writeFileSync(join(root, 'status'), assumedInstalled(arch), { mode: 0o600 })
  return apt
}

/** Lists are fetched when there are none; old ones are renewed if a mirror answers. */
async function freshLists(root: string, apt: AptRoot, onProgress: OnProgress): Promise<void> {
  const age = listsAge(root)
  if (age === undefined) return apt.update(onProgress)
  if (age <= LISTS_MAX_AGE_MS) return
  try {
    await apt.update(onProgress)
  } catch (error) {
    if (!(error instanceof AuthorityError) || error.code !== 'E_UPSTREAM') throw error
  }
}

function listFiles(root: string): readonly string[] {
  const dir = join(root, 'state', 'lists')
  return existsSync(dir)
    ? readdirSync(dir)
        .filter((name) => /_Packages(\.[a-z0-9]+)?$/.test(name))
        .sort()
    : []
}

/** ms since the newest list was written, or undefined without lists. */
function listsAge(root: string): number | undefined {
  const files = listFiles(root)
  if (files.length === 0) return undefined
  // the list's own time is the mirror's; the change time is when it came here
  return Date.now() - Math.max(...files.map((name) => statSync(join(root, 'state', 'lists', name)).ctimeMs))
}

function listsState(root: string): string {
  const hash = createHash('sha256')
  for (const name of listFiles(root)) {
    const { size, mtimeMs } = statSync(join(root, 'state', 'lists', name))
    hash.update(`${name} ${size} ${mtimeMs}\n`)
  }
  return hash.digest('hex')
}

function memoryPath(root: string, names: readonly string[]): string {
  return join(root, `resolved-${createHash('sha256').update(names.join(' ')).digest('hex').slice(0, 16)}.json`)
}

/** What the same question was answered with under the same lists: apt takes a second or two to work it out. */
function recall(root: string, names: readonly string[]): DebianPackageSet | undefined {
  const age = listsAge(root)
  if (age === undefined || age > LISTS_MAX_AGE_MS) return undefined
  try {
    const memory = JSON.parse(readFileSync(memoryPath(root, names), 'utf8')) as { lists: string; set: DebianPackageSet }
    return memory.lists === listsState(root) && memory.set.packages.length > 0 ? memory.set : undefined
  } catch {
    return undefined
  }
}

function aptGet(root: string, argv: readonly string[], deadlineMs: number) {
  const program = findProgram('apt-get')
  if (program === null)
    throw new AuthorityError('E_NOT_FOUND', 'apt-get is not installed here', {
      hint: 'Debian packages for images need apt: build on Debian or Ubuntu',
    })
  // the private root's package database is never written, so it needs no lock, and two builds may read it at once
  return runProgram([program, '-o', 'Debug::NoLocking=true', ...argv], { env: { APT_CONFIG: join(root, 'apt.conf') }, deadlineMs })
}

function complaint(stderr: string): string {
  const lines = stderr.split('\n').filter((line) => /^[EW]: /.test(line))
  return (lines[0] ?? stderr.split('\n')[0] ?? '').replace(/^[EW]: /, '').slice(0, 400) || 'no reason given'
}
