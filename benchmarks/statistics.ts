/** p in 0…1 of unsorted samples. */
export function percentile(samples: readonly number[], p: number): number {
  const sorted = [...samples].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(p * sorted.length))] ?? Number.NaN
}

export function median(samples: readonly number[]): number {
  return percentile(samples, 0.5)
}

export interface Row {
  readonly what: string
  readonly measured: string
  readonly ratio: number
  /** `≤ 1.6` or `≥ 15` */
  readonly target: string
  readonly met: boolean
}

export function atMost(what: string, measured: string, ratio: number, limit: number): Row {
  return { what, measured, ratio, target: `≤ ${limit}×`, met: ratio <= limit }
}

export function atLeast(what: string, measured: string, ratio: number, limit: number): Row {
  return { what, measured, ratio, target: `≥ ${limit}×`, met: ratio >= limit }
}

export function printRows(rows: readonly Row[]): void {
  for (const { what, measured, ratio, target, met } of rows)
    console.log(`${met ? 'met ' : 'MISS'}  ${ratio.toFixed(2).padStart(7)}× (${target})  ${what}: ${measured}`)
}
