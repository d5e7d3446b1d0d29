/** A tiny pipeline for this folder's tests: the order of the real one, with an allow function for policy and everything it was asked recorded. */
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { AuthorityError, type OperationName, type WireValue } from '@authority/protocol'
import { signalOf } from '../../../gate/request-abort.ts'
import type { AdmitRequest, Gate } from '../../../gate/types.ts'
import type { Question } from '../../../vocabulary/index.ts'
import type { ByteLease, EffectResult, EffectSession, HeldThing, Permit, PreparedEffect } from '../../contract.ts'
import { fsEffects, linuxSyscalls, type MountRequest, openMounts, type Syscalls } from '../index.ts'
import type { FsContext } from '../object.ts'

export type Allow = (question: Question) => boolean

export interface World {
  /** Temporary folder; `in` and `out` lie in it. */
  readonly dir: string
  /** Host folder mounted at /work. */
  readonly inside: string
  /** Host folder beside it, with secret.txt. */
  readonly outside: string
  readonly secret: string
  readonly context: FsContext
  readonly gate: TestGate
  readonly session: TestSession
  /** Performs an SDK operation through the pipeline. */
  call(operation: OperationName, ...args: WireValue[]): Promise<readonly WireValue[]>
  close(): Promise<void>
}

export interface WorldOptions {
  readonly allow?: Allow
  readonly mounts?: (world: { inside: string; outside: string }) => readonly MountRequest[]
  readonly wrap?: (sys: Syscalls) => Syscalls
  readonly peek?: Allow
  readonly protect?: (dir: string) => readonly string[]
  /** Runs between the decision of an admitted effect and its execution: the moment a racing change would pick. */
  readonly between?: () => void
}

export const SECRET = 'the contents of the file outside\n'

export function makeWorld(options: WorldOptions = {}): World {
  const dir = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'authority-fs-')))
  const [inside, outside] = [path.join(dir, 'in'), path.join(dir, 'out')]
  fs.mkdirSync(inside)
  fs.mkdirSync(outside)
  const secret = path.join(outside, 'secret.txt')
  fs.writeFileSync(secret, SECRET)
  const sys = (options.wrap ?? ((s) => s))(linuxSyscalls())
  const requests = options.mounts?.({ inside, outside }) ?? [{ guest: '/work', host: inside, readonly: false }]
  const mounts = openedOrGone(dir, () => openMounts(sys, requests, { home: path.join(dir, 'home'), protect: options.protect?.(dir) ?? [] }))
  const context: FsContext = {
    sys,
    mounts,

    peek: options.peek ?? options.allow ?? (() => true),
  }
  const gate = new TestGate(options.allow ?? (() => true), options.between)
  const session = new TestSession()
  const { classes, bytes } = fsEffects(context)
  return {
    dir,
    inside,
    outside,
    secret,
    context,
    gate,
    session,
    async call(operation, ...args) {
      const some = bytes.find((b) => b.operation === operation)
      if (some !== undefined) return await some.perform(args, session)
      const found = classes.find((c) => c.operation === operation)
      if (found === undefined) throw new Error(`no class for ${operation}`)
      const request = {
        operation,
        subject: session.subject,
        handle: 0,
        effect: found.prepare(args, session),
        signal: new AbortController().signal,
      }
      return (await gate.admit(request)).result
    },
    async close() {
      await session.end()
      mounts.close()
      fs.rmSync(dir, { recursive: true, force: true })
    },
  }
}

export class TestGate implements Gate {
  readonly asked: Question[] = []
  readonly objects: string[] = []
  readonly closes: unknown[] = []
  /** What was opened, to be ended as a revocation would. */
  readonly withdraw: ((error: AuthorityError) => void)[] = []
  spent = 0
  /** Bytes leases may still spend. */
  limit = Number.POSITIVE_INFINITY
  allow: Allow
  readonly #between: (() => void) | undefined

  constructor(allow: Allow, between?: () => void) {
    this.allow = allow
    this.#between = between
  }

  async admit(request: AdmitRequest): Promise<EffectResult> {
    const { effect } = request
    try {
      this.#decide(effect.requested, effect)
      const found = await effect.resolve(() => new AbortController().signal)
      this.#decide(found.questions, effect)
      effect.worstCase(() => Number.POSITIVE_INFINITY)
      this.objects.push(`${request.operation} ${found.object}`)
      await Promise.resolve()
      this.#between?.()
      return await effect.execute(this.#permit(signalOf(request.signal)))
    } finally {
      effect.release()
    }
  }

  look(request: Omit<AdmitRequest, 'signal' | 'argsBytes'>): EffectResult | Promise<EffectResult> {
    const { effect } = request
    try {
      this.#decide(effect.requested, effect)
      const found = effect.resolve(() => new AbortController().signal)
      if (found instanceof Promise) throw new Error('a look resolves at once')
      this.#decide(found.questions, effect)
      return effect.execute(this.#permit(new AbortController().signal))
    } finally {
      effect.release()
    }
  }

  #decide(questions: readonly Question[], effect: PreparedEffect): void {
    for (const question of questions) {
      this.asked.push(question)
      if (!this.allow(question)) {
        throw new AuthorityError('E_POLICY_DENY', `${effect.requestedText}: not allowed`, {
          denial: { permission: question.action, object: effect.requestedText, fix: '', seq: 1 },
        })
      }
    }
  }

  #permit(signal: AbortSignal): Permit {
    const lease: ByteLease = {
      spend: (bytes) => {
        if (this.spent + bytes > this.limit) return Promise.reject(new AuthorityError('E_BUDGET_EXCEEDED', 'bytes'))
        this.spent += bytes
        return undefined
      },
      onWithdrawn: (end) => void this.withdraw.push(end),
      close: (detail) => {
        this.closes.push(detail)
        return Promise.resolve()
      },
    }
    const notUsed = (): Promise<never> => Promise.reject(new Error('not used'))
    return { intent: 1, signal, decideAgain: notUsed, reserveMore: notUsed, lease: () => lease }
  }
}

export class TestSession implements EffectSession {
  readonly subject = { session: 'effects:1', via: 'session' } as const
  readonly things = new Map<number, HeldThing>()
  #next = 1

  hold(thing: HeldThing): number {
    this.things.set(this.#next, thing)
    return this.#next++
  }
  held<T extends HeldThing>(number: number, kind: T['kind']): T {
    const found = this.things.get(number)
    if (found?.kind !== kind) throw new AuthorityError('E_CAP_INVALID', `no handle ${number}`)
    return found as T
  }
  drop(number: number): void {
    this.things.delete(number)
  }
  openStream(): never {
    throw new Error('no streams here')
  }
  async end(): Promise<void> {
    for (const thing of this.things.values()) await thing.close()
    this.things.clear()
  }
}

/** The AuthorityError a call ends with; fails when it succeeds or throws anything else. */
export async function refusal(call: Promise<unknown>): Promise<AuthorityError> {
  const outcome = await call.then(
    () => new Error('it succeeded'),
    (error: unknown) => error,
  )
  if (outcome instanceof AuthorityError) return outcome
  throw outcome
}

/** A test of what cannot be mounted leaves no folder. */
function openedOrGone<T>(dir: string, open: () => T): T {
  try {
    return open()
  } catch (error) {
    fs.rmSync(dir, { recursive: true, force: true })
    throw error
  }
}
