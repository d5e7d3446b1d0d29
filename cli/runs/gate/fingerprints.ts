import { X509Certificate } from 'node:crypto'

/** SHA-256 of each certificate, as other tools show it but for the colons: for people and records. */
export function fingerprints(authorities: readonly string[]): string[] {
  return authorities.map((pem) => new X509Certificate(pem).fingerprint256.replaceAll(':', '').toLowerCase())
}
