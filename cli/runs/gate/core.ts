import { dirname, join } from 'node:path'
import { type ApprovalDesk, createApprovals, type PendingApproval } from '@authority/kernel/approvals'
import { ensureInstallation, openRunLog, type RunLog } from '@authority/kernel/audit'
import {
  type BudgetStage,
  createBudgetStage,
  limitsByAccount,
  type OnMark,
  PLACES_WINDOW_MS,
  type PoolShare,
} from '@authority/kernel/budget'
import { bunMac, createCapabilityStage, type OperatorCapabilities, patternRules } from '@authority/kernel/capability'
import { type FsDependencies, fsEffects, linuxSyscalls, type Mounts, openMounts } from '@authority/kernel/effects/fs'
import {
  builtInRoots,
  createResolver,
  listenObject,
  netBytes,
  netEffects,
  type PublishedPort,
  PublishedPorts,
  type ResolverChoice,
} from '@authority/kernel/effects/net'
import { AdmitPipeline, COALESCE_MS, OperationRegistry, type OperatorOperation } from '@authority/kernel/gate'
import type { Policy } from '@authority/kernel/policy'
import type { Charges, Clock, Json, NamedLimits, SharedKey } from '@authority/kernel/vocabulary'
import { AuthorityError, type OperationName } from '@authority/protocol'
import { assertStillExpected } from '../expectations.ts'
import type { BudgetMark, RunSpec, StartFacts } from '../run-spec.ts'
import { openKeptGate } from './kept-gate.ts'
import { LivePolicy } from './live-policy.ts'
import { NewRepositories } from './new-repositories.ts'
import { highestAtOnce } from './operator-marks.ts'
import { assertNotMounted, operatorPolicy, type PolicyFileSet, type PolicySource, policyOf } from './policy-source.ts'
import { type Reloaded, RunLimits, reload } from './reload.ts'
import { runSpending } from './run-spending.ts'
import { joinSharedBudget } from './shared-budget.ts'

/** What a gate is made of, with or without a machine. */
export interface CoreOptions {
  /** 32 hex digits. */
  readonly run: string
  readonly home: string
  /** `runs/ID` */
  readonly folder: string
  readonly build: string
  readonly isolation: string
  readonly policy: PolicySource
  readonly hosts: readonly (readonly [name: string, address: string])[]
  /** Whom the gate asks for addresses of names. */
  readonly resolver: ResolverChoice
  /** Certificates, PEM, trusted beside the public ones. Left out: none. */
  readonly authorities?: readonly string[]
  /** `-p` */
  readonly published?: readonly PublishedPort[]
  /** `--budget` */
  readonly budgets: Readonly<Record<string, number>>
  readonly mounts: readonly { readonly host: string; readonly guest: string; readonly readonly: boolean; readonly cacheSeconds?: number }[]
  /** Names of the environment, for what a policy expects of it. */
  readonly given?: RunSpec['given']
  /** Files that no mount may change: policy and config in use. */
  readonly guarded: readonly string[]
  /** Of the machine; null: there is none, and nobody measures the CPU time of what runs. */
  readonly cpus: number | null
  /** Facts for the first record. */
  readonly detail: { readonly [key: string]: Json }
  readonly operator: ReadonlyMap<OperationName, OperatorOperation>
  /** Folder of a gate that goes on where its last process ended: same key, same revocations, same counts. */
  readonly keep?: string
  /** Told when 50, 80 and 95 % of a limit are spent; not of token blocks, whose number is the agent's choice. */
  readonly onMark?: (mark: BudgetMark) => void
  /** Told of every request that waits for a person. */
  readonly onApproval?: (pending: PendingApproval) => void
  /** Told of every one that waits no more. */
  readonly onSettled?: (digest: string) => void
}

export interface GateCore {
  readonly clock: Clock
  readonly policy: Policy
  readonly capability: OperatorCapabilities
  readonly budget: BudgetStage
  /** The run's part of what runs share; null where nothing is. */
  readonly shared: PoolShare | null
  readonly audit: RunLog
  readonly mounts: Mounts
  readonly fsContext: FsDependencies
  readonly pipeline: AdmitPipeline
  readonly registry: OperationRegistry
  readonly approvals: ApprovalDesk
  /** Lets another policy decide, durable. Budgets are only ever lowered. Throws PolicyLoadError and E_CONFLICT: nothing has changed then. */
  reload(files: PolicyFileSet, by: string): Promise<Reloaded>
  /** Limits in force: the lower of the policy's and the command line's. */
  readonly limits: Readonly<Record<string, number>>
  /** Seals the log and lets go of everything; no effect is admitted after it. */
  close(end: { readonly endedBy: string; readonly exitCode: number }): Promise<{ readonly seq: number; readonly root: string }>
}

/** Opens the log first and everything else under it: whatever cannot be armed throws before anything was allowed. */
export async function openGateCore(options: CoreOptions): Promise<GateCore> {
  const clock = hostClock()
  const repositories = new NewRepositories()
  const policy = new LivePolicy(policyOf(options.policy, options.hosts, repositories))
  const runGrants = policy.grants
  const limits = new RunLimits(policy.budgets, options.budgets)
  assertMeasured(limits.all, options.cpus)
  const accounts = limitsByAccount(limits.all)
  const sys = linuxSyscalls()
  const mounts = openMounts(sys, options.mounts, { home: options.home, protect: options.guarded })
  const published = await publish(options.published ?? [], policy)
  const installation = await ensureInstallation(options.home)
  const audit = await openRunLog({
    path: join(options.folder, 'audit'),
    installation,
    ...(limits.all['log_bytes'] === undefined ? {} : { maxBytes: limits.all['log_bytes'] }),
    start: {
      type: 'RUN_START',
      run: options.run,
      installation: installation.id,
      build: options.build,
      operator_uid: process.getuid?.() ?? 0,
      policy: policy.id,
      policy_source: policy.source,
      isolation: options.isolation,
      limits: [...accounts].flatMap(([account, charges]) =>
        Object.entries(charges).map(([dimension, limit]) => ({ account, dimension, limit })),
      ),
      detail: options.detail,
    },
  })
  const tell = highestAtOnce((mark) => options.onMark?.(mark))
  const onMark: OnMark = (mark) => {
    appendUnlessLatched(audit, { type: 'MARK', ...mark })
    if (!mark.account.startsWith('block:')) tell(mark)
  }
  const budget = createBudgetStage({ wallMs: () => clock.wallMs(), logBytes: () => audit.frameBytes, onMark })
  for (const [account, charges] of accounts) budget.limit(account, charges)
  const shared = await joinSharedBudget({
    installation,
    runs: dirname(options.folder),
    run: options.run,
    budget,
    audit,
    cpus: options.cpus,
    onMark,
  })
  const kept =
    options.keep === undefined
      ? null
      : await openKeptGate({ folder: options.keep, runs: dirname(options.folder), run: options.run, installation })
  const capability = createCapabilityStage({
    run: kept?.tokens ?? options.run,
    installation: installation.id,
    grants: runGrants,
    // The run's own capability is what the present policy could allow, also after a reload; every other block keeps what it says.
    compile: Object.assign((grants: typeof runGrants) => (grants === runGrants ? policy.rules : patternRules(grants)), {
      plain: patternRules.plain,
    }),
    clock,
    random: randomBytes,
    mac: bunMac,
    ...(kept === null
      ? {}
      : {
          secret: kept.secret,
          revoked: kept.revoked,
          usedBefore: kept.uses,
          onCounting: (block: string) => {
            audit.append({ type: 'USES', block, used: null })
            // Looks are not waited for: this must not wait for the next effect to reach the disk.
            audit.durable().catch(() => undefined)
          },
        }),
    declareBudget: (account, charges) => {
      const limits = lessSpent(charges, kept?.spent.get(account) ?? {})
      audit.append({ type: 'LIMIT', account, limits })
      budget.limit(account, limits)
    },
  })
  const approvals = createApprovals({
    run: options.run,
    audit,
    clock,
    after: later,
    onAsked: options.onApproval ?? (() => undefined),
    onSettled: options.onSettled ?? (() => undefined),
  })
  const pipeline = new AdmitPipeline({ capability, policy, budget, audit, approvals }, () => performance.now() * 1000)
  const fsContext: FsDependencies = {
    sys,
    mounts,
    peek: (question) => policy.decide(question).allow,
    madeFolder: (guest) => repositories.made(guest),
  }
  const fs = fsEffects(fsContext)
  const roots = [...builtInRoots, ...(options.authorities ?? [])]
  const net = netEffects({ resolve: createResolver(options.resolver, roots), hosts: policy.hosts, published, roots })
  const registry = new OperationRegistry({
    gate: pipeline,
    capability,
    budget,
    effects: [...fs.classes, ...net],
    bytes: [...fs.bytes, ...netBytes],
    operator: options.operator,
  })
  let reloading: Promise<unknown> = Promise.resolve()
  const coalescer = setInterval(() => {
    flushQuietly(pipeline)
    // The time of a token may have ended.
    void pipeline.endWithdrawn()
  }, COALESCE_MS)

  const places = setInterval(() => void shared?.giveBackPlaces().catch(() => undefined), PLACES_WINDOW_MS)

  return {
    clock,
    policy,
    capability,
    budget,
    shared,
    audit,
    mounts,
    fsContext,
    pipeline,
    registry,
    get limits() {
      return limits.all
    },
    approvals,
    reload: async (files, by) => {
      assertNotMounted(files.source, options.mounts)
      const next = operatorPolicy(files, options.hosts, repositories)
      assertMeasured(next.budgets, options.cpus)
      assertStillExpected(next, { given: options.given ?? { image: [], env: [] }, mounts: options.mounts })
      // One after the other: each ends with the ports and limits that are its own.
      const reloaded = reloading.then(() => reload({ policy, limits, audit, budget, pipeline, published }, next, by))
      reloading = reloaded.catch(() => undefined)
      return reloaded
    },
    close: async (end) => {
      clearInterval(coalescer)
      clearInterval(places)
      published.close()
      approvals.end()
      if (kept !== null) for (const [block, used] of capability.usesTaken()) appendUnlessLatched(audit, { type: 'USES', block, used })
      capability.end()
      flushQuietly(pipeline, true)
      const { effects, denials } = pipeline.statistics
      const spent = Object.fromEntries(Object.entries(runSpending(budget)).filter(([key]) => !key.includes('.')))
      try {
        const sealed = await audit.seal({ type: 'RUN_END', ended_by: end.endedBy, exit_code: end.exitCode, effects, denials, spent })
        // Where this fails the lease counts in full until the next run settles it from the sealed log.
        await shared?.end().catch(() => undefined)
        return sealed
      } finally {
        kept?.release()
        mounts.close()
      }
    },
  }
}

/** A limit nobody would hold is none. Throws E_UNSUPPORTED. */
function assertMeasured(limits: NamedLimits, cpus: number | null): void {
  if (cpus !== null || limits['cpu_ms'] === undefined) return
  throw new AuthorityError('E_UNSUPPORTED', 'CPU time is measured of a machine, and a gate without one cannot hold it to a budget', {
    hint: 'leave out the `cpu` budget, limit wall_time, or run the program in a machine: `authority run`',
  })
}

/** For the start line: what runs share, as far as it is still free. */
export function sharedFacts({ shared }: Pick<GateCore, 'shared'>): Pick<StartFacts, 'shared'> {
  if (shared === null) return {}
  const { limits, counted } = shared.state
  return {
    shared: Object.entries(limits).map(([dimension, limit]) => ({ dimension, limit, used: counted[dimension as SharedKey] ?? 0 })),
  }
}

/** Listens on what `-p` names. Throws E_POLICY_DENY with what would allow it, E_IO. */
async function publish(ports: readonly PublishedPort[], policy: Policy): Promise<PublishedPorts> {
  for (const port of ports) {
    const object = listenObject(port)
    const decision = policy.decide({ action: 'net.listen', object })
    if (!decision.allow)
      throw new AuthorityError('E_POLICY_DENY', `the policy does not let the agent be reached at ${object}: ${decision.reason}`, {
        hint: decision.fix === null ? 'leave out -p' : `allow it with ${decision.fix}, or leave out -p`,
      })
  }
  const published = new PublishedPorts(ports)
  await published.listen()
  return published
}

function later(ms: number, call: () => void): () => void {
  const timer = setTimeout(call, ms)
  return () => clearTimeout(timer)
}

/** A latched log is told by every later answer; the timer must not throw. */
function flushQuietly(pipeline: AdmitPipeline, all = false): void {
  try {
    pipeline.flush(all)
  } catch {}
}

/** What earlier runs of a kept gate left of a token block's budget. */
function lessSpent(limits: Charges, spent: Charges): Charges {
  const left = Object.entries(limits) as [keyof Charges, number][]
  return Object.fromEntries(left.map(([dimension, limit]) => [dimension, Math.max(0, limit - (spent[dimension] ?? 0))]))
}

/** A note beside the effects: where the log takes nothing more, every later answer says so. */
function appendUnlessLatched(audit: RunLog, record: Parameters<RunLog['append']>[0]): void {
  try {
    audit.append(record)
  } catch {}
}

function hostClock(): Clock {
  return { wallMs: () => Date.now(), monotonicMs: () => performance.now() }
}

function randomBytes(bytes: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(bytes))
}
