import { passesFilter, type RecordFilter, readRecords, type ShownRecord } from '@authority/kernel/audit'

type Deny = Extract<ShownRecord, { type: 'DENY' }>

/** A refused effect with how often it was tried in all. */
export interface Denied {
  readonly record: Deny
  readonly count: number
}

/** Distinct denials kept: a log may hold any number. */
const MAX_DENIALS = 10_000

/** What a run was refused, in order of appearance, repeats counted, also those outside the filter. */
export async function denialsOf(path: string, filter: RecordFilter = {}): Promise<Denied[]> {
  const bySeq = new Map<number, Mutable>()
  for await (const record of readRecords(path, { types: ['DENY', 'DENY_REPEAT', 'GUEST'] })) {
    if (record.type === 'GUEST') nameProgram(bySeq, record)
    else if (record.type === 'DENY' && bySeq.size < MAX_DENIALS && passesFilter(record, filter)) bySeq.set(record.seq, { record, count: 1 })
    else if (record.type === 'DENY_REPEAT') {
      const first = bySeq.get(record.first)
      if (first !== undefined) first.count += record.count
    }
  }
  return [...bySeq.values()]
}

interface Mutable {
  record: Deny
  count: number
}

/** What init said of the process a denial names by number: written beside it. */
function nameProgram(bySeq: ReadonlyMap<number, Mutable>, { event, detail }: Extract<ShownRecord, { type: 'GUEST' }>): void {
  const { deny, pid, exe } = detail
  const found = typeof deny === 'number' ? bySeq.get(deny) : undefined
  const claimed = found?.record.claimed
  if (event !== 'program' || found === undefined || claimed === undefined || typeof exe !== 'string') return
  if (claimed.pid !== pid || claimed.exe !== '') return
  found.record = { ...found.record, claimed: { ...claimed, exe } }
}
