/**
 * The real gate process with two additions for the tests: every byte it sends to the guest is also written to FOLDER/tap-N, one file per connection, and its
 * peak memory to FOLDER/peak-kib when it ends. Usage: bun tapped-gate.ts FOLDER, then what the supervisor says on descriptor 3.
 */
import { openSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { BunTransport } from '../../machine/index.ts'
import { gateMain } from '../../runs/gate/main.ts'

const folder = process.argv[2] ?? ''
const taps = new WeakMap<BunTransport, number>()
let serial = 0
const write = BunTransport.prototype.write
BunTransport.prototype.write = function (bytes: Uint8Array): void {
  let tap = taps.get(this)
  if (tap === undefined) {
    tap = openSync(join(folder, `tap-${serial++}`), 'wx', 0o600)
    taps.set(this, tap)
  }
  writeSync(tap, bytes)
  write.call(this, bytes)
}
// Not getrusage: its peak includes that of the process which spawned this one.
process.on('exit', () =>
  writeFileSync(join(folder, 'peak-kib'), /VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? ''),
)
await gateMain()
