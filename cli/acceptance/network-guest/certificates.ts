/** Certificate authorities of the tests, fresh each time; as strict as Python 3.13 wants them (RFC 5280: key usage, key identifiers). */
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Authority {
  /** Its own certificate. */
  readonly pem: string
  /** A certificate for these names. */
  issue(...names: readonly string[]): { readonly key: Buffer; readonly cert: Buffer }
}

const CURVE = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

/** `name` tells the files of one authority from those of another in `folder`. */
export function newAuthority(folder: string, name: string): Authority {
  const at = (file: string): string => join(folder, `${name}-${file}`)
  const uses = ['-addext', 'keyUsage=critical,keyCertSign,cRLSign']
  openssl('req', '-x509', ...CURVE, ...uses, '-keyout', at('ca.key'), '-out', at('ca.pem'), '-days', '2', '-subj', `/CN=${name} of tests`)
  return {
    pem: readFileSync(at('ca.pem'), 'utf8'),
    issue: (...names) => {
      openssl('req', ...CURVE, '-keyout', at('server.key'), '-out', at('server.csr'), '-subj', `/CN=${names[0]}`)
      const alternatives = names.map((each) => `DNS:${each}`).join(',')
      writeFileSync(at('names'), `subjectAltName=${alternatives}\nauthorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n`)
      const signer = ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial', '-extfile', at('names')]
      openssl('x509', '-req', '-in', at('server.csr'), '-out', at('server.pem'), '-days', '2', ...signer)
      return { key: readFileSync(at('server.key')), cert: readFileSync(at('server.pem')) }
    },
  }
}

function openssl(...args: string[]): void {
  const run = spawnSync('openssl', args, { encoding: 'utf8' })
  if (run.status !== 0) throw new Error(`openssl ${args[0]}: ${run.stderr}`)
}
