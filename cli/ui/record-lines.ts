import { escapeForDisplay, type ShownRecord } from '@authority/kernel/audit'
import { clip, safe } from './text.ts'
import { classOf, dimensionName, formatBytes, formatCharge, isShared } from './units.ts'

/** Characters of one text of a record in a line. */
const MAX_TEXT = 600
const STREAMS = ['stdin', 'stdout', 'stderr'] as const

/** Text of a record: may be the guest's, so nothing in it acts on a terminal. */
const shown = (text: string): string => clip(escapeForDisplay(text), MAX_TEXT)

/** One record as one line: number, time, what. */
export function recordLine(record: ShownRecord): string {
  // Once more over the whole line: a field that is a number or a rule today may be the guest's text in a hostile log.
  return safe(`${String(record.seq).padStart(6)}  ${record.t.slice(11, 23)}  ${what(record)}`)
}

function what(record: ShownRecord): string {
  switch (record.type) {
    case 'RUN_START':
      return `RUN_START run ${record.run}, build ${shown(record.build)}, uid ${record.operator_uid}, policy ${record.policy.slice(0, 8)} (${shown(record.policy_source)}), ${shown(record.isolation)}`
    case 'INTENT':
      return `INTENT ${record.op} ${shown(record.object)}${requested(record)}, by ${record.rule ?? 'no rule'}${charges(', reserves', record.reserve)}${by(record)}`
    case 'OUTCOME':
      return `OUTCOME of ${record.intent}: ${record.status}${record.code === undefined ? '' : ` ${record.code}`}${charges(', took', record.captured)}${record.overrun === true ? ', OVERRUN' : ''}${stages({ ...record.us })}`
    case 'LEASE':
      return `LEASE of ${record.intent}${charges(', reserves', record.reserve)}`
    case 'CLOSE':
      return `CLOSE of ${record.intent}${charges(', took', record.captured)} ${shown(JSON.stringify(record.detail))}`
    case 'DENY':
      return `DENY ${record.op} ${shown(record.object)}${requested(record)}: ${record.code}, ${shown(record.reason)}${by(record)}`
    case 'DENY_REPEAT':
      return `DENY again, ${record.count} times as in ${record.first}`
    case 'LOOK':
      return `LOOK ${record.counts.map(({ op, object, count }) => `${op} ${shown(object)} ×${count}`).join(', ')}`
    case 'STDIO':
      return `STDIO ${STREAMS[record.fd] ?? record.fd}: ${formatBytes(record.bytes)}, sha256 ${record.sha256}`
    case 'TIME':
      return `TIME${charges('', record.captured)}`
    case 'REVOKE':
      return `REVOKE ${record.block} by ${shown(record.by)}`
    case 'APPROVAL':
      return `APPROVAL ${record.event} ${record.request.slice(0, 12)} ${record.op} ${shown(record.object)}${record.by === null ? '' : ` by ${shown(record.by)}`}`
    case 'POLICY':
      return `POLICY ${record.policy.slice(0, 8)} (${shown(record.source)}) instead of ${record.previous.slice(0, 8)}, by ${shown(record.by)}${(record.unpublished ?? []).map((object) => `; no longer published: ${shown(object)}`).join('')}`
    case 'LIMIT':
      return `LIMIT of ${shown(record.account)}${charges(':', record.limits)}`
    case 'USES':
      return `USES of ${shown(record.block)}: ${record.used === null ? 'counted from here on' : record.used}`
    case 'LEASED':
      return `LEASED of the installation's budget${charges(':', record.leased)}`
    case 'MARK':
      if (isShared(record.account))
        return `MARK runs have spent or leased ${record.percent} % of the ${classOf(record.account)}${dimensionName(record.dimension)} they share: ${formatCharge(record.dimension, record.captured)} of ${formatCharge(record.dimension, record.limit)}`
      return `MARK ${shown(record.account)} has used ${record.percent} % of its ${dimensionName(record.dimension)}: ${formatCharge(record.dimension, record.captured)} of ${formatCharge(record.dimension, record.limit)}`
    case 'GUEST':
      return `GUEST ${shown(record.event)} ${shown(JSON.stringify(record.detail))}`
    case 'CHECKPOINT':
      return `CHECKPOINT of ${record.size} records, root ${record.root}`
    case 'RECOVERED':
      return `RECOVERED ${record.bytes} bytes of a torn tail cut off`
    case 'FATAL':
      return `FATAL ${shown(record.reason)}`
    case 'RUN_END':
      return `RUN_END by ${shown(record.ended_by)}, exit code ${record.exit_code}, ${record.effects} effects, ${record.denials} denials${charges(', spent', record.spent)}`
  }
}

function requested(record: { readonly requested: string; readonly object: string }): string {
  return record.requested === record.object || record.requested === '' ? '' : ` (asked for ${shown(record.requested)})`
}

/** Which process asked is the guest's own word. */
function by({ claimed }: { readonly claimed?: { readonly pid: number; readonly exe: string } | undefined }): string {
  if (claimed === undefined) return ''
  return `, guest claims ${claimed.exe === '' ? '' : `${shown(claimed.exe)} `}pid ${claimed.pid}`
}

function stages(us: Readonly<Partial<Record<string, number>>>): string {
  const parts = Object.entries(us).map(([stage, time]) => `${stage} ${time}`)
  return parts.length === 0 ? '' : `, µs: ${parts.join(', ')}`
}

function charges(word: string, amounts: Readonly<Partial<Record<string, number>>>): string {
  const parts = Object.entries(amounts).map(([dimension, amount]) => `${dimensionName(dimension)} ${formatCharge(dimension, amount ?? 0)}`)
  return parts.length === 0 ? '' : `${word} ${parts.join(', ')}`
}
