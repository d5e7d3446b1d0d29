/** A witness of tests, made from c2sp.org/tlog-cosignature alone: it shares nothing with the verifier. */
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'

/** POSIX seconds at which it saw every checkpoint. */
export const SEEN = 1_700_000_123n

export class TestWitness {
  readonly name: string
  readonly #secret: KeyObject
  readonly #typedKey: Buffer

  constructor(name: string, type = 4) {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519')
    this.name = name
    this.#secret = privateKey
    this.#typedKey = Buffer.concat([Buffer.of(type), Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url')])
  }

  get keyId(): Buffer {
    return createHash('sha256').update(`${this.name}\n`).update(this.#typedKey).digest().subarray(0, 4)
  }

  /** What `--witness` takes. */
  get key(): string {
    return `${this.name}+${this.keyId.toString('hex')}+${this.#typedKey.toString('base64')}`
  }

  /** The line that cosigns the text of `note`; `claimed` is the time written beside the signature, `header` what is signed before it. */
  line(note: string, { claimed = SEEN, header = 'cosignature/v1', keyId = this.keyId } = {}): string {
    const body = note.slice(0, note.indexOf('\n\n') + 1)
    const signature = sign(null, Buffer.from(`${header}\ntime ${SEEN}\n${body}`), this.#secret)
    const time = Buffer.alloc(8)
    time.writeBigUInt64BE(claimed)
    return `\u2014 ${this.name} ${Buffer.concat([keyId, time, signature]).toString('base64')}\n`
  }
}
