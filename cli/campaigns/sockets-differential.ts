import { join } from 'node:path'
import { compareInBatches } from '../acceptance/programs-guest/differential-run.ts'
import { compare } from '../acceptance/sockets-guest/differential-run.ts'
import { freshHome } from '../acceptance/vm-support.ts'

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
  return compareInBatches({ first: Number(first), seeds: Number(seeds), batch: BATCH }, (folder, some) =>
    compare({ folder: join(folder, 'sockets'), home: freshHome(folder).path, deadlineMs: DEADLINE_MS }, some, Number(operations)),
  )
}
