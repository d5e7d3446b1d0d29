/**
 * One run of its own process for tests of several: mounts the folder given with this host's kernel as the guest, says where (or `cannot`), and ends with its
 * standard input.
 */
import { mountWithKernel } from './kernel-client.ts'
import { makeWorld } from './pipeline.ts'

const [, , host = ''] = process.argv
const world = makeWorld({ mounts: () => [{ guest: '/work', host, readonly: false }] })
const mounted = mountWithKernel(world)
process.stdout.write(`${mounted?.point ?? 'cannot'}\n`)
for await (const _ of process.stdin) {
  // nothing is said; the end is what counts
}
await mounted?.close()
await world.close()
process.exit(0)
