/** What a hostile guest kernel can say on the FUSE link, message by message. */
import { fields, OPCODE, type Script } from './script.ts'

/** What the answer must be: a refusal, or one that gives away nothing (a name that leads nowhere). */
export type Expected = 'refused' | 'absent' | 'unsupported'
export interface Attack {
  readonly what: string
  readonly unique: bigint
  readonly expected: Expected
}

const DATA = 1
const OUT = 2
const ROOT = 1
const HUGE = 0xffff_ffff
const MAX_U64 = 0xffff_ffff_ffff_ffffn
const text = (name: string | Uint8Array): Uint8Array => (typeof name === 'string' ? fields(name) : Buffer.concat([name, Buffer.from([0])]))

/** Nodes and handles as the server numbers them: in order, from 2 and from 1. */
export const NODE = { read: 2, linkFile: 3, linkFolder: 4, linkAbsolute: 5, linkProc: 6, linkDenied: 7, big: 8 } as const
const MINE = 2
const HANDLE = 1

/** Honest beginnings: both mounts, some nodes, the granted file open. Answers the unique numbers whose answers must succeed. */
export function prepareNodes(script: Script): { nodes: bigint[]; granted: bigint } {
  script.mount(DATA).mount(OUT)
  const names = ['read.txt', 'link-file', 'link-folder', 'link-absolute', 'link-proc', 'link-denied', 'big']
  const nodes = names.map((name) => script.ask(OPCODE.LOOKUP, ROOT, text(name), DATA))
  nodes.push(script.ask(OPCODE.OPEN, NODE.read, fields(0, 0), DATA))
  const granted = script.ask(OPCODE.READ, NODE.read, read(HANDLE, 0n, 4096), DATA)
  nodes.push(script.ask(OPCODE.CREATE, ROOT, fields(0o102, 0o644, 0, 0, 'mine'), OUT))
  return { nodes, granted }
}

export function attackFiles(script: Script): Attack[] {
  const attacks: Attack[] = []
  const on =
    (mount: number) =>
    (what: string, opcode: number, node: number | bigint, body?: Uint8Array, expected: Expected = 'refused') =>
      attacks.push({ what, unique: script.ask(opcode, node, body, mount), expected })
  const data = on(DATA)
  const out = on(OUT)

  for (const name of ['..', '.', '', '/', '/etc/passwd', 'sub/..', '../outside/secret.txt', 'private/secret.txt', 'a/b', '\u202e/..'])
    data(`LOOKUP ${JSON.stringify(name)}`, OPCODE.LOOKUP, ROOT, text(name))
  data('LOOKUP of a denied folder’s file', OPCODE.LOOKUP, ROOT, text('private/'))
  data('LOOKUP newline', OPCODE.LOOKUP, ROOT, text('read.txt\n'), 'absent')
  data('LOOKUP control characters', OPCODE.LOOKUP, ROOT, text('\x1b]0;x\x07'), 'absent')
  data('LOOKUP with NUL inside', OPCODE.LOOKUP, ROOT, text('read.txt\0../outside'))
  data('LOOKUP without NUL', OPCODE.LOOKUP, ROOT, Buffer.from('read.txt'))
  for (const bytes of [
    [0xff, 0xfe],
    [0xc0, 0xae, 0xc0, 0xae],
    [0xed, 0xa0, 0x80],
    [0xf8, 0x88, 0x80, 0x80, 0x80],
  ])
    data(`LOOKUP invalid UTF-8 ${Buffer.from(bytes).toString('hex')}`, OPCODE.LOOKUP, ROOT, text(Buffer.from(bytes)))
  data('LOOKUP 4 KiB', OPCODE.LOOKUP, ROOT, text('n'.repeat(4096)))
  data('LOOKUP 256 bytes', OPCODE.LOOKUP, ROOT, text('n'.repeat(256)))

  for (const [name, node] of Object.entries(NODE).filter(([name]) => name.startsWith('link'))) {
    data(`OPEN of ${name}`, OPCODE.OPEN, node, fields(0, 0))
    data(`OPENDIR of ${name}`, OPCODE.OPENDIR, node, fields(0, 0))
    data(`LOOKUP through ${name}`, OPCODE.LOOKUP, node, text('secret.txt'))
    data(`truncate through ${name}`, OPCODE.SETATTR, node, setattr(8, { size: 0n }))
    data(`CREATE through ${name}`, OPCODE.CREATE, node, fields(0o102, 0o644, 0, 0, 'made'))
  }
  for (const node of [0, 99, 2 ** 40, 1n << 53n, MAX_U64]) {
    data(`GETATTR of node ${node}`, OPCODE.GETATTR, node, fields(0, 0, 0n))
    data(`OPEN of node ${node}`, OPCODE.OPEN, node, fields(0, 0))
    data(`LOOKUP in node ${node}`, OPCODE.LOOKUP, node, text('read.txt'))
    data(`READLINK of node ${node}`, OPCODE.READLINK, node)
    data(`SETATTR of node ${node}`, OPCODE.SETATTR, node, setattr(8, { size: 0n }))
    data(`LINK of node ${node}`, OPCODE.LINK, ROOT, fields(BigInt(node), 'stolen'))
  }
  for (const handle of [0n, 99n, 1n << 53n, MAX_U64]) {
    data(`READ of handle ${handle}`, OPCODE.READ, NODE.read, read(handle, 0n, 4096))
    data(`READDIR of handle ${handle}`, OPCODE.READDIR, ROOT, fields(handle, 0n, 4096, 0, 0n, 0, 0))
    data(`RELEASE of handle ${handle}`, OPCODE.RELEASE, NODE.read, fields(handle, 0, 0, 0n))
  }
  data('READ of 4 GiB', OPCODE.READ, NODE.read, read(HANDLE, 0n, HUGE))
  data('READ at 2^63', OPCODE.READ, NODE.read, read(HANDLE, 1n << 63n, 4096))
  data('WRITE to a file open for reading', OPCODE.WRITE, NODE.read, write(HANDLE, 0n, Buffer.from('x')))
  data('WRITE that claims 4 GiB', OPCODE.WRITE, NODE.read, fields(1n, 0n, HUGE, 0, 0n, 0, 0, Buffer.from('x')))
  data('WRITE that brings less than it says', OPCODE.WRITE, NODE.read, fields(1n, 0n, 64, 0, 0n, 0, 0, Buffer.from('x')))
  data('OPEN for writing', OPCODE.OPEN, NODE.read, fields(0o1, 0))
  data('OPEN with O_TRUNC', OPCODE.OPEN, NODE.read, fields(0o1001, 0))
  data('truncate', OPCODE.SETATTR, NODE.read, setattr(8, { size: 0n }))
  data('CREATE where nothing may be written', OPCODE.CREATE, ROOT, fields(0o102, 0o644, 0, 0, 'new'))
  data('UNLINK where nothing may be written', OPCODE.UNLINK, ROOT, text('read.txt'))
  data('RENAME of a denied file to a granted name', OPCODE.RENAME2, ROOT, fields(1n, 0, 0, 'private', 'sub2'))

  out('RENAME to a node of the other mount', OPCODE.RENAME2, ROOT, fields(BigInt(NODE.linkFolder), 0, 0, 'mine', 'secret.txt'))
  for (const name of ['../outside/secret.txt', '/etc/passwd', '..', 'a/b', '']) {
    out(`RENAME to ${JSON.stringify(name)}`, OPCODE.RENAME2, ROOT, fields(1n, 0, 0, 'mine', name))
    out(`RENAME from ${JSON.stringify(name)}`, OPCODE.RENAME2, ROOT, fields(1n, 0, 0, name, 'stolen'))
    out(`LINK to ${JSON.stringify(name)}`, OPCODE.LINK, ROOT, fields(BigInt(MINE), name))
    out(`MKDIR ${JSON.stringify(name)}`, OPCODE.MKDIR, ROOT, fields(0o755, 0, name))
    out(`CREATE ${JSON.stringify(name)}`, OPCODE.CREATE, ROOT, fields(0o102, 0o644, 0, 0, name))
    out(`UNLINK ${JSON.stringify(name)}`, OPCODE.UNLINK, ROOT, text(name))
    out(`RMDIR ${JSON.stringify(name)}`, OPCODE.RMDIR, ROOT, text(name))
    out(`SYMLINK named ${JSON.stringify(name)}`, OPCODE.SYMLINK, ROOT, fields(name, 'mine'))
  }
  for (const target of ['../outside/secret.txt', '/etc/passwd', '/proc/self/root/etc/passwd', '../data/private/secret.txt', ''])
    out(`SYMLINK to ${JSON.stringify(target)}`, OPCODE.SYMLINK, ROOT, fields('planted', target))
  out('LINK of the other mount’s node', OPCODE.LINK, ROOT, fields(BigInt(NODE.linkDenied), 'stolen'))
  for (const type of [0o020000, 0o060000, 0o010000, 0o140000, 0o120000, 0])
    out(`MKNOD of type ${type.toString(8)}`, OPCODE.MKNOD, ROOT, fields(type | 0o666, 0, 0x0101, 0, 'device'))
  out('CREATE setuid', OPCODE.CREATE, ROOT, fields(0o102, 0o4755, 0, 0, 'suid'))
  out('MKNOD setgid', OPCODE.MKNOD, ROOT, fields(0o102755, 0, 0, 0, 'sgid'))
  out('SETATTR setuid', OPCODE.SETATTR, MINE, setattr(1, { mode: 0o104755 }))
  out('SETATTR setgid', OPCODE.SETATTR, MINE, setattr(1, { mode: 0o102755 }))
  out('SETATTR owner root', OPCODE.SETATTR, MINE, setattr(2, { uid: 0 }))
  out('SETATTR group root', OPCODE.SETATTR, MINE, setattr(4, { gid: 0 }))
  out('SETATTR to 8 EiB', OPCODE.SETATTR, MINE, setattr(8, { size: MAX_U64 }))
  out('CREATE of a host shell start file', OPCODE.CREATE, ROOT, fields(0o102, 0o644, 0, 0, '.bashrc'))
  out('CREATE of a .envrc', OPCODE.CREATE, ROOT, fields(0o102, 0o644, 0, 0, '.envrc'))

  for (const opcode of [OPCODE.GETLK, OPCODE.SETLK, OPCODE.SETLKW]) {
    out(`lock ${opcode} on a handle never given`, opcode, MINE, lock(99, 0n, 9n, 1))
    out(`lock ${opcode} of bytes that end before they begin`, opcode, MINE, lock(1, 9n, 0n, 1))
    out(`lock ${opcode} of a kind there is not`, opcode, MINE, lock(1, 0n, 9n, 7))
    out(`lock ${opcode} beyond the last byte`, opcode, MINE, lock(1, 0n, MAX_U64, 1))
  }
  out('second INIT', OPCODE.INIT, 0, fields(7, 38, 131072, HUGE))
  out('header with extensions', OPCODE.LOOKUP, ROOT, Buffer.alloc(0))
  for (const opcode of [0, 7, 21, 22, 23, 24, 37, 39, 40, 48, 49, 50, 51, 52, 4096, 65_535])
    out(`opcode ${opcode}`, opcode, ROOT, Buffer.alloc(64), 'unsupported')
  return attacks
}

export function read(handle: number | bigint, offset: bigint, size: number): Buffer {
  return fields(BigInt(handle), offset, size, 0, 0n, 0, 0)
}
function write(handle: number, offset: bigint, bytes: Uint8Array): Buffer {
  return fields(BigInt(handle), offset, bytes.length, 0, 0n, 0, 0, bytes)
}
function lock(handle: number, start: bigint, end: bigint, kind: number): Buffer {
  return fields(BigInt(handle), 7n, start, end, kind, 42, 0, 0)
}
function setattr(valid: number, change: { size?: bigint; mode?: number; uid?: number; gid?: number }): Buffer {
  const { size = 0n, mode = 0, uid = 1000, gid = 1000 } = change
  return fields(valid, 0, 0n, size, 0n, 0n, 0n, 0n, 0, 0, 0, mode, 0, uid, gid, 0)
}
