const BINARY = { step: 1024, units: ['B', 'KiB', 'MiB', 'GiB', 'TiB'] } as const
const DECIMAL = { step: 1000, units: ['B', 'kB', 'MB', 'GB', 'TB'] } as const
const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const NANO = 1_000_000_000

/** `512 B`, `1.5 MiB`; an amount that somebody wrote in thousands is told in thousands: `50 MB`. */
export function formatBytes(bytes: number): string {
  const { step, units } = bytes > 0 && bytes % DECIMAL.step === 0 && bytes % BINARY.step !== 0 ? DECIMAL : BINARY
  let value = bytes
  let unit = 0
  while (value >= step && unit < units.length - 1) {
    value /= step
    unit += 1
  }
  return `${trim(value)} ${units[unit]}`
}

/** `35 ms`, `2.1 s`, `5 min`, `1 h 30 min`. */
export function formatMs(ms: number): string {
  if (ms < SECOND_MS) return `${ms} ms`
  if (ms < MINUTE_MS) return `${trim(ms / SECOND_MS)} s`
  const minutes = Math.floor((ms % HOUR_MS) / MINUTE_MS)
  const seconds = Math.floor((ms % MINUTE_MS) / SECOND_MS)
  if (ms < HOUR_MS) return `${minutes} min${seconds === 0 ? '' : ` ${seconds} s`}`
  return `${Math.floor(ms / HOUR_MS)} h${minutes === 0 ? '' : ` ${minutes} min`}`
}

/** 10⁻⁹ US dollar as `$0.25`: exact, without trailing zeros beyond cents. */
export function formatDollars(nano: number): string {
  const fraction = String(nano % NANO)
    .padStart(9, '0')
    .replace(/0{1,7}$/, '')
  return `$${Math.floor(nano / NANO)}.${fraction}`
}

/** A charge as people write it, its dimension's name without the unit. */
export function formatCharge(dimension: string, value: number): string {
  if (dimension.endsWith('cost_nano_usd')) return formatDollars(value)
  if (/bytes(_in|_out|_written)?$/.test(dimension)) return formatBytes(value)
  if (dimension.endsWith('_ms')) return formatMs(value)
  return String(value)
}

/** `cost $0.25, calls 3`. */
export function amountsText(charges: { readonly [dimension: string]: number | undefined }): string {
  return Object.entries(charges)
    .map(([dimension, amount = 0]) => `${dimensionName(dimension)} ${formatCharge(dimension, amount)}`)
    .join(', ')
}

const NAMES: Readonly<Record<string, string>> = { cost_nano_usd: 'cost', wall_time_ms: 'wall time', cpu_ms: 'CPU time' }

const KEYS: Readonly<Record<string, string>> = { cost_nano_usd: 'cost', wall_time_ms: 'wall_time', cpu_ms: 'cpu' }

/** As `--budget` takes it. */
export function budgetKey(dimension: string): string {
  return KEYS[dimension] ?? dimension
}

/** An account of what all runs share, of all operations or of one class. */
export function isShared(account: string): boolean {
  return account === 'installation' || account.startsWith('installation:')
}

/** `net ` of `class:net` and of `installation:net`; nothing of the others. */
export function classOf(account: string): string {
  const [, name] = /^(?:class|installation):([a-z]+)$/.exec(account) ?? []
  return name === undefined ? '' : `${name} `
}

export function dimensionName(dimension: string): string {
  const cut = dimension.indexOf('.')
  // `net.calls` of one class of operations.
  if (cut > 0) return `${dimension.slice(0, cut)} ${dimensionName(dimension.slice(cut + 1))}`
  return NAMES[dimension] ?? dimension.replaceAll('_', ' ')
}

function trim(value: number): string {
  return value.toFixed(1).replace(/\.0$/, '')
}
