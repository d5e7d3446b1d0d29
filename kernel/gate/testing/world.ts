/** The real pipeline in a folder of its own: real stages and a real log on a real disk, whose flushes and failures a test decides. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { OperationName } from '@authority/protocol'
import { hostContext } from '../../audit/host.ts'
import { ensureInstallation, openRunLog, type RecordBody, type RunLog, readRecords, type Verdict, verifyRun } from '../../audit/index.ts'
import type { AuditStage } from '../../audit/types.ts'
import { type BudgetStage, createBudgetStage } from '../../budget/index.ts'
import { bunMac, createCapabilityStage, type Grants, type OperatorCapabilities, patternRules } from '../../capability/index.ts'
import type { BytesOperation, EffectClass } from '../../effects/contract.ts'
import { type LoadedPolicy, loadPolicy } from '../../policy/index.ts'
import type { Charges, Clock, Dimension } from '../../vocabulary/index.ts'
import { AdmitPipeline } from '../admit.ts'
import { OperationRegistry, type OperatorOperation } from '../registry.ts'
import type { AdmitRequest, Stages } from '../types.ts'
import { TestEffect, type TestEffectOptions } from './effect.ts'

export const RUN = '00112233445566778899aabbccddeeff'
export const POLICY = {
  version: '1.0',
  fs: { read: ['/work/**'], write: ['/work/out/**'] },
  net: { connect: ['dns:api.example.com:443'] },
}

export interface WorldOptions {
  readonly policy?: object
  /** Of the run's own capability: what the policy grants, unless said otherwise. */
  readonly grants?: Grants
  readonly budgets?: Charges
  /** Flushes wait for `flush()`. */
  readonly hold?: boolean
  /** Bytes the log may have. */
  readonly maxLogBytes?: number
  readonly effects?: readonly EffectClass[]
  readonly bytes?: readonly BytesOperation[]
  readonly operator?: ReadonlyMap<OperationName, OperatorOperation>
  readonly clock?: Clock
}

/** A disk that fails from some moment on: `null` works. */
export interface Disk {
  broken: 'EIO' | 'ENOSPC' | null
  /** Which calls fail. */
  call: 'write' | 'datasync'
}

export interface World {
  readonly stages: Stages
  readonly policy: LoadedPolicy
  readonly audit: RunLog
  readonly budget: BudgetStage
  readonly capability: OperatorCapabilities
  readonly pipeline: AdmitPipeline
  readonly registry: OperationRegistry
  readonly disk: Disk
  /** What happened, in order: stages by name, records by type, `durable`, and what effects say of themselves. */
  readonly trace: string[]
  /** Every record appended, in order. */
  readonly appended: RecordBody[]
  /** Flushes that wait. */
  readonly waiting: number
  flush(): void
  /** Admits an effect of this run's own capability, or of another handle. */
  admit(
    effect: TestEffect,
    options?: Partial<Pick<AdmitRequest, 'handle' | 'signal' | 'operation' | 'subject'>>,
  ): ReturnType<AdmitPipeline['admit']>
  effect(options?: TestEffectOptions): TestEffect
  /** Seals, verifies against nothing but the installation of this home, and answers what stands in the log. */
  sealed(): Promise<{ readonly verdict: Verdict; readonly records: readonly RecordBody[] }>
  close(): void
}

const worlds: World[] = []

/** For afterEach. */
export function closeWorlds(): void {
  for (const world of worlds.splice(0)) world.close()
}

export async function makeWorld(options: WorldOptions = {}): Promise<World> {
  const dir = mkdtempSync(join(tmpdir(), 'authority-gate-'))
  const disk: Disk = { broken: null, call: 'datasync' }
  const host = hostContext()
  const clock = options.clock ?? host.clock
  const installation = await ensureInstallation(join(dir, 'home'), { fs: failing(host.fs, disk), clock })
  const policy = loadPolicy(new TextEncoder().encode(JSON.stringify(options.policy ?? POLICY)), 'policy.json')
  const limits = { ...policy.budgets, ...options.budgets }
  const flushes: (() => void)[] = []
  const audit = await openRunLog({
    path: join(dir, 'home', 'log'),
    installation,
    preallocate: false,
    checkpointMs: 0,
    ...(options.maxLogBytes === undefined ? {} : { maxBytes: options.maxLogBytes }),
    schedule: (flush) => void (options.hold === true ? flushes.push(flush) : setImmediate(flush)),
    start: {
      type: 'RUN_START',
      run: RUN,
      installation: installation.id,
      build: 'test',
      operator_uid: 0,
      policy: policy.id,
      policy_source: 'test',
      isolation: 'none',
      limits: Object.entries(limits).map(([dimension, limit]) => ({ account: 'run', dimension, limit })),
      detail: {},
    },
  })
  const budget = createBudgetStage({ limits, wallMs: () => clock.wallMs() })
  const capability = createCapabilityStage({
    run: RUN,
    installation: installation.id,
    grants: options.grants ?? policy.grants,
    compile: patternRules,
    clock,
    random: host.random,
    mac: bunMac,
    declareBudget: (account, charges) => {
      audit.append({ type: 'LIMIT', account, limits: charges })
      budget.limit(account, charges)
    },
  })
  const trace: string[] = []
  const appended: RecordBody[] = []
  const stages = traced({ capability, policy, budget, audit }, trace, appended)
  const pipeline = new AdmitPipeline(stages)
  const registry = new OperationRegistry({
    gate: pipeline,
    capability: stages.capability,
    budget: stages.budget,
    effects: options.effects ?? [],
    bytes: options.bytes ?? [],
    ...(options.operator === undefined ? {} : { operator: options.operator }),
  })
  const world: World = {
    stages,
    policy,
    audit,
    budget,
    capability,
    pipeline,
    registry,
    disk,
    trace,
    appended,
    get waiting() {
      return flushes.length
    },
    flush: () => {
      for (const flush of flushes.splice(0)) flush()
    },
    admit: (effect, request = {}) =>
      pipeline.admit({
        operation: 'fs.open',
        subject: { session: 'test:1', via: 'session' },
        handle: 0,
        signal: new AbortController().signal,
        effect,
        ...request,
      }),
    effect: (effectOptions = {}) => new TestEffect(trace, effectOptions),
    sealed: async () => {
      pipeline.flush(true)
      await audit.seal({ type: 'RUN_END', ended_by: 'agent', exit_code: 0, effects: 0, denials: 0, spent: {} })
      const verdict = await verifyRun(audit.path, { installation: join(dir, 'home', 'installation') })
      const records: RecordBody[] = []
      for await (const record of readRecords(audit.path)) records.push(record)
      return { verdict, records }
    },
    close: () => {
      try {
        audit.abandon()
      } catch {}
      rmSync(dir, { recursive: true, force: true })
    },
  }
  worlds.push(world)
  return world
}

/** The stages, each call noted: the order of steps is what the tests look at. */
function traced(stages: Stages, trace: string[], appended: RecordBody[]): Stages {
  const { capability, policy, budget, audit } = stages
  const noting = <T extends object>(
    target: T,
    notes: { readonly [method: string]: (args: readonly unknown[], result: unknown) => void },
  ): T =>
    new Proxy(target, {
      get(_, name) {
        const value: unknown = Reflect.get(target, name)
        if (typeof value !== 'function') return value
        return (...args: unknown[]): unknown => {
          const result: unknown = Reflect.apply(value, target, args)
          notes[String(name)]?.(args, result)
          return result
        }
      },
    })
  const note = (text: string) => (): void => void trace.push(text)
  return {
    capability: noting(capability, {
      check: ([, , questions]) => void ((questions as readonly unknown[]).length > 0 && trace.push('capability')),
    }),
    policy: noting(policy, { decide: note('policy') }),
    budget: noting(budget, { reserveShared: note('budget'), settle: note('settle'), void: note('void') }),
    audit: noting(audit as AuditStage, {
      append: ([body]) => {
        appended.push(body as RecordBody)
        trace.push((body as RecordBody).type)
      },
      durable: (_, result) => void (result as Promise<void>).then(note('durable'), note('not durable')),
    }),
  }
}

function failing<T extends object>(fs: T, disk: Disk): T {
  return new Proxy(fs, {
    get(_, name) {
      const value: unknown = Reflect.get(fs, name)
      if (typeof value !== 'function') return value
      return (...args: unknown[]): unknown => {
        if (disk.broken !== null && name === disk.call) throw Object.assign(new Error(disk.broken), { code: disk.broken })
        return Reflect.apply(value, fs, args)
      }
    },
  })
}

/** All reservations of all accounts: 0 once everything has ended. */
export function reserved(budget: BudgetStage, dimension?: Dimension): number {
  return budget.rows().reduce((sum, row) => sum + (dimension === undefined || row.dimension === dimension ? row.reserved : 0), 0)
}

export function captured(budget: BudgetStage, dimension: Dimension, account = 'run'): number {
  return budget.rows([account]).find((row) => row.dimension === dimension)?.captured ?? 0
}

/** The code an act is refused with, or `done`. */
export async function codeOf(act: Promise<unknown> | (() => unknown)): Promise<string> {
  try {
    await (typeof act === 'function' ? act() : act)
    return 'done'
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error)
  }
}

/** Lets everything that need not wait for a disk or a timer happen. */
export async function settle(turns = 3): Promise<void> {
  for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve))
}
