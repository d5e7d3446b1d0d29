import { AuthorityError } from '@authority/protocol'
import { MAX_DOWNLOAD_BYTES, MAX_PACKAGES } from './limits.ts'

/** One package of a resolved set. */
export interface ResolvedPackage {
  readonly name: string
  readonly version: string
  /** Bytes of the download. */
  readonly size: number
  /** File name apt gives it. */
  readonly file: string
}

/**
 * Packages that others depend on only for their maintainer scripts, which never run here, or for programs an agent does not start: taken as installed,
 * so that they and what they need stay out.
 */
const ASSUMED = [
  'debconf',
  'dpkg',
  'init-system-helpers',
  'install-info',
  'media-types',
  'openssl',
  'perl-base',
  'readline-common',
  'sensible-utils',
  'tar',
  'ucf',
] as const

/** The package database of the private root: nothing but the assumed packages. */
export function assumedInstalled(arch: string): string {
  const stanza = (name: string) =>
    `Package: ${name}\nStatus: install ok installed\nPriority: required\nSection: admin\nMaintainer: none\nArchitecture: ${arch}\nMulti-Arch: foreign\n` +
    `Version: 99:0\n${name === 'debconf' ? 'Provides: debconf-2.0\n' : ''}Description: assumed\n`
  return ASSUMED.map(stanza).join('\n')
}

/**
 * Reads `apt-get --print-uris install`: lines of `'URI' FILE SIZE HASH`. Sorted by name.
 * Throws E_UPSTREAM for a line it does not understand, E_CONFLICT for too many or too large packages.
 */
export function parsePrintUris(text: string): readonly ResolvedPackage[] {
  const packages: ResolvedPackage[] = []
  for (const line of text.split('\n')) {
    if (!line.startsWith("'")) continue
    const match = /^'[^']+' ([a-z0-9][a-z0-9+.-]*)_([^_\s]+)_([a-z0-9]+)\.deb (\d+)(?: \S+)?$/.exec(line.trim())
    const [, name, version, arch, size] = match ?? []
    if (name === undefined || version === undefined || arch === undefined || size === undefined)
      throw new AuthorityError('E_UPSTREAM', `apt answered with something unexpected: ${line.slice(0, 200)}`)
    packages.push({ name, version: decodeURIComponent(version), size: Number(size), file: `${name}_${version}_${arch}.deb` })
  }
  const bytes = packages.reduce((sum, each) => sum + each.size, 0)
  if (packages.length > MAX_PACKAGES || bytes > MAX_DOWNLOAD_BYTES)
    throw new AuthorityError('E_CONFLICT', `${packages.length} packages with ${bytes} bytes are more than a layer may have`)
  return packages.sort((a, b) => (a.name < b.name ? -1 : 1))
}
