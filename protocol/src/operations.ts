import { MAX_CHUNK_BYTES, MAX_DEADLINE_MS, MAX_HOST_BYTES, MAX_PATH_BYTES, MAX_TOKEN_BYTES } from './limits.ts'
import { bytes, type Field, field as f, list, optional, text, tuple, uint } from './schema.ts'

export type { Field, FieldType } from './schema.ts'

/**
 * The one declaration of every operation. The gate's argument checks, both SDKs, SPEC.md's table and the vectors follow from it.
 * Arguments and results are positional; in a later generation fields may be appended, never changed.
 *
 * `class` says what one effect is (SPEC.md, "What one effect is"):
 *   change  a named change or opening: INTENT durable before, OUTCOME durable before the reply
 *   bytes   bytes on an open handle or stream: spends the lease its opening reserved
 *   look    looking: decided every time, counted, recorded coalesced without waiting
 *   control about the session itself: no effect on the world
 * `via` says who may send it: `session` (an SDK on a session), `fuse` and `init` (the gate's own translation of guest questions), `operator` (control.sock).
 */
export type EffectClassName = 'change' | 'bytes' | 'look' | 'control'
export type Via = 'session' | 'fuse' | 'init' | 'operator'

export interface OperationRow {
  readonly code: number
  readonly class: EffectClassName
  readonly via: readonly Via[]
  /** The permission policy and capability are asked for, or null for control. */
  readonly action: Action | null
  readonly args: readonly Field[]
  readonly result: readonly Field[]
  readonly doc: string
}

/** The sections of a policy and of a capability that can grant something. */
export type Action = 'fs.read' | 'fs.write' | 'net.dns' | 'net.connect' | 'net.listen' | 'tools' | 'infer'

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
const header = tuple(f('name', text(256), 'header name'), f('value', text(8192), 'header value'))

/** Bits of fs.open's `flags`. */
export const OPEN_FLAGS = { READ: 1, WRITE: 2, APPEND: 4, CREATE: 8, EXCLUSIVE: 16, TRUNCATE: 32 } as const
/** Bits of fs.rename's `flags`. */
export const RENAME_FLAGS = { NOREPLACE: 1, EXCHANGE: 2 } as const

type Rows = Record<string, OperationRow>
const S: readonly Via[] = ['session']
const SF: readonly Via[] = ['session', 'fuse']

export const OPERATIONS = {
  'session.ping': {
    code: 0x0001,
    class: 'control',
    via: S,
    action: null,
    args: [f('payload', bytes(1024), 'echoed')],
    result: [f('payload', bytes(1024), 'as sent')],
    doc: 'Proves the session answers; performs nothing.',
  },
  'cap.bind': {
    code: 0x0010,
    class: 'control',
    via: S,
    action: null,
    args: [f('token', text(MAX_TOKEN_BYTES), '`cap1_…`')],
    result: [f('handle', uint(0xffffffff), 'valid on this session only')],
    doc: 'Verifies a token once and exchanges it for a handle.',
  },
  'cap.release': {
    code: 0x0011,
    class: 'control',
    via: S,
    action: null,
    args: [f('handle', uint(0xffffffff), 'from cap.bind')],
    result: [],
    doc: 'Gives a handle up.',
  },
  'cap.self': {
    code: 0x0012,
    class: 'control',
    via: S,
    action: null,
    args: [],
    result: [f('token', text(MAX_TOKEN_BYTES), 'an open token of the run, to attenuate offline')],
    doc: 'The run capability this session acts under, as a token bound to the run.',
  },
  'budget.status': {
    code: 0x0020,
    class: 'control',
    via: S,
    action: null,
    args: [],
    result: [
      f(
        'rows',
        list(
          tuple(
            f('account', text(128), 'account name'),
            f('dimension', text(32), 'e.g. `calls`, `bytes`'),
            f('limit', optional(uint()), 'in the unit of the dimension; null is unlimited'),
            f('captured', uint(), 'spent'),
            f('reserved', uint(), 'held for effects under way'),
          ),
          256,
        ),
        'one row per account and dimension',
      ),
    ],
    doc: 'What is left of each budget this session is charged to.',
  },

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
    action: 'fs.read',
    args: [path],
    result: stat,
    doc: 'Attributes of what the path names; a final symlink is not followed. Readable or writable is enough.',
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
    action: 'fs.read',
    args: [path],
    result: [f('target', PATH, 'text of the link')],
    doc: 'Reads a symbolic link.',
  },
  'fs.fsyncdir': {
    code: 0x0111,
    class: 'bytes',
    via: SF,
    action: null,
    args: [path],
    result: [],
    doc: 'Returns when the host has the directory’s names on stable storage.',
  },

  'net.dns': {
    code: 0x0200,
    class: 'look',
    via: ['session', 'init'],
    action: 'net.dns',
    args: [f('name', text(MAX_HOST_BYTES), 'host name')],
    result: [f('addresses', list(text(45), 16), 'synthetic addresses that stand for the name')],
    doc: 'Resolves a name some rule could allow; others do not exist, and no query leaves.',
  },
  'net.connect': {
    code: 0x0201,
    class: 'change',
    via: ['session', 'init'],
    action: 'net.connect',
    args: [f('host', text(MAX_HOST_BYTES), 'name or address'), f('port', uint(65535), 'TCP port')],
    result: [f('stream', uint(0xffffffff), 'byte stream on this session'), f('address', text(64), 'the pinned address that was dialled')],
    doc: 'Opens a TCP connection to a vetted, pinned address.',
  },
  'net.fetch': {
    code: 0x0202,
    class: 'change',
    via: S,
    action: 'net.connect',
    args: [
      f('method', text(16), 'HTTP method'),
      f('url', text(8192), 'http or https'),
      f('headers', list(header, 128), 'request headers'),
      f('body', optional(bytes(512 * 1024)), 'request body'),
      f('max_bytes', uint(), 'response body bytes at most; 0 is the gate’s own cap'),
      f('timeout_ms', uint(MAX_DEADLINE_MS), 'ms for the whole exchange; 0 is the gate’s own cap'),
      f('redirects', uint(10), 'redirects followed at most, each decided again'),
    ],
    result: [
      f('status', uint(999), 'HTTP status'),
      f('url', text(8192), 'where the answer came from'),
      f('headers', list(header, 256), 'response headers'),
      f('stream', uint(0xffffffff), 'the response body'),
    ],
    doc: 'HTTP(S) by the gate.',
  },
  'net.listen': {
    code: 0x0203,
    class: 'change',
    via: S,
    action: 'net.listen',
    args: [f('port', uint(65535), 'guest port')],
    result: [f('address', text(64), 'host address')],
    doc: 'Publishes a guest port.',
  },

  'tool.call': {
    code: 0x0300,
    class: 'change',
    via: S,
    action: 'tools',
    args: [f('name', text(256), 'tool'), f('arguments', bytes(512 * 1024), 'opaque')],
    result: [f('result', bytes(512 * 1024), 'opaque')],
    doc: 'Calls a tool.',
  },
  'tool.list': {
    code: 0x0301,
    class: 'look',
    via: S,
    action: 'tools',
    args: [],
    result: [f('names', list(text(256), 1024), 'tools')],
    doc: 'Lists the tools some rule allows.',
  },
  'infer.chat': {
    code: 0x0400,
    class: 'change',
    via: S,
    action: 'infer',
    args: [f('model', text(256), 'model'), f('body', bytes(512 * 1024), 'request in the caller’s dialect')],
    result: [f('status', uint(999), 'HTTP status'), f('stream', uint(0xffffffff), 'the answer')],
    doc: 'Asks a model.',
  },
  'infer.models': {
    code: 0x0401,
    class: 'look',
    via: S,
    action: 'infer',
    args: [],
    result: [f('names', list(text(256), 1024), 'models')],
    doc: 'Lists the models some rule allows.',
  },
  'state.get': {
    code: 0x0500,
    class: 'look',
    via: S,
    action: null,
    args: [f('key', text(1024), 'key')],
    result: [f('value', optional(bytes(512 * 1024)), 'opaque')],
    doc: 'Reads saved state.',
  },
  'state.put': {
    code: 0x0501,
    class: 'change',
    via: S,
    action: null,
    args: [f('key', text(1024), 'key'), f('value', bytes(512 * 1024), 'opaque')],
    result: [],
    doc: 'Writes saved state.',
  },
  'agent.spawn': {
    code: 0x0600,
    class: 'change',
    via: S,
    action: null,
    args: [f('image', text(256), 'image'), f('arguments', bytes(64 * 1024), 'opaque')],
    result: [f('run', text(64), 'run id')],
    doc: 'Starts a child run in its own VM.',
  },

  'image.open': {
    code: 0x0700,
    class: 'look',
    via: ['init'],
    action: 'fs.read',
    args: [path, f('exec', { kind: 'bool' }, 'opened to be executed')],
    result: [],
    doc: 'First opening of an image file (fanotify); guest-claimed.',
  },
  'scratch.mount': {
    code: 0x0701,
    class: 'look',
    via: ['init'],
    action: 'fs.write',
    args: [path],
    result: [],
    doc: 'A scratch file system in the guest; guest-claimed.',
  },

  'run.status': {
    code: 0x0800,
    class: 'control',
    via: ['operator'],
    action: null,
    args: [],
    result: [f('json', text(65536), 'status of the run as JSON')],
    doc: 'What the run is doing.',
  },
  'run.stop': {
    code: 0x0801,
    class: 'control',
    via: ['operator'],
    action: null,
    args: [f('reason', text(256), 'recorded')],
    result: [],
    doc: 'Stops the VM and seals the log.',
  },
  'cap.revoke': {
    code: 0x0802,
    class: 'control',
    via: ['operator'],
    action: null,
    args: [f('block', bytes(16), 'block id')],
    result: [],
    doc: 'Revokes a block and all its descendants; durable before the reply.',
  },
} as const satisfies Rows

export type OperationName = keyof typeof OPERATIONS

const BY_CODE: ReadonlyMap<number, OperationName> = new Map(
  (Object.entries(OPERATIONS) as [OperationName, OperationRow][]).map(([name, row]) => [row.code, name]),
)

/** The operation of a wire number, or undefined when this build does not know it. */
export function operationOf(code: number): OperationName | undefined {
  return BY_CODE.get(code)
}

/** The row with its general type, for code that walks the table. */
export function operationRow(name: OperationName): OperationRow {
  return OPERATIONS[name]
}
