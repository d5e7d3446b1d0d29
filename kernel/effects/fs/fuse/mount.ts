import type { Gate } from '../../../gate/types.ts'
import type { OperationName, Subject } from '../../../vocabulary/index.ts'
import type { EffectResult, PreparedEffect } from '../../contract.ts'
import type { Mount } from '../mounts.ts'
import type { FsContext } from '../object.ts'
import type { Stat } from '../syscalls.ts'
import { lookedAgain, mayBelieveOld } from './believing.ts'
import { Handles } from './handles.ts'
import { type Following, Keeping } from './keeping.ts'
import { Locks } from './locks.ts'
import { type Node, type NodeLimits, Nodes } from './nodes.ts'

export interface FuseLimits extends NodeLimits {
  readonly handles: number
  /** Requests being worked on. */
  readonly inFlight: number
  /** Bytes of requests being worked on. */
  readonly pendingBytes: number
}

export interface FuseMountOptions {
  readonly context: FsContext
  readonly gate: Gate
  readonly subject: Subject
  readonly limits: FuseLimits
  /** Has the guest's kernel ask again for what it keeps of this node: its name, and its attributes; resolves when it does. */
  readonly lookAgain: (node: number, attributes: boolean) => Promise<void>
  /** null: nothing is followed on the host. */
  readonly following: Following | null
}

/** Who asks and until when: one request. `pid` is the guest's claim. */
export interface Asker {
  readonly pid: number
  /** Made when first needed: looks and bytes have none. */
  signal(): AbortSignal
}

/** One mounted folder as the guest's kernel sees it. The operations stand in looking.ts, changing.ts and bytes.ts. */
export class FuseMount {
  readonly context: FsContext
  readonly mount: Mount
  readonly nodes: Nodes
  readonly handles: Handles
  readonly locks: Locks
  readonly keeping: Keeping
  readonly #lookAgain: FuseMountOptions['lookAgain']
  readonly #gate: Gate
  readonly #subject: Subject

  constructor(options: FuseMountOptions, mount: Mount) {
    this.context = options.context
    this.mount = mount
    this.nodes = new Nodes(options.context.sys, mount, options.limits)
    this.handles = new Handles(options.limits.handles)
    this.locks = new Locks(options.context.sys)
    this.#lookAgain = options.lookAgain
    this.keeping = new Keeping(
      mount,
      options.context.sys,
      this.nodes,
      (node) => void this.#lookAgain(node.id, node.pins > 0),
      options.following,
    )
    this.#gate = options.gate
    this.#subject = options.subject
  }

  /** Resolves when the guest's kernel believes nothing old of this node any more. */
  lookAgain(node: Node): Promise<void> {
    return this.#lookAgain(node.id, true)
  }

  /** The same where it may: `now` was just measured. */
  async freshen(node: Node, now: Stat): Promise<void> {
    if (!mayBelieveOld(node, now)) return
    await this.lookAgain(node)
    lookedAgain(node, now)
  }

  look(operation: OperationName, effect: PreparedEffect, asker: Asker): EffectResult | Promise<EffectResult> {
    return this.#gate.look({ operation, subject: this.#from(asker), handle: 0, effect })
  }

  change(operation: OperationName, effect: PreparedEffect, asker: Asker): Promise<EffectResult> {
    return this.#gate.admit({ operation, subject: this.#from(asker), handle: 0, effect, signal: asker.signal() })
  }

  /** Closes what is open, with its totals recorded; then nothing of the mount is left. */
  async close(): Promise<void> {
    this.locks.close()
    const closing = this.handles.drain().map(async (open) => {
      try {
        if (open.kind === 'directory') this.context.sys.close(open.fd)
        else await open.file.close()
      } finally {
        this.nodes.unpin(open.node)
      }
    })
    const done = await Promise.allSettled(closing)
    this.nodes.close()
    this.keeping.close()
    const failed = done.find((result) => result.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }

  #from(asker: Asker): Subject {
    return { ...this.#subject, pid: asker.pid }
  }
}

/** Continues at once where the gate answered at once. */
export function after<T>(result: EffectResult | Promise<EffectResult>, then: () => T): T | Promise<T> {
  return result instanceof Promise ? result.then(then) : then()
}
