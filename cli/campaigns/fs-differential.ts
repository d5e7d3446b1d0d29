import { join } from 'node:path'
import { compare, compareInBatches } from '../acceptance/programs-guest/differential-run.ts'
import { freshHome } from '../acceptance/vm-support.ts'

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
  return compareInBatches({ first: Number(first), seeds: Number(seeds), batch: BATCH }, (folder, some) =>
    compare(join(folder, 'files'), freshHome(folder).path, some, Number(operations), DEADLINE_MS),
  )
}
