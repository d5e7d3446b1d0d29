/** Seeded changes of what records say: a field set, taken out, renamed or moved, an amount moved, a record left out, a spelling changed. */
import type { Json } from '../../vocabulary/index.ts'

interface Edited {
  /** For `rewritten`: the payload as it shall be, null to leave the record out. */
  readonly edit: (payload: string, seq: number) => string | null
  /** What was done, once it was. */
  readonly name: () => string
}

type Fields = { [name: string]: Json }

const STRANGE: readonly Json[] = [
  null,
  true,
  -1,
  0,
  1,
  1.5,
  2 ** 53,
  1e21,
  '',
  'x',
  '\ud800',
  [],
  {},
  [null],
  { bytes: 1 },
  { bytes: -1 },
  { __proto__: 1 },
  { concurrency: 1 },
  { calls: 9e15 },
  ['run', 'run'],
  'unknown',
  'RUN_END',
  'f'.repeat(64),
]

/** CHECKPOINT records, whose notes are gone, become others that say nothing. About one record in a hundred is changed. */
export function editedRecords(random: () => number): Edited {
  const done: string[] = []
  const below = (n: number): number => Math.floor(random() * n)
  const edit = (payload: string): string | null => {
    const record = JSON.parse(payload) as Fields
    record.seq = seq++
    if (record.type === 'CHECKPOINT')
      return JSON.stringify({ seq: record.seq, t: record.t as Json, boot_ms: record.boot_ms as Json, type: 'TIME', captured: {} })
    if (random() > 0.01) return JSON.stringify(record)
    const names = Object.keys(record)
    const name = names[below(names.length)] ?? 'seq'
    const kind = below(8)
    done.push(`${String(record.type)}@${seq - 1} kind ${kind} of ${name}`)
    return changed(record, name, kind)
  }
  const changed = (record: Fields, name: string, kind: number): string | null => {
    const value = record[name] as Json
    const inner = typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.keys(value) : []
    if (kind === 0) record[name] = STRANGE[below(STRANGE.length)] as Json
    else if (kind === 1) delete record[name]
    else if (kind === 2) record[`${name}x`] = value
    else if (kind === 3 && inner.length > 0)
      (value as Fields)[inner[below(inner.length)] ?? ''] = below(3) === 0 ? below(5) : 10 ** below(16)
    else if (kind === 3 && typeof value === 'number') record[name] = value + below(5) - 2
    else if (kind === 4) return respelled(JSON.stringify(record), below(6))
    else if (kind === 5) return moved(record, name)
    else if (kind === 6) record.type = TYPES[below(TYPES.length)] ?? 'TIME'
    else if (kind === 7) {
      seq--
      return null
    }
    return JSON.stringify(record)
  }
  let seq = 0
  return { edit, name: () => done.join('; ') || 'checkpoints taken away' }
}

const TYPES = ['INTENT', 'OUTCOME', 'CLOSE', 'LEASE', 'TIME', 'RUN_START', 'RUN_END', 'RECOVERED', 'FATAL', 'NEWS', 'DENY', 'LIMIT']

/** The same value in another spelling, or text that is none. */
function respelled(text: string, kind: number): string {
  if (kind === 0) return ` ${text}`
  if (kind === 1) return text.replace(':', ': ')
  if (kind === 2) return text.replace(/(\d)([,}])/, '$1.0$2')
  if (kind === 3) return text.replace('{', '{"seq":0,')
  if (kind === 4) return text.replace(/"([a-z])/, '"\\u0061$1')
  return text.slice(0, -1)
}

function moved(record: Fields, name: string): string {
  const { [name]: value, ...rest } = record
  return JSON.stringify({ ...rest, [name]: value })
}
