/**
 * A real gate without a machine, for the tests of both SDKs: `bun sdk-gate.ts FOLDER POLICY HOST:GUEST…` serves FOLDER/gate.sock and keeps its home in
 * FOLDER/home. Says `ready` when it listens; ends, sealing its log, when stdin does.
 */
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { serveSocketSession } from '@authority/kernel/gate'
import { openGateCore } from '../runs/gate/core.ts'
import { listenUnix } from '../runs/gate/unix-server.ts'

const [folder, policy, ...volumes] = process.argv.slice(2)
if (folder === undefined || policy === undefined) throw new Error('usage: sdk-gate.ts FOLDER POLICY HOST:GUEST…')
const run = Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString('hex')
const home = join(folder, 'home')
mkdirSync(join(home, 'run'), { recursive: true, mode: 0o700 })

const core = await openGateCore({
  run,
  home,
  folder: join(home, 'run'),
  build: 'test',
  isolation: 'none',
  policy: { bytes: readFileSync(policy), source: policy, kind: 'operator' },
  hosts: [],
  budgets: {},
  mounts: volumes.map((volume) => {
    const [host = '', guest = ''] = volume.split(':')
    return { host, guest, readonly: false }
  }),
  guarded: [],
  detail: {},
  operator: new Map(),
})
const server = listenUnix(join(folder, 'gate.sock'), (transport, number) =>
  serveSocketSession({
    transport,
    subject: { session: `socket:${number}`, via: 'session' },
    run,
    registry: core.registry,
    onEnd: () => undefined,
  }),
)
process.stdout.write('ready\n')
for await (const _ of Bun.stdin.stream()) {
}
server.stop()
await core.close({ endedBy: 'exit', exitCode: 0 })
process.exit(0)
