import { OPERATION_CLASSES } from '@authority/kernel/budget'
import type { Dimension } from '@authority/kernel/vocabulary'
import { nearest, parseCount, parseDollars, parseDuration, parseSize } from '../config/index.ts'
import { CliError } from '../runs/errors.ts'

/** How people name a dimension, and how its amount is read. */
const KEYS: Readonly<Record<string, { readonly dimension: Dimension; readonly read: (text: string) => number }>> = {
  calls: { dimension: 'calls', read: parseCount },
  tool_calls: { dimension: 'tool_calls', read: parseCount },
  tokens: { dimension: 'tokens', read: parseCount },
  tokens_in: { dimension: 'tokens_in', read: parseCount },
  tokens_out: { dimension: 'tokens_out', read: parseCount },
  cost: { dimension: 'cost_nano_usd', read: parseDollars },
  bytes: { dimension: 'bytes', read: parseSize },
  bytes_in: { dimension: 'bytes_in', read: parseSize },
  bytes_out: { dimension: 'bytes_out', read: parseSize },
  bytes_written: { dimension: 'bytes_written', read: parseSize },
  wall_time: { dimension: 'wall_time_ms', read: parseDuration },
  cpu: { dimension: 'cpu_ms', read: parseDuration },
  concurrency: { dimension: 'concurrency', read: parseCount },
  log_bytes: { dimension: 'log_bytes', read: parseSize },
}

/** As records, tokens and policies name it, in its own unit. */
const PLAIN: ReadonlyMap<string, Dimension> = new Map(
  (['cost_nano_usd', 'wall_time_ms', 'cpu_ms'] as const).map((dimension) => [dimension, dimension]),
)

/** Time passes for the run as a whole, and the log is the run's. */
const OF_RUN_ONLY = ['wall_time', 'cpu', 'log_bytes']

/** `--budget KEY=N` or CLASS.KEY=N, as many as there are; the lower of two for one key holds. Throws CliError and ConfigError, which name the flag. */
export function parseBudgets(given: readonly string[], flag = 'budget'): Readonly<Record<string, number>> {
  const limits: Record<string, number> = {}
  for (const text of given) {
    const cut = text.indexOf('=')
    const name = cut < 0 ? text : text.slice(0, cut)
    const dot = name.indexOf('.')
    const scope = name.slice(0, dot + 1)
    const base = name.slice(dot + 1)
    if (dot >= 0 && !isClass(name.slice(0, dot)))
      throw new CliError('usage', `\`${name.slice(0, dot)}\` is not a class of operations`, `classes are ${OPERATION_CLASSES.join(', ')}`)
    const plain = PLAIN.get(base)
    if (dot >= 0 && (OF_RUN_ONLY.includes(base) || (plain ?? '').endsWith('_ms')))
      throw new CliError('usage', `${base} is a budget of the whole run`, `write it as --${flag} ${base}=N`)
    const key = plain === undefined ? (Object.hasOwn(KEYS, base) ? KEYS[base] : undefined) : { dimension: plain, read: parseCount }
    if (key === undefined) {
      const near = nearest(base, Object.keys(KEYS))
      throw new CliError(
        'usage',
        `\`${name}\` is not a budget`,
        near === undefined ? `budgets are ${Object.keys(KEYS).join(', ')}` : `did you mean --${flag} ${scope}${near}=N?`,
      )
    }
    if (cut < 0) throw new CliError('usage', `--${flag} ${name} has no amount`, `write it as --${flag} ${name}=N`)
    const limit = key.read(text.slice(cut + 1))
    const full = `${scope}${key.dimension}`
    limits[full] = Math.min(limit, limits[full] ?? limit)
  }
  return limits
}

function isClass(name: string): boolean {
  return (OPERATION_CLASSES as readonly string[]).includes(name)
}
