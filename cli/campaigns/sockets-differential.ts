import { join } from 'node:path'
import { buildBinary, differentialFolder } from '../acceptance/programs-guest/differential-run.ts'
import { compare } from '../acceptance/sockets-guest/differential-run.ts'
import { freshHome, removeFolder } from '../acceptance/vm-support.ts'

export const about =
  'the same random socket operations in a VM and on the plain host: [SEEDS] [FIRST-SEED] [OPERATIONS]; keep a seed that fails in fixtures'

/** Seeds of one VM. */
const BATCH = 200
/** ms for one VM. */
const DEADLINE_MS = 1_800_000

export async function campaign([
  seeds = '1000',
  first = String(Date.now() % 1_000_000),
  operations = '120',
]: readonly string[]): Promise<number> {
  console.log(`${seeds} seeds from ${first} on, ${operations} operations each`)
  await buildBinary()
  const all = Array.from({ length: Number(seeds) }, (_, i) => Number(first) + i)
  let broken = 0
  for (let at = 0; at < all.length; at += BATCH) {
    const folder = differentialFolder()
    const where = { folder: join(folder, 'sockets'), home: freshHome(folder).path, deadlineMs: DEADLINE_MS }
    const found = await compare(where, all.slice(at, at + BATCH), Number(operations))
    for (const sentence of found) console.log(sentence)
    broken += found.length
    removeFolder(folder)
  }
  return broken
}
