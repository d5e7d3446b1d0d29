import { parseMoney } from '@authority/kernel/policy'
import { ConfigError } from './errors.ts'
import { MAX_DURATION_MS } from './limits.ts'

const DURATION_MS: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
])
const SIZE_BYTES: ReadonlyMap<string, number> = new Map([
  ['', 1],
  ['B', 1],
  ['K', 1024],
  ['M', 1024 ** 2],
  ['G', 1024 ** 3],
  ['KiB', 1024],
  ['MiB', 1024 ** 2],
  ['GiB', 1024 ** 3],
  ['TiB', 1024 ** 4],
  ['kB', 1000],
  ['KB', 1000],
  ['MB', 1000 ** 2],
  ['GB', 1000 ** 3],
])

/** `500ms`, `90s`, `5m`, `1h30m` → milliseconds, 1 … thirty days. A bare number is refused: seconds or milliseconds? */
export function parseDuration(text: string): number {
  const bad = () => new ConfigError(undefined, `${JSON.stringify(text)} is not a duration`, 'write it as 500ms, 90s, 5m, 2h or 1h30m')
  if (!/^(?:\d{1,12}(?:ms|s|m|h|d))+$/.test(text)) throw bad()
  let total = 0
  let last = Number.POSITIVE_INFINITY
  for (const [, digits, unit] of text.matchAll(/(\d+)(ms|s|m|h|d)/g)) {
    const factor = DURATION_MS.get(unit ?? '') ?? 0
    // 30m1h or 5m5m are typing errors, not sums
    if (factor >= last) throw bad()
    last = factor
    total += Number(digits) * factor
  }
  if (total < 1 || total > MAX_DURATION_MS) throw new ConfigError(undefined, `${text} is out of range`, 'from 1ms to 30d')
  return total
}

/** `256MiB`, `1GiB`, `64KiB`, `1000` → bytes. `M` and `G` are binary, as QEMU and Docker take them; `MB` and `GB` decimal. */
export function parseSize(text: string): number {
  const match = /^(\d{1,15})([A-Za-z]{0,3})$/.exec(text)
  const factor = SIZE_BYTES.get(match?.[2] ?? '?')
  const bytes = Number(match?.[1]) * (factor ?? Number.NaN)
  if (!Number.isSafeInteger(bytes))
    throw new ConfigError(undefined, `${JSON.stringify(text)} is not a size`, 'write it as 256MiB, 1GiB or a number of bytes')
  return bytes
}

/** `$5`, `$0.25` → 10⁻⁹ US dollar. */
export function parseDollars(text: string): number {
  const nano = parseMoney(text)
  if (nano === null) throw new ConfigError(undefined, `${JSON.stringify(text)} is not an amount of money`, 'write it as $5 or $0.25')
  return nano
}

/** A whole number without sign, unit or leading zeros. */
export function parseCount(text: string): number {
  if (!/^(?:0|[1-9]\d*)$/.test(text))
    throw new ConfigError(undefined, `${JSON.stringify(text)} is not a whole number`, 'write digits only, for example 100')
  const count = Number(text)
  if (!Number.isSafeInteger(count))
    throw new ConfigError(undefined, `${text} is more than can be counted`, `the greatest number is ${Number.MAX_SAFE_INTEGER}`)
  return count
}
