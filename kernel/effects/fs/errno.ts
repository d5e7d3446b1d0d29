import { AuthorityError, type ErrorCode } from '@authority/protocol'

/** Linux error numbers (asm-generic; the same on x86_64 and aarch64) the file effects meet or answer. */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ENOTTY: 25,
  ETXTBSY: 26,
  EFBIG: 27,
  ENOSPC: 28,
  ESPIPE: 29,
  EROFS: 30,
  EMLINK: 31,
  ERANGE: 34,
  ENAMETOOLONG: 36,
  ENOLCK: 37,
  ENOSYS: 38,
  ENOTEMPTY: 39,
  ELOOP: 40,
  ENODATA: 61,
  EPROTO: 71,
  EOVERFLOW: 75,
  EILSEQ: 84,
  EMSGSIZE: 90,
  EOPNOTSUPP: 95,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  ESTALE: 116,
  EDQUOT: 122,
  ECANCELED: 125,
} as const

export type ErrnoName = keyof typeof ERRNO

const NAMES: ReadonlyMap<number, ErrnoName> = new Map(
  (Object.entries(ERRNO) as [ErrnoName, number][]).map(([name, number]) => [number, name]),
)

/** The name of an errno, EIO for those not in the table. */
export function errnoName(number: number): ErrnoName {
  return NAMES.get(number) ?? 'EIO'
}

/** The number of an errno name, EIO's for those not in the table. */
export function errnoNumber(name: string): number {
  return Object.hasOwn(ERRNO, name) ? ERRNO[name as ErrnoName] : ERRNO.EIO
}

const CODES: Readonly<Partial<Record<ErrnoName, ErrorCode>>> = {
  ENOENT: 'E_NOT_FOUND',
  ESTALE: 'E_NOT_FOUND',
  EEXIST: 'E_EXISTS',
  ENOTDIR: 'E_CONFLICT',
  EISDIR: 'E_CONFLICT',
  ENOTEMPTY: 'E_CONFLICT',
  EINVAL: 'E_CONFLICT',
  ELOOP: 'E_CONFLICT',
  ENAMETOOLONG: 'E_CONFLICT',
  EBUSY: 'E_CONFLICT',
  EXDEV: 'E_CONFLICT',
  ETXTBSY: 'E_CONFLICT',
  EAGAIN: 'E_CONFLICT',
  EILSEQ: 'E_CONFLICT',
  EBADF: 'E_CONFLICT',
  EOPNOTSUPP: 'E_UNSUPPORTED',
  ENOSYS: 'E_UNSUPPORTED',
  EMFILE: 'E_RATE_LIMIT',
  ENFILE: 'E_RATE_LIMIT',
  ETIMEDOUT: 'E_TIMEOUT',
}

const SENTENCES: Readonly<Partial<Record<ErrnoName, string>>> = {
  ENOENT: 'no such file or directory',
  ESTALE: 'the file is gone',
  EEXIST: 'it exists already',
  ENOTDIR: 'not a directory',
  EISDIR: 'it is a directory',
  ENOTEMPTY: 'the directory is not empty',
  EINVAL: 'the host finds an argument invalid',
  ENAMETOOLONG: 'the name is too long',
  EBUSY: 'it is in use',
  ETXTBSY: 'it is being executed',
  EACCES: 'the host denies access to the gate',
  EPERM: 'the host does not permit it',
  EROFS: 'the file system is read-only',
  ENOSPC: 'no space left on the host',
  EDQUOT: 'the host’s disk quota is used up',
  EFBIG: 'the file would become too large',
  EMFILE: 'the gate has too many files open',
  ENFILE: 'too many files open',
  EAGAIN: 'it changed while it was looked at',
  EILSEQ: 'a name is not valid UTF-8',
  EOPNOTSUPP: 'the host’s file system cannot do this',
  ELOOP: 'a symbolic link stands on the way',
  EMLINK: 'too many hard links',
  EBADF: 'the handle is not open for this',
}

/**
 * What the agent sees of a failed system call: the closed code, the errno, and its own name of the object; never a host path.
 * @param place the guest path as the agent named it
 */
export function hostError(errno: string, place: string, hint?: string): AuthorityError {
  const name: ErrnoName = Object.hasOwn(ERRNO, errno) ? (errno as ErrnoName) : 'EIO'
  const sentence = SENTENCES[name] ?? `the host answered ${name}`
  return new AuthorityError(CODES[name] ?? 'E_IO', `${place}: ${sentence}`, { errno: name, ...(hint === undefined ? {} : { hint }) })
}

/** A fence that no rule lifts: refused before anything happened. */
export function refused(place: string, why: string, hint: string, errno: ErrnoName = 'EACCES'): AuthorityError {
  return new AuthorityError('E_POLICY_DENY', `${place}: ${why}`, { errno, hint })
}
