/** Cosignatures of witnesses (c2sp.org/tlog-cosignature, Ed25519): someone else saw this checkpoint, at this time, and none that contradicts it. */
import { createPublicKey, verify } from 'node:crypto'
import { MAX_KEY } from './limits.ts'
import { sha256, splitNote, strictBase64 } from './primitives.ts'

const TYPE = 4

export interface Witness {
  readonly name: string
  /** Whether the bytes of a signature line are this witness's over the text. */
  readonly cosigned: (text: string, line: string) => boolean
}

/** `name+hash+base64(0x04 ‖ Ed25519 key)`; null when it is not exactly that. */
export function readWitness(text: string): Witness | null {
  const match = text.length > MAX_KEY ? null : /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]{43}[=A-Za-z0-9+/])$/u.exec(text)
  const [, name, hash, encoded] = match ?? []
  const typed = strictBase64(encoded ?? '')
  if (name === undefined || typed?.length !== 33 || typed[0] !== TYPE) return null
  const id = sha256(Buffer.from(name), Buffer.of(10), typed).subarray(0, 4)
  if (id.toString('hex') !== hash) return null
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: typed.subarray(1).toString('base64url') }, format: 'jwk' })
  const prefix = `\u2014 ${name} `
  const cosigned = (body: string, line: string): boolean => {
    // key id 4, time u64, signature 64
    const bytes = line.startsWith(prefix) ? strictBase64(line.slice(prefix.length)) : null
    if (bytes?.length !== 76 || !bytes.subarray(0, 4).equals(id)) return false
    return verify(null, Buffer.from(`cosignature/v1\ntime ${bytes.readBigUInt64BE(4)}\n${body}`), key, bytes.subarray(12))
  }
  return { name, cosigned }
}

export function cosignedBy(note: string, witness: Witness): boolean {
  const parts = splitNote(note)
  return parts?.signatures.some((line) => witness.cosigned(parts.text, line)) ?? false
}
