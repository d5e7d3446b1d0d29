/** Mounts the FUSE server of this folder with the host's own kernel as the client: the same raw messages a guest sends. Root and /dev/fuse needed. */
import { dlopen } from 'bun:ffi'
import fs from 'node:fs'
import path from 'node:path'
import type { FuseLimits } from '../fuse/mount.ts'
import { FuseServer, type HostChanges } from '../index.ts'
import type { World } from './pipeline.ts'

const MS_NOSUID = 2
const MS_NODEV = 4
const MNT_FORCE = 1
const MNT_DETACH = 2
const MESSAGE_BYTES = (1 << 20) + 4096

let points = 0

export interface KernelMount {
  /** Where the guest side is mounted. */
  readonly point: string
  /** When it resolves, `point` is the mounted file; a folder is there at once. */
  readonly ready: Promise<void>
  readonly server: FuseServer
  /** Messages so far, by opcode. */
  readonly asked: ReadonlyMap<number, number>
  /** When it resolves, everything that was open is closed and recorded. Twice: the same. */
  close(): Promise<void>
}

function libc() {
  return dlopen('libc.so.6', {
    mount: { args: ['ptr', 'ptr', 'ptr', 'u64', 'ptr'], returns: 'i32' },
    umount2: { args: ['ptr', 'i32'], returns: 'i32' },
  }).symbols
}

/** null when this host cannot: no root, no /dev/fuse, no kernel support. */
export function mountWithKernel(world: World, limits: Partial<FuseLimits> = {}, host?: HostChanges): KernelMount | null {
  if (process.getuid?.() !== 0 || !fs.existsSync('/dev/fuse')) return null
  const point = path.join(world.dir, `mnt${points++}`)
  const file = world.context.mounts.list[0]?.kind === 'file'
  // A device shows a folder; a mounted file is the one name in it, bound where it is wanted.
  const folder = file ? `${point}.device` : point
  fs.mkdirSync(folder)
  if (file) fs.writeFileSync(point, '')
  fs.chmodSync(world.dir, 0o711)
  const device = fs.openSync('/dev/fuse', 'r+')
  const text = (value: string): Buffer => Buffer.from(`${value}\0`)
  const options = `fd=${device},rootmode=40000,user_id=1000,group_id=1000,allow_other,default_permissions`
  const { mount, umount2 } = libc()
  if (mount(text('authority'), text(folder), text('fuse'), MS_NOSUID | MS_NODEV, text(options)) !== 0) {
    fs.closeSync(device)
    return null
  }
  const server = new FuseServer({
    context: world.context,
    gate: world.gate,
    subject: { session: 'fuse:0', via: 'fuse' },
    limits,
    // Here the device itself can tell the kernel.
    lookAgain: async (_mount, node) => void fs.writeSync(device, forgetAttributes(node)),
    ...(host === undefined ? {} : { host }),
    send: (_mount, message) => {
      try {
        fs.writeSync(device, message)
      } catch {
        // an answer to an interrupted request is nobody's any more
      }
    },
  })
  const asked = new Map<number, number>()
  const pump = pumpMessages(device, (message) => {
    const opcode = new DataView(message.buffer, message.byteOffset).getUint32(4, true)
    asked.set(opcode, (asked.get(opcode) ?? 0) + 1)
    server.handle(0, message)
  })
  const ready = file ? bind(`${folder}/file`, point) : Promise.resolve()
  const end = async (): Promise<void> => {
    // Forced: a process elsewhere with a copy of the mount namespace, made while this was mounted, would keep the device open until it ends.
    umount2(text(folder), MNT_FORCE | MNT_DETACH)
    if (file) umount2(text(point), MNT_DETACH)
    await pump
    await server.close()
    fs.closeSync(device)
  }
  let ended: Promise<void> | null = null
  return {
    point,
    ready,
    server,
    asked,
    close() {
      ended ??= end()
      return ended
    },
  }
}

/** FUSE_NOTIFY_INVAL_INODE: the attributes of a node. Cached bytes go at the next read when time or size changed. */
function forgetAttributes(node: number): Uint8Array {
  const bytes = Buffer.alloc(40)
  bytes.writeUInt32LE(bytes.length, 0)
  bytes.writeInt32LE(2, 4)
  bytes.writeBigUInt64LE(BigInt(node), 16)
  bytes.writeBigInt64LE(-1n, 24)
  return bytes
}

/** By another process: its look-up waits for this one. */
async function bind(from: string, to: string): Promise<void> {
  const done = Bun.spawn(['mount', '--bind', from, to], { stdio: ['ignore', 'ignore', 'inherit'] })
  if ((await done.exited) !== 0) throw new Error(`${from} cannot be bound`)
}

async function pumpMessages(device: number, handle: (message: Uint8Array) => void): Promise<void> {
  for (;;) {
    const buffer = Buffer.allocUnsafeSlow(MESSAGE_BYTES)
    const got = await new Promise<number>((resolve) =>
      fs.read(device, buffer, 0, MESSAGE_BYTES, null, (error, bytes) =>
        resolve(error === null ? bytes : error.code === 'EINTR' || error.code === 'ENOENT' || error.code === 'EAGAIN' ? 0 : -1),
      ),
    )
    if (got < 0) return
    if (got > 0) handle(buffer.slice(0, got))
  }
}
