import { compareFamilies } from '@authority/kernel/capability/campaign'

export const about = 'random tokens and their ancestors against a naive evaluator: [CASES] [SEED]'

/** Families at once: a stage is bounded in what it remembers. */
const BATCH = 2000

export async function campaign([cases = '1000000', seed = String(Date.now())]: readonly string[]): Promise<number> {
  console.log(`seed ${seed}, ${cases} answers`)
  let done = 0
  for (let batch = 0; done < Number(cases); batch++) done += compareFamilies(BATCH, Number(seed) + batch).cases
  console.log(`${done} answers agree; no child allows what its parent refuses`)
  return 0
}
