/**
 * The host's end of every FUSE mount of a run. One raw message in, at most one out; what the guest sends can be anything: no message throws out of `handle`,
 * nothing is kept without a bound, and every effect is the gate's to admit.
 */
import { AuthorityError, MAX_FUSE_DATA_BYTES } from '@authority/protocol'
import type { Followed } from '../changes.ts'
import { ERRNO, errnoNumber, hostError } from '../errno.ts'
import { FOLLOW_STEP_MS, MAX_FUSE_HANDLES, MAX_FUSE_IN_FLIGHT, MAX_FUSE_PENDING_BYTES, MAX_NODE_DESCRIPTORS, MAX_NODES } from '../limits.ts'
import * as bytes from './bytes.ts'
import * as changing from './changing.ts'
import { empty, finish, init, type Reply } from './encode.ts'
import { answerOfFolder, FILE_NODE, nodeOfFile } from './file-root.ts'
import { Interruptions, type Signalled } from './interruptions.ts'
import type { Following } from './keeping.ts'
import * as locking from './locking.ts'
import * as looking from './looking.ts'
import { type Body, FUSE_MAJOR, FUSE_MINOR_MIN, type Request } from './messages.ts'
import { type Asker, type FuseLimits, FuseMount, type FuseMountOptions } from './mount.ts'
import { isMalformed, parseFuse } from './protocol.ts'

export interface FuseServerOptions extends Omit<FuseMountOptions, 'limits' | 'lookAgain' | 'following'> {
  /** Sends one FUSE message to the guest. Must not throw. */
  send(mountNumber: number, message: Uint8Array): void
  /**
   * Has the guest's kernel ask again where a name leads that led to this node, and for the `attributes` it keeps of it; resolves when it does, or when the guest is
   * over. Must not fail.
   */
  lookAgain(mountNumber: number, node: number, attributes: boolean): Promise<void>
  /** How changes on the host are followed. Left out: nothing is kept longer than anything else. */
  readonly host?: HostChanges
  readonly limits?: Partial<FuseLimits>
  /** Where the guest does not tell interruptions itself. */
  readonly signalled?: Signalled
}

export interface HostChanges extends Omit<Following, 'followed'> {
  /** null where the host cannot. */
  follow(): Followed | null
  /** Calls again and again; what it returns ends that. */
  every(ms: number, call: () => void): () => void
}

const LIMITS: FuseLimits = {
  nodes: MAX_NODES,
  descriptors: MAX_NODE_DESCRIPTORS,
  handles: MAX_FUSE_HANDLES,
  inFlight: MAX_FUSE_IN_FLIGHT,
  pendingBytes: MAX_FUSE_PENDING_BYTES,
}

/** A mount the guest has mounted, and what it is waiting for. */
interface Live {
  readonly mount: FuseMount
  started: boolean
  readonly waiting: Map<bigint, Waiting>
}
interface Waiting {
  readonly bytes: number
  control: AbortController | null
  unwatch: (() => void) | undefined
  interrupted: boolean
}

export class FuseServer {
  readonly #options: FuseServerOptions
  readonly #limits: FuseLimits
  readonly #live = new Map<number, Live>()
  /** Requests under way, those of a mount the guest gave up since too. */
  readonly #works = new Set<Promise<void>>()
  /** Of what is being worked on, all mounts together: a few bytes of request can ask for half a megabyte. */
  #pendingBytes = 0
  readonly #interruptions: Interruptions | null
  #closed = false
  readonly #unfollow: () => void

  constructor(options: FuseServerOptions) {
    this.#options = options
    this.#interruptions = options.signalled === undefined ? null : new Interruptions(options.signalled)
    this.#limits = { ...LIMITS, ...options.limits }
    for (const mount of options.context.mounts.list) this.#live.set(mount.number, this.#fresh(mount.number))
    this.#unfollow = options.host?.every(FOLLOW_STEP_MS, () => this.#poll()) ?? (() => undefined)
  }

  /** Requests being worked on, over all mounts: the transport stops reading while this is high. */
  get inFlight(): number {
    return [...this.#live.values()].reduce((sum, live) => sum + live.waiting.size, 0)
  }

  handle(mountNumber: number, message: Uint8Array): void {
    const live = this.#live.get(mountNumber)
    if (live === undefined || this.#closed) return
    const request = parseFuse(message)
    if (isMalformed(request)) {
      if (request.unique !== null) this.#reply(mountNumber, request.unique, empty(), ERRNO[request.errno])
      return
    }
    const { unique } = request.header
    if (request.body.op === 'interrupt') return interrupt(live, request.body.unique)
    // A mounted file's one node stays as long as its mount.
    if (live.mount.mount.kind === 'file' && (request.body.op === 'forget' || request.body.op === 'batchForget')) return
    if (request.body.op === 'forget') return live.mount.nodes.forget(request.header.node, request.body.lookups)
    if (request.body.op === 'batchForget') {
      for (const { node, lookups } of request.body.nodes) live.mount.nodes.forget(node, lookups)
      return
    }
    if (unique === 0n) return
    const bytes = message.byteLength + answerBytes(request.body)
    const refusal = this.#refusal(live, request, bytes)
    if (refusal !== null) return this.#reply(mountNumber, unique, empty(), refusal)
    this.#work(mountNumber, live, request, bytes)
  }

  /** Ends all waiting, closes all that is open with its totals recorded, and forgets all nodes. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#unfollow()
    this.#interruptions?.close()
    const all = [...this.#live.values()]
    for (const live of all) for (const unique of live.waiting.keys()) interrupt(live, unique)
    await Promise.allSettled(this.#works)
    const done = await Promise.allSettled(all.map((live) => live.mount.close()))
    this.#live.clear()
    const failed = done.find((result) => result.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }

  #fresh(number: number): Live {
    const mount = this.#options.context.mounts.list[number]
    if (mount === undefined) throw new Error(`no mount ${number}`)
    const lookAgain = (node: number, attributes: boolean): Promise<void> =>
      this.#options.lookAgain(number, mount.kind === 'file' ? FILE_NODE : node, attributes)
    const following = mount.followed ? this.#following() : null
    return {
      mount: new FuseMount({ ...this.#options, limits: this.#limits, lookAgain, following }, mount),
      started: false,
      waiting: new Map(),
    }
  }

  #following(): Following | null {
    const { host } = this.#options
    const followed = host?.follow() ?? null
    return host === undefined || followed === null ? null : { ...host, followed }
  }

  #poll(): void {
    for (const { mount } of this.#live.values()) mount.keeping.poll()
  }

  /** The errno that answers a request that is not begun, or null. */
  #refusal(live: Live, request: Request, bytes: number): number | null {
    const { body, header } = request
    if (body.op === 'init') return live.started ? ERRNO.EIO : null
    if (!live.started) return ERRNO.EIO
    if (live.waiting.has(header.unique)) return ERRNO.EINVAL
    if (live.waiting.size >= this.#limits.inFlight || this.#pendingBytes + bytes > this.#limits.pendingBytes) return ERRNO.EAGAIN
    return null
  }

  #work(mountNumber: number, live: Live, request: Request, bytes: number): void {
    const { unique, pid } = request.header
    const waiting: Waiting = { bytes, control: null, unwatch: undefined, interrupted: false }
    const asker: Asker = {
      pid,
      signal: () => {
        if (waiting.control === null) {
          waiting.control = new AbortController()
          waiting.unwatch = this.#interruptions?.watch({ pid, interrupt: () => interrupt(live, unique) })
        }
        if (waiting.interrupted) waiting.control.abort(interruption())
        return waiting.control.signal
      },
    }
    live.waiting.set(unique, waiting)
    this.#pendingBytes += bytes
    const done = (reply: Reply, errno: number): void => {
      live.waiting.delete(unique)
      waiting.unwatch?.()
      this.#pendingBytes -= bytes
      this.#reply(mountNumber, unique, reply, errno)
    }
    const failed = (error: unknown): void => done(empty(), errnoOf(error, waiting.interrupted))
    try {
      const answer = this.#answer(mountNumber, live, request, asker)
      if (answer instanceof Promise) {
        const work = answer.then((reply) => done(reply, 0), failed).finally(() => this.#works.delete(work))
        this.#works.add(work)
      } else done(answer, 0)
    } catch (error) {
      failed(error)
    }
  }

  #answer(mountNumber: number, live: Live, request: Request, asker: Asker): Reply | Promise<Reply> {
    const { body, header } = request
    const { mount } = live
    if (body.op === 'init') return start(live, body)
    if (body.op === 'destroy') return this.#restart(mountNumber, live)
    if (body.op === 'read') return bytes.read(mount, body)
    if (body.op === 'write') return bytes.write(mount, body)
    if (body.op === 'lseek') return bytes.seek(mount, body)
    if (body.op === 'fallocate') return bytes.allocate(mount, body)
    if (body.op === 'copy') return bytes.copy(mount, body)
    if (body.op === 'flush') return locking.flush(mount, body)
    if (body.op === 'getlk') return locking.test(mount, body)
    if (body.op === 'setlk' || body.op === 'setlkw') return locking.set(mount, body, body.op === 'setlkw', asker)
    if (body.op === 'fsync') return mount.handles.file(body.handle).file.fsync(body.dataOnly).then(empty)
    if (body.op === 'release') return changing.release(mount, body.handle)
    if (body.op === 'releasedir') return looking.releaseDirectory(mount, body.handle)
    const number = mount.mount.kind === 'file' ? nodeOfFile(header.node) : header.node
    if (number === null) return answerOfFolder(body)
    const node = mount.nodes.get(number)
    if (node.lost && node.pins === 0) throw hostError('ESTALE', `node ${node.id}`)
    return onNode(mount, node, body, asker)
  }

  /** The guest unmounted: what it had is closed, and it may mount again. */
  async #restart(mountNumber: number, live: Live): Promise<Reply> {
    const next = this.#fresh(mountNumber)
    this.#live.set(mountNumber, next)
    await live.mount.close()
    return empty()
  }

  #reply(mountNumber: number, unique: bigint, reply: Reply, errno: number): void {
    if (!this.#closed) this.#options.send(mountNumber, finish(reply, unique, errno))
  }
}

function onNode(mount: FuseMount, node: ReturnType<FuseMount['nodes']['get']>, body: Body, asker: Asker): Reply | Promise<Reply> {
  switch (body.op) {
    case 'lookup':
      return looking.lookup(mount, node, body.name, asker)
    case 'getattr':
      return looking.getattr(mount, node, body.handle, asker)
    case 'readlink':
      return looking.readlink(mount, node, asker)
    case 'access':
      return looking.access(mount, node, body.mask, asker)
    case 'statfs':
      return looking.statfs(mount, node, asker)
    case 'opendir':
      return looking.openDirectory(mount, node, asker)
    case 'readdir':
    case 'readdirplus':
      return looking.readDirectory(mount, body.handle, body.position, body.size, body.op === 'readdirplus', asker)
    case 'fsyncdir':
      return looking.syncDirectory(mount, body.handle, asker)
    case 'open':
      return changing.open(mount, node, body.flags, asker)
    case 'create':
      return changing.create(mount, node, body.name, body.flags, body.mode, asker)
    case 'mknod':
      return changing.mknod(mount, node, body.name, body.mode, asker)
    case 'mkdir':
      return changing.mkdir(mount, node, body.name, body.mode, asker)
    case 'symlink':
      return changing.symlink(mount, node, body.name, body.target, asker)
    case 'link':
      return changing.link(mount, mount.nodes.get(body.fromNode), node, body.name, asker)
    case 'unlink':
      return changing.unlink(mount, node, body.name, asker)
    case 'rmdir':
      return changing.rmdir(mount, node, body.name, asker)
    case 'rename':
      return changing.rename(mount, node, body.from, mount.nodes.get(body.toNode), body.to, body.flags, asker)
    case 'setattr':
      return changing.setattr(mount, node, body.change, asker)
    default:
      throw hostError('ENOSYS', body.op)
  }
}

function start(live: Live, body: Extract<Body, { op: 'init' }>): Reply {
  if (body.major !== FUSE_MAJOR || body.minor < FUSE_MINOR_MIN) throw hostError('EPROTO', `FUSE ${body.major}.${body.minor}`)
  live.started = true
  return init(body.minor, body.readahead, body.flags)
}

/** The most an answer holds that is made while the request waits for the gate. */
function answerBytes(body: Body): number {
  return body.op === 'read' || body.op === 'readdir' || body.op === 'readdirplus' ? Math.min(body.size, MAX_FUSE_DATA_BYTES) : 0
}

function interrupt(live: Live, unique: bigint): void {
  const waiting = live.waiting.get(unique)
  if (waiting === undefined) return
  waiting.interrupted = true
  waiting.control?.abort(interruption())
}

function interruption(): AuthorityError {
  return new AuthorityError('E_CANCELLED', 'interrupted by a signal in the guest', { errno: 'EINTR' })
}

function errnoOf(error: unknown, interrupted: boolean): number {
  if (!(error instanceof AuthorityError)) return ERRNO.EIO
  return interrupted && error.code === 'E_CANCELLED' ? ERRNO.EINTR : errnoNumber(error.errno)
}
