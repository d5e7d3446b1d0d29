/** The real pipeline around an effect that does nothing. argv: SOCKET HOME durable|written */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { BunTransport } from '@authority/cli/transport'
import { ensureInstallation, openRunLog } from '@authority/kernel/audit'
import { hostContext } from '@authority/kernel/audit/host'
import { createBudgetStage } from '@authority/kernel/budget'
import { bunMac, createCapabilityStage, patternRules } from '@authority/kernel/capability'
import type { EffectClass } from '@authority/kernel/effects/contract'
import { AdmitPipeline, OperationRegistry, serveSocketSession } from '@authority/kernel/gate'
import { loadPolicy } from '@authority/kernel/policy'

/** The adapter keeps its methods on the prototype: delegate, do not spread. */
function withoutFlush<T extends object>(fs: T): T {
  return Object.assign(Object.create(fs), { datasync: () => undefined }) as T
}

const [path = '', home = '', mode = 'durable'] = process.argv.slice(2)
const run = Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString('hex')
const policy = loadPolicy(
  new TextEncoder().encode('{"version":"1.0","fs":{"read":["/bench"]},"budgets":{"calls":1000000000}}'),
  'bench.json',
)
const host = hostContext()
// Everything but the wait for the disk: what the gate itself costs.
const context = mode === 'durable' ? host : { ...host, fs: withoutFlush(host.fs) }
const installation = await ensureInstallation(home, context)
mkdirSync(join(home, 'runs'), { recursive: true, mode: 0o700 })
mkdirSync(join(home, 'runs', run), { mode: 0o700 })
const limits = [{ account: 'run', dimension: 'calls', limit: 1e9 }]
const audit = await openRunLog({
  path: join(home, 'runs', run, 'audit'),
  installation,
  start: {
    type: 'RUN_START',
    run,
    installation: installation.id,
    build: 'bench',
    operator_uid: 0,
    policy: policy.id,
    policy_source: 'bench',
    isolation: 'none',
    limits,
    detail: {},
  },
})
const budget = createBudgetStage({ limits: { calls: 1e9 }, wallMs: () => Date.now() })
const clock = { wallMs: () => Date.now(), monotonicMs: () => performance.now() }
const random = (bytes: number): Uint8Array => crypto.getRandomValues(new Uint8Array(bytes))
const capability = createCapabilityStage({
  run,
  installation: installation.id,
  grants: policy.grants,
  compile: patternRules,
  clock,
  random,
  mac: bunMac,
  declareBudget: () => undefined,
})
const nothing: EffectClass = {
  operation: 'state.put',
  prepare: () => ({
    requested: [{ action: 'fs.read', object: '/bench' }],
    requestedText: '/bench',
    resolve: () => ({ questions: [{ action: 'fs.read', object: '/bench' }], object: '/bench' }),
    worstCase: () => ({}),
    execute: () => ({ result: [] }),
    release: () => undefined,
  }),
}
const registry = new OperationRegistry({
  gate: new AdmitPipeline({ capability, policy, budget, audit }),
  capability,
  budget,
  effects: [nothing],
  bytes: [],
})
Bun.listen<BunTransport>({
  unix: path,
  socket: {
    binaryType: 'uint8array',
    open(socket) {
      serveSocketSession({
        transport: new BunTransport(socket),
        subject: { session: 'bench:1', via: 'session' },
        run,
        registry,
        onEnd: () => undefined,
      })
    },
    data: (socket, chunk) => socket.data.received(chunk),
    drain: (socket) => socket.data.drained(),
    close: (socket) => socket.data.ended(),
  },
})
process.stdout.write('ready\n')
