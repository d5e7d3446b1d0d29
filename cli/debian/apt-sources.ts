/** Which Debian mirrors the host itself is configured for: pure reading of apt's source files (sources.list(5), both formats). */

export interface DebianSource {
  readonly uris: readonly string[]
  readonly suites: readonly string[]
  /** Keyring path as the host names it, or null: the host's trusted keys apply. */
  readonly signedBy: string | null
}

/** Used only where the host has no Debian source of its own (Ubuntu and others): Debian's public mirror and its current stable release. */
export const DEFAULT_DEBIAN: readonly DebianSource[] = [
  {
    uris: ['http://deb.debian.org/debian'],
    suites: ['trixie', 'trixie-updates'],
    signedBy: '/usr/share/keyrings/debian-archive-keyring.gpg',
  },
  {
    uris: ['http://deb.debian.org/debian-security'],
    suites: ['trixie-security'],
    signedBy: '/usr/share/keyrings/debian-archive-keyring.gpg',
  },
]

/** Releases by their names, with updates and security; backports and third-party suites are not Debian's kernel of record. */
const SUITE = /^(?:bullseye|bookworm|trixie|forky|sid|oldstable|stable|testing|unstable)(?:-updates|-security)?$/

/** The Debian sources in apt source files; `name` decides the format (`*.sources` is deb822). */
export function debianSources(files: readonly { readonly name: string; readonly text: string }[]): DebianSource[] {
  return files.flatMap((file) => (file.name.endsWith('.sources') ? readDeb822(file.text) : readOneLine(file.text))).filter(isDebian)
}

interface Candidate extends DebianSource {
  readonly components: readonly string[]
}

function isDebian(source: Candidate): boolean {
  if (!source.components.includes('main') || source.uris.length === 0 || source.suites.length === 0) return false
  if (!source.suites.every((suite) => SUITE.test(suite))) return false
  const byKeyring = source.signedBy !== null && /(^|\/)debian-archive-[a-z0-9-]*\.(?:gpg|asc|pgp)$/.test(source.signedBy)
  // A vendor's own repository often has /debian somewhere in its path; Debian's mirrors end in it.
  return byKeyring || source.uris.every((uri) => /\/debian(?:-security)?\/?$/.test(uri))
}

function words(text: string | undefined): string[] {
  return (text ?? '').split(/\s+/).filter((word) => word !== '')
}

function readDeb822(text: string): Candidate[] {
  return text
    .split(/\n\s*\n/)
    .map(readStanza)
    .filter((fields) => words(fields.get('types')).includes('deb') && fields.get('enabled')?.toLowerCase() !== 'no')
    .map((fields) => ({
      uris: words(fields.get('uris')),
      suites: words(fields.get('suites')),
      components: words(fields.get('components')),
      signedBy: keyringOf(fields.get('signed-by')),
    }))
}

function readStanza(text: string): Map<string, string> {
  const fields = new Map<string, string>()
  let last: string | null = null
  for (const line of text.split('\n')) {
    if (line.startsWith('#')) continue
    const start = /^([A-Za-z-]+):\s*(.*)$/.exec(line)
    if (start?.[1] !== undefined) {
      last = start[1].toLowerCase()
      fields.set(last, start[2] ?? '')
    } else if (last !== null && /^\s/.test(line)) fields.set(last, `${fields.get(last) ?? ''} ${line.trim()}`)
  }
  return fields
}

function readOneLine(text: string): Candidate[] {
  const found: Candidate[] = []
  for (const line of text.split('\n')) {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+([^#]*)/.exec(line)
    if (match?.[2] === undefined || match[3] === undefined) continue
    const signed = /(?:^|\s)signed-by=(\S+)/.exec(match[1] ?? '')?.[1]
    found.push({ uris: [match[2]], suites: [match[3]], components: words(match[4]), signedBy: keyringOf(signed) })
  }
  return found
}

/** Only a keyring file can be named again; an embedded key or fingerprint falls back to the host's trusted keys. */
function keyringOf(value: string | undefined): string | null {
  const first = words(value)[0]
  return first?.startsWith('/') ? first : null
}

/** The sources as one deb822 file for the private apt root. */
export function writeSources(sources: readonly DebianSource[]): string {
  return sources
    .map((source) => {
      const signed = source.signedBy === null ? '' : `Signed-By: ${source.signedBy}\n`
      return `Types: deb\nURIs: ${source.uris.join(' ')}\nSuites: ${source.suites.join(' ')}\nComponents: main\n${signed}`
    })
    .join('\n')
}

/** The host's apt settings that say how to reach a mirror: proxies, retries, address family, clock. Nothing that weakens signatures is taken over. */
const TAKEN = /^Acquire::(?:(?:https?|ftp)::[A-Za-z0-9:._-]+|Check-Valid-Until|Check-Date|Retries|ForceIPv[46]|Queue-Mode)$/

/** Lines for the private apt.conf out of `apt-config dump`. */
export function takenSettings(dump: string): string[] {
  return dump.split('\n').filter((line) => {
    const match = /^(\S+) "([^"\\]*)";$/.exec(line)
    return match?.[1] !== undefined && match[2] !== '' && TAKEN.test(match[1]) && !/(?:Verify-|AllowRedirect|::Dl-Limit)/.test(match[1])
  })
}
