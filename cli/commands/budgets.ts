import type { Charges, Dimension } from '@authority/kernel/vocabulary'
import { nearest, parseCount, parseDollars, parseDuration, parseSize } from '../config/index.ts'
import { CliError } from '../runs/errors.ts'

/** How people name a dimension, and how its amount is read. */
const KEYS: Readonly<Record<string, { readonly dimension: Dimension; readonly read: (text: string) => number }>> = {
  calls: { dimension: 'calls', read: parseCount },
  tool_calls: { dimension: 'tool_calls', read: parseCount },
  tokens: { dimension: 'tokens', read: parseCount },
  cost: { dimension: 'cost_nano_usd', read: parseDollars },
  bytes: { dimension: 'bytes', read: parseSize },
  wall_time: { dimension: 'wall_time_ms', read: parseDuration },
  cpu: { dimension: 'cpu_ms', read: parseDuration },
  concurrency: { dimension: 'concurrency', read: parseCount },
  log_bytes: { dimension: 'log_bytes', read: parseSize },
}

/** `--budget KEY=N`, as many as there are; the lower of two for one key holds. Throws CliError and ConfigError. */
export function parseBudgets(given: readonly string[]): Charges {
  const limits: Partial<Record<Dimension, number>> = {}
  for (const text of given) {
    const cut = text.indexOf('=')
    const name = cut < 0 ? text : text.slice(0, cut)
    const key = Object.hasOwn(KEYS, name) ? KEYS[name] : undefined
    if (key === undefined) {
      const near = nearest(name, Object.keys(KEYS))
      throw new CliError(
        'usage',
        `\`${name}\` is not a budget`,
        near === undefined ? `budgets are ${Object.keys(KEYS).join(', ')}` : `did you mean --budget ${near}=N?`,
      )
    }
    if (cut < 0) throw new CliError('usage', `--budget ${name} has no amount`, `write it as --budget ${name}=N`)
    const limit = key.read(text.slice(cut + 1))
    limits[key.dimension] = Math.min(limit, limits[key.dimension] ?? limit)
  }
  return limits
}
