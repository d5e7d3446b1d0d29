import { fuzzProtocol } from '@authority/protocol/fuzz'

export const about = 'every parser of the wire on mutated input: [ITERATIONS] [SEED]'

export async function campaign([iterations = '200000', seed = String(Date.now())]: readonly string[]): Promise<number> {
  console.log(`seed ${seed}, ${iterations} inputs`)
  fuzzProtocol({ seed: Number(seed), iterations: Number(iterations) })
  return 0
}
