/** The keys of an installation, each certified by the one before it (FORMAT.md "Keys that follow each other"). */
import { join } from 'node:path'
import { readSmall } from './input.ts'
import { MAX_CHAIN, MAX_KEY } from './limits.ts'
import { type PublicKey, readKey, sha256, signedBy, splitNote } from './primitives.ts'
import { Tampered, Unreadable } from './verdict.ts'

export interface KeyChain {
  /** From the installation's first key to the one in force. */
  readonly keys: readonly PublicKey[]
  /** What key.pub holds: the last of them, except while a rotation is under way. */
  readonly current: PublicKey
  /** The notes of key.chain; one fewer than there are keys. */
  readonly certificates: readonly string[]
}

/** The id an installation has from its first key. */
export function installationOf(key: PublicKey): string {
  return sha256(Buffer.from('authority/installation/v1'), key.raw).toString('hex', 0, 16)
}

/** Throws Unreadable without key.pub, Tampered for anything that is not a chain from the first key to it. */
export function loadChain(folder: string): KeyChain {
  const file = join(folder, 'key.pub')
  const bytes = readSmall(file, MAX_KEY)
  if (!bytes) throw new Unreadable('the public key of the log is missing', file)
  const text = bytes.toString('utf8')
  const current = text.endsWith('\n') ? readKey(text.slice(0, -1)) : null
  if (!current) throw new Tampered('the public key of the log is not one', file)
  const { keys, certificates } = readChain(join(folder, 'key.chain'), current)
  if (keys[0] === undefined || `authority/${installationOf(keys[0])}` !== keys[0].name)
    throw new Tampered('the installation is not the one its key belongs to', file)
  if (!keys.some((key) => key.text === current.text)) throw new Tampered('key.pub is not in key.chain', file)
  return { keys, current, certificates }
}

function readChain(file: string, current: PublicKey): Pick<KeyChain, 'keys' | 'certificates'> {
  const bytes = readSmall(file, MAX_CHAIN)
  if (!bytes) return { keys: [current], certificates: [] }
  const certificates = splitNotes(bytes.toString('utf8'))
  const first = readKey(certificates?.[0]?.split('\n')[3] ?? '')
  if (!certificates || !first) throw new Tampered('it holds no certificates', file)
  const keys = [first]
  for (const [index, note] of certificates.entries()) {
    const next = certified(note, index + 1, keys[index] as PublicKey)
    if (!next) throw new Tampered(`certificate ${index + 1} is not genuine`, file)
    keys.push(next)
  }
  return { keys, certificates }
}

/** Each note is followed by an empty line; null when something is left over. */
function splitNotes(text: string): string[] | null {
  const notes: string[] = []
  for (let at = 0; at < text.length; ) {
    const gap = text.indexOf('\n\n', at)
    const end = gap < 0 ? -1 : text.indexOf('\n\n', gap + 2)
    if (end < 0) return null
    notes.push(text.slice(at, end + 1))
    at = end + 2
  }
  return notes
}

/** The key a certificate introduces: signed by the key before it, and by itself. */
function certified(note: string, number: number, old: PublicKey): PublicKey | null {
  const parts = splitNote(note)
  const [label, installation, ordinal, from, to, ...rest] = parts?.text.split('\n') ?? []
  const next = readKey(to ?? '')
  if (!parts || !next || rest.length !== 1 || next.name !== old.name) return null
  if (label !== 'authority/key-rotation/v1' || `authority/${installation}` !== old.name || ordinal !== String(number) || from !== old.text)
    return null
  return signedBy(parts, old) && signedBy(parts, next) ? next : null
}
