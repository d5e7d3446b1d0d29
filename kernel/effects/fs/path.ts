import { AuthorityError, MAX_NAME_BYTES, MAX_PATH_BYTES } from '@authority/protocol'
import type { ErrnoName } from './errno.ts'

/** A guest path the agent asked for, checked for form only. */
export interface GuestPath {
  /** As the agent wrote it. */
  readonly text: string
  /** Components without empty ones and `.`, with `..` as written: where they lead is the host's to say. */
  readonly parts: readonly string[]
  /**
   * The path with `..` taken away as text, which is what the words of the request mean to a reader of the policy. It must be allowed too, but never
   * decides alone: the object that is opened does.
   */
  readonly object: string
  /** Every directory that a `..` steps back out of: whether it exists must not be learned by walking through it. */
  readonly crossed: readonly string[]
  /** Written with a slash at the end: a directory is meant. */
  readonly directory: boolean
}

/**
 * Absolute, well-formed Unicode, no NUL or control byte, ≤ 4096 bytes, components ≤ 255 bytes. No percent-decoding.
 * Throws AuthorityError E_CONFLICT with the errno a system call would give.
 */
export function parseGuestPath(text: string): GuestPath {
  if (!text.startsWith('/')) throw malformed(text, 'a path must be absolute', 'EINVAL')
  if (!text.isWellFormed()) throw malformed(text, 'a path must be valid UTF-8', 'EILSEQ')
  if (hasControl(text)) throw malformed(text, 'a path must not hold NUL or control characters', 'EINVAL')
  if (Buffer.byteLength(text) >= MAX_PATH_BYTES) throw malformed(text, `a path is shorter than ${MAX_PATH_BYTES} bytes`, 'ENAMETOOLONG')
  const parts = text.split('/').filter((part) => part !== '' && part !== '.')
  const kept: string[] = []
  const crossed = new Set<string>()
  for (const part of parts) {
    if (Buffer.byteLength(part) > MAX_NAME_BYTES)
      throw malformed(text, `a name in a path has at most ${MAX_NAME_BYTES} bytes`, 'ENAMETOOLONG')
    if (part === '..') {
      if (kept.length > 0) crossed.add(`/${kept.join('/')}`)
      kept.pop()
    } else kept.push(part)
  }
  return { text, parts, object: `/${kept.join('/')}`, crossed: [...crossed], directory: /\/\.{0,2}$/.test(text) }
}

/** One component a guest names in a directory. Throws AuthorityError E_CONFLICT. */
export function checkName(name: string, place: string): void {
  const shown = `${place}/${name}`
  if (name === '' || name === '.' || name === '..' || name.includes('/')) throw malformed(shown, 'not the name of an entry', 'EINVAL')
  if (!name.isWellFormed()) throw malformed(shown, 'a name must be valid UTF-8', 'EILSEQ')
  if (hasControl(name)) throw malformed(shown, 'a name must not hold NUL or control characters', 'EINVAL')
  if (Buffer.byteLength(name) > MAX_NAME_BYTES) throw malformed(shown, `a name has at most ${MAX_NAME_BYTES} bytes`, 'ENAMETOOLONG')
}

/** Whether a host's name can be shown to the agent: what no request can name is not listed either. */
export function isNameable(name: string): boolean {
  return !hasControl(name)
}

/** `/a` + `b` → `/a/b`; `/` + `b` → `/b`. */
export function join(directory: string, name: string): string {
  return directory === '/' ? `/${name}` : `${directory}/${name}`
}

/** Whether `path` is `root` or below it. Both canonical. */
export function isWithin(path: string, root: string): boolean {
  return root === '/' || path === root || path.startsWith(`${root}/`)
}

function hasControl(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x20 || unit === 0x7f) return true
  }
  return false
}

function malformed(text: string, why: string, errno: ErrnoName): AuthorityError {
  const shown = JSON.stringify(text.length > 128 ? `${text.slice(0, 128)}…` : text)
  return new AuthorityError('E_CONFLICT', `${shown}: ${why}`, { errno, hint: 'Name the file by its plain absolute path in the guest.' })
}
