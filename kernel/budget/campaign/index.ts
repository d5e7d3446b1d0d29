import { createBudgetStage } from '../stage.ts'

/** Reserves and captures odd amounts, the way prices come; the sum beside it is a BigInt. */
export function captureMany(
  count: number,
  seed: number,
): { readonly captured: bigint; readonly expected: bigint; readonly reserved: number } {
  const stage = createBudgetStage()
  let state = seed >>> 0
  let expected = 0n
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    const cost = state % 300_007
    const taken = stage.reserve(['run'], { cost_nano_usd: cost + (state & 7), calls: 1 })
    if (!taken.ok) throw new Error('an unlimited account refuses')
    stage.settle(taken.reservation, { cost_nano_usd: cost, calls: 1 })
    expected += BigInt(cost)
  }
  const row = stage.rows(['run']).find(({ dimension }) => dimension === 'cost_nano_usd')
  return { captured: BigInt(row?.captured ?? 0), expected, reserved: row?.reserved ?? 0 }
}
