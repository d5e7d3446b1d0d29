import { rootCertificates } from 'node:tls'
import { type Entry, fileEntry, symlinkEntry } from '../entries.ts'

/** Where Debian's programs, and most others (Go's, Rust's), look for it. */
const BUNDLE = '/etc/ssl/certs/ca-certificates.crt'
/** Where OpenSSL's own default, musl distributions, and Fedora's programs look. */
const OTHER_NAMES = ['/usr/lib/ssl/cert.pem', '/etc/ssl/cert.pem', '/etc/pki/tls/certs/ca-bundle.crt'] as const

/**
 * The certificate authorities every image knows: Mozilla's list as this build's runtime carries it, whatever this machine trusts, so that a program finds
 * them without a variable and images do not differ between machines. A layer with a bundle of its own (Debian's ca-certificates) replaces it.
 */
export function* authorityEntries(): Generator<Entry> {
  yield fileEntry(BUNDLE, `${rootCertificates.map((certificate) => certificate.trim()).join('\n')}\n`)
  for (const name of OTHER_NAMES) yield symlinkEntry(name, BUNDLE)
}
