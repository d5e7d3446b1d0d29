import { join } from 'node:path'
import { buildBinary, compare, differentialFolder } from '../acceptance/programs-guest/differential-run.ts'
import { freshHome, removeFolder } from '../acceptance/vm-support.ts'

export const about =
  'the same random file operations on a mount in a VM and on a plain folder: [SEEDS] [FIRST-SEED] [OPERATIONS]; keep a seed that fails in fixtures'

/** Seeds of one VM. */
const BATCH = 25
/** ms for one VM. */
const DEADLINE_MS = 1_800_000

export async function campaign([
  seeds = '100',
  first = String(Date.now() % 1_000_000),
  operations = '150',
]: readonly string[]): Promise<number> {
  console.log(`${seeds} seeds from ${first} on, ${operations} operations each`)
  await buildBinary()
  const all = Array.from({ length: Number(seeds) }, (_, i) => Number(first) + i)
  let broken = 0
  for (let at = 0; at < all.length; at += BATCH) {
    const folder = differentialFolder()
    const found = await compare(join(folder, 'files'), freshHome(folder).path, all.slice(at, at + BATCH), Number(operations), DEADLINE_MS)
    for (const sentence of found) console.log(sentence)
    broken += found.length
    removeFolder(folder)
  }
  return broken
}
