/** C2SP signed notes with Ed25519 keys: checkpoints, byte for byte as other tools read them (c2sp.org/signed-note, c2sp.org/tlog-checkpoint). */
import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto'
import { sameBytes, sha256, toBase64, toHex } from './hash.ts'
import { MAX_NOTE_BYTES } from './limits.ts'

const ED25519 = 0x01
/** Anybody's. */
const SIGNATURE = /^— [^ +]+ [A-Za-z0-9+/]+={0,2}\n$/u
/** DER around a raw Ed25519 seed and public key (RFC 8410). */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex')
const SPKI = Buffer.from('302a300506032b6570032100', 'hex')

export interface NoteSigner {
  readonly name: string
  /** `name+hash+base64(0x01 ‖ public key)`: what a verifier pins. */
  readonly verifierKey: string
  /** Signature line of a text that ends in a newline, with its own newline. */
  signature(text: string): string
}

export interface NoteVerifier {
  readonly name: string
  readonly publicKey: Uint8Array
  check(text: string, signatureLine: string): boolean
}

/** First four bytes of SHA-256(name ‖ 0x0A ‖ 0x01 ‖ public key). */
function keyHash(name: string, publicKey: Uint8Array): Uint8Array {
  return sha256(Buffer.concat([Buffer.from(`${name}\n`), Buffer.of(ED25519), publicKey])).subarray(0, 4)
}

export function publicKeyOf(seed: Uint8Array): Uint8Array {
  const key = createPublicKey(createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: 'der', type: 'pkcs8' }))
  return new Uint8Array(key.export({ format: 'der', type: 'spki' }).subarray(SPKI.length))
}

function keyText(name: string, publicKey: Uint8Array, material: Uint8Array): string {
  return `${name}+${toHex(keyHash(name, publicKey))}+${toBase64(Buffer.concat([Buffer.of(ED25519), material]))}`
}

/** `PRIVATE+KEY+name+hash+base64(0x01 ‖ seed)`, as Go's note package writes it. */
export function signerText(name: string, seed: Uint8Array): string {
  return `PRIVATE+KEY+${keyText(name, publicKeyOf(seed), seed)}`
}

/** Throws RangeError. */
export function parseSigner(text: string): NoteSigner {
  if (!text.startsWith('PRIVATE+KEY+')) throw new RangeError('it is not a private note key')
  const { name, hash, material: seed } = parseKey(text.slice('PRIVATE+KEY+'.length))
  const publicKey = publicKeyOf(seed)
  if (!sameBytes(hash, keyHash(name, publicKey))) throw new RangeError('the hash in the key is not that of the key')
  const key = createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: 'der', type: 'pkcs8' })
  return {
    name,
    verifierKey: keyText(name, publicKey, publicKey),
    signature: (body) => `— ${name} ${toBase64(Buffer.concat([hash, sign(null, Buffer.from(body), key)]))}\n`,
  }
}

/** Throws RangeError. */
export function parseVerifier(text: string): NoteVerifier {
  const { name, hash, material: publicKey } = parseKey(text)
  if (!sameBytes(hash, keyHash(name, publicKey))) throw new RangeError('the hash in the key is not that of the key')
  const key = createPublicKey({ key: Buffer.concat([SPKI, publicKey]), format: 'der', type: 'spki' })
  return {
    name,
    publicKey,
    check: (body, line) => {
      const encoded = line.startsWith(`— ${name} `) && line.endsWith('\n') ? line.slice(name.length + 3, -1) : ''
      const bytes = Buffer.from(encoded, 'base64')
      if (bytes.length !== 68 || toBase64(bytes) !== encoded || !sameBytes(bytes.subarray(0, 4), hash)) return false
      return verify(null, Buffer.from(body), key, bytes.subarray(4))
    },
  }
}

function parseKey(text: string): { name: string; hash: Uint8Array; material: Uint8Array } {
  const [name, hash, encoded, ...rest] = splitKey(text)
  const bytes = Buffer.from(encoded ?? '', 'base64')
  if (
    !name ||
    !/^[^\s+]+$/u.test(name) ||
    !hash ||
    !/^[0-9a-f]{8}$/.test(hash) ||
    rest.length > 0 ||
    bytes.length !== 33 ||
    bytes[0] !== ED25519 ||
    toBase64(bytes) !== encoded
  )
    throw new RangeError('it is not an Ed25519 note key')
  return { name, hash: new Uint8Array(Buffer.from(hash, 'hex')), material: new Uint8Array(bytes.subarray(1)) }
}

/** Base64 may hold `+` too: only the first two separate. */
function splitKey(text: string): string[] {
  const a = text.indexOf('+')
  const b = text.indexOf('+', a + 1)
  return a < 0 || b < 0 ? [] : [text.slice(0, a), text.slice(a + 1, b), text.slice(b + 1)]
}

export interface Checkpoint {
  readonly origin: string
  readonly size: number
  readonly root: Uint8Array
}

/** `origin\nsize\nroot\n`: what is signed. */
export function checkpointText(checkpoint: Checkpoint): string {
  return `${checkpoint.origin}\n${checkpoint.size}\n${toBase64(checkpoint.root)}\n`
}

/** The whole signed note. */
export function signCheckpoint(checkpoint: Checkpoint, signer: NoteSigner): string {
  const text = checkpointText(checkpoint)
  return `${text}\n${signer.signature(text)}`
}

/** Throws RangeError when it is not a checkpoint signed by this key. */
export function openCheckpoint(note: string, verifier: NoteVerifier): Checkpoint {
  if (note.length > MAX_NOTE_BYTES) throw new RangeError('the note is too long')
  const gap = note.indexOf('\n\n')
  const text = note.slice(0, gap + 1)
  const lines = note
    .slice(gap + 2)
    .split(/(?<=\n)/u)
    .filter((line) => line !== '')
  if (gap < 0 || !lines.every((line) => SIGNATURE.test(line))) throw new RangeError('it is not a signed note')
  if (!lines.some((line) => verifier.check(text, line))) throw new RangeError(`no signature of ${verifier.name} in the note`)
  const [origin, size, root] = text.split('\n')
  const bytes = Buffer.from(root ?? '', 'base64')
  if (!origin || !size || !/^(0|[1-9]\d{0,15})$/.test(size) || bytes.length !== 32 || toBase64(bytes) !== root)
    throw new RangeError('the note is not a checkpoint')
  return { origin, size: Number(size), root: new Uint8Array(bytes) }
}
