import { MAX_CHUNK_BYTES, MAX_PATH_BYTES } from '../limits.ts'
import { bytes, type Field, field as f, list, optional, text, tuple, uint } from '../schema.ts'
import type { OperationRows, Via } from './row.ts'

/** Bits of fs.open's `flags`. */
export const OPEN_FLAGS = { READ: 1, WRITE: 2, APPEND: 4, CREATE: 8, EXCLUSIVE: 16, TRUNCATE: 32 } as const
/** Bits of fs.rename's `flags`. */
export const RENAME_FLAGS = { NOREPLACE: 1, EXCHANGE: 2 } as const

const S: readonly Via[] = ['session']
const SF: readonly Via[] = ['session', 'fuse']
const PATH = text(MAX_PATH_BYTES)
const path = f('path', PATH, 'absolute path as the agent sees it')
const file = f('file', uint(0xffffffff), 'handle from fs.open, valid on this session only')
const mode = f('mode', uint(0o7777), 'permission bits')
const stat: Field[] = [
  f('kind', text(16), '`file`, `directory`, `symlink` or `other`'),
  f('size', uint(), 'bytes'),
  f('mode', uint(0o7777), 'permission bits'),
  f('mtime_us', uint(), 'µs since the epoch'),
  f('nlink', uint(), 'hard links'),
]

/** Files on host mounts. */
export const FS_OPERATIONS = {
  'fs.open': {
    code: 0x0100,
    class: 'change',
    via: SF,
    action: 'fs.read',
    args: [path, f('flags', uint(63), 'READ 1, WRITE 2, APPEND 4, CREATE 8, EXCLUSIVE 16, TRUNCATE 32'), mode],
    result: [file, f('size', uint(), 'bytes')],
    doc: 'Opens or creates a regular file. Asks fs.read for READ, fs.write for all else.',
  },
  'fs.read': {
    code: 0x0101,
    class: 'bytes',
    via: S,
    action: null,
    args: [file, f('offset', uint(), 'bytes'), f('length', uint(MAX_CHUNK_BYTES), 'bytes')],
    result: [f('data', bytes(MAX_CHUNK_BYTES), 'shorter at the end of the file, empty past it')],
    doc: 'Reads from an open file.',
  },
  'fs.write': {
    code: 0x0102,
    class: 'bytes',
    via: S,
    action: null,
    args: [file, f('offset', uint(), 'bytes; ignored with APPEND'), f('data', bytes(MAX_CHUNK_BYTES), 'what to write')],
    result: [f('written', uint(), 'bytes')],
    doc: 'Writes to an open file.',
  },
  'fs.fsync': {
    code: 0x0103,
    class: 'bytes',
    via: S,
    action: null,
    args: [file],
    result: [],
    doc: 'Returns when the host has the file on stable storage.',
  },
  'fs.close': {
    code: 0x0104,
    class: 'bytes',
    via: SF,
    action: null,
    args: [file],
    result: [],
    doc: 'Closes; totals and digest are recorded durably before the reply.',
  },
  'fs.stat': {
    code: 0x0105,
    class: 'look',
    via: SF,
    action: 'fs.look',
    args: [path],
    result: stat,
    doc: 'Attributes of what the path names; a final symlink is not followed. What may be read or changed may be looked at.',
  },
  'fs.readdir': {
    code: 0x0106,
    class: 'look',
    via: SF,
    action: 'fs.read',
    args: [path, f('cursor', uint(), '0 at first, then as returned'), f('max', uint(4096), 'entries')],
    result: [
      f('entries', list(tuple(f('name', text(255), 'one component'), f('kind', text(16), 'as fs.stat')), 4096), 'in no order'),
      f('next', uint(), '0 when done'),
    ],
    doc: 'Names in a directory.',
  },
  'fs.mkdir': { code: 0x0107, class: 'change', via: SF, action: 'fs.write', args: [path, mode], result: [], doc: 'Makes a directory.' },
  'fs.rmdir': { code: 0x0108, class: 'change', via: SF, action: 'fs.write', args: [path], result: [], doc: 'Removes an empty directory.' },
  'fs.unlink': { code: 0x0109, class: 'change', via: SF, action: 'fs.write', args: [path], result: [], doc: 'Removes a name.' },
  'fs.rename': {
    code: 0x010a,
    class: 'change',
    via: SF,
    action: 'fs.write',
    args: [
      f('from', PATH, 'absolute path'),
      f('to', PATH, 'absolute path on the same mount'),
      f('flags', uint(3), 'NOREPLACE 1, EXCHANGE 2'),
    ],
    result: [],
    doc: 'Renames atomically; both ends are decided.',
  },
  'fs.truncate': {
    code: 0x010b,
    class: 'change',
    via: SF,
    action: 'fs.write',
    args: [path, f('size', uint(), 'bytes')],
    result: [],
    doc: 'Sets a file’s length.',
  },
  'fs.chmod': {
    code: 0x010c,
    class: 'change',
    via: SF,
    action: 'fs.write',
    args: [path, mode],
    result: [],
    doc: 'Sets permission bits; setuid, setgid and sticky on files are always denied.',
  },
  'fs.utimens': {
    code: 0x010d,
    class: 'change',
    via: SF,
    action: 'fs.write',
    args: [
      path,
      f('atime_us', optional(uint()), 'µs since the epoch; null leaves it'),
      f('mtime_us', optional(uint()), 'µs since the epoch; null leaves it'),
    ],
    result: [],
    doc: 'Sets times.',
  },
  'fs.symlink': {
    code: 0x010e,
    class: 'change',
    via: SF,
    action: 'fs.write',
    args: [path, f('target', PATH, 'text of the link')],
    result: [],
    doc: 'Makes a symbolic link.',
  },
  'fs.link': {
    code: 0x010f,
    class: 'change',
    via: SF,
    action: 'fs.write',
    args: [f('from', PATH, 'existing file'), f('to', PATH, 'new name')],
    result: [],
    doc: 'Makes a hard link; both ends are decided.',
  },
  'fs.readlink': {
    code: 0x0110,
    class: 'look',
    via: SF,
    action: 'fs.look',
    args: [path],
    result: [f('target', PATH, 'text of the link')],
    doc: 'Reads a symbolic link.',
  },
  'fs.fsyncdir': {
    code: 0x0111,
    class: 'look',
    via: SF,
    action: 'fs.look',
    args: [path],
    result: [],
    doc: 'Returns when the host has the directory’s names on stable storage. Decided like a look: the answer tells that the directory exists.',
  },
} as const satisfies OperationRows
