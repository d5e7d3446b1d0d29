import { X509Certificate } from 'node:crypto'
import { ConfigError } from './errors.ts'
import { MAX_AUTHORITIES, MAX_AUTHORITY_BYTES } from './limits.ts'

const BLOCK = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g

/** `--ca` and `Ca`: the certificates of a PEM file, each by itself; whatever else stands in it is passed over, as it is elsewhere. Throws ConfigError. */
export function parseAuthorities(bytes: Uint8Array, file: string): readonly string[] {
  if (bytes.length > MAX_AUTHORITY_BYTES)
    throw new ConfigError(undefined, `${file} is larger than ${MAX_AUTHORITY_BYTES} bytes`, 'name a file with the authorities you mean')
  const blocks = new TextDecoder('latin1').decode(bytes).match(BLOCK) ?? []
  if (blocks.length === 0)
    throw new ConfigError(undefined, `${file} holds no certificate`, 'it is a PEM file: -----BEGIN CERTIFICATE----- and what follows')
  if (blocks.length > MAX_AUTHORITIES)
    throw new ConfigError(undefined, `${file} holds ${blocks.length} certificates`, `${MAX_AUTHORITIES} at most`)
  return blocks.map((pem, index) => {
    try {
      return new X509Certificate(pem).toString()
    } catch {
      throw new ConfigError(
        undefined,
        `certificate ${index + 1} of ${file} cannot be read`,
        'check the file: `openssl x509 -in FILE -text`',
      )
    }
  })
}
