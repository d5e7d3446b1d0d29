/** The fields of every record (FORMAT.md "Records"). Fields not named here may be added by later builds and are ignored; those named must fit. */
import { MAX_NESTING } from './limits.ts'
import { fromTemplate } from './templates.ts'

export type Fields = { readonly [name: string]: unknown }
type Check = (value: unknown) => boolean

const text: Check = (v) => typeof v === 'string'
const count: Check = (v) => typeof v === 'number' && Number.isSafeInteger(v) && v >= 0
const integer: Check = (v) => typeof v === 'number' && Number.isSafeInteger(v)
const flag: Check = (v) => typeof v === 'boolean'
const object: Check = (v) => typeof v === 'object' && v !== null && !Array.isArray(v)
const hash: Check = (v) => typeof v === 'string' && /^[0-9a-f]{64}$/.test(v)
const hashOrNothing: Check = (v) => v === '' || hash(v)
const id: Check = (v) => typeof v === 'string' && /^[0-9a-f]{32}$/.test(v)
const charges: Check = (v) => {
  if (!object(v)) return false
  for (const dimension in v as object) if (!count((v as Fields)[dimension])) return false
  return true
}
const orNull =
  (check: Check): Check =>
  (v) =>
    v === null || check(v)
const optional =
  (check: Check): Check =>
  (v) =>
    v === undefined || check(v)
const listOf =
  (check: Check): Check =>
  (v) =>
    Array.isArray(v) && v.every(check)
const shaped = (shape: Shape): Check => {
  const rows = Object.entries(shape)
  return (v) => object(v) && fits(v as Fields, rows)
}
const oneOf =
  (...values: readonly string[]): Check =>
  (v) =>
    typeof v === 'string' && values.includes(v)

type Shape = { readonly [field: string]: Check }
type Rows = readonly (readonly [string, Check])[]
/** The shapes of a kind of log, by record type. */
export type Shapes = ReadonlyMap<string, Rows>
const shapesOf = (shapes: { readonly [type: string]: Shape }): Shapes =>
  new Map(Object.entries(shapes).map(([type, shape]) => [type, Object.entries(shape)]))

const claimed = optional(shaped({ pid: count, exe: text }))
const decision: Shape = {
  op: text,
  session: text,
  action: orNull(text),
  object: text,
  requested: text,
  rule: orNull(text),
  policy: text,
  claimed,
}
const noted: Shape = { run: id, size: count, root: hash, chain: hash }

export const RUN_SHAPES: Shapes = shapesOf({
  RUN_START: {
    run: id,
    installation: id,
    build: text,
    operator_uid: count,
    policy: text,
    policy_source: text,
    isolation: text,
    limits: listOf(shaped({ account: text, dimension: text, limit: count })),
    detail: object,
  },
  INTENT: { ...decision, blocks: listOf(text), accounts: listOf(text), reserve: charges, args: optional(hash) },
  OUTCOME: {
    intent: count,
    status: oneOf('ok', 'error', 'unknown', 'void'),
    code: optional(text),
    captured: charges,
    leased: optional(charges),
    overrun: optional(flag),
    detail: optional(object),
    us: optional(
      shaped({
        capability: optional(count),
        policy: optional(count),
        budget: optional(count),
        intent: optional(count),
        execute: optional(count),
      }),
    ),
  },
  LEASE: { intent: count, reserve: charges },
  CLOSE: { intent: count, captured: charges, detail: object },
  DENY: { ...decision, code: text, reason: text, fix: orNull(text), guest_claimed: optional(flag) },
  DENY_REPEAT: { first: count, count },
  LOOK: { counts: listOf(shaped({ op: text, rule: orNull(text), object: text, count })), guest_claimed: optional(flag) },
  STDIO: { fd: count, bytes: count, sha256: hash },
  TIME: { captured: charges },
  REVOKE: { block: text, by: text },
  APPROVAL: {
    event: oneOf('asked', 'once', 'run', 'denied', 'expired', 'withdrawn'),
    request: hash,
    op: text,
    session: text,
    action: text,
    object: text,
    rule: text,
    policy: text,
    by: orNull(text),
  },
  POLICY: { policy: text, source: text, previous: text, by: text },
  LIMIT: { account: text, limits: charges },
  LEASED: { leased: charges },
  USES: { block: text, used: orNull(count) },
  MARK: { account: text, dimension: text, percent: count, captured: count, limit: count },
  GUEST: { event: text, detail: object },
  CHECKPOINT: { size: count, root: hash },
  RECOVERED: { bytes: count, sha256: hashOrNothing },
  FATAL: { reason: text },
  RUN_END: { ended_by: text, exit_code: integer, effects: count, denials: count, spent: charges },
})

export const INSTALLATION_SHAPES: Shapes = shapesOf({
  INSTALLATION: { installation: id, key: text },
  KEY_ROTATED: { certificate: text },
  RUN_OPENED: { ...noted, origin: text, operator_uid: count, build: text, policy: text },
  RUN_CHECKPOINT: noted,
  RUN_SEALED: { ...noted, ended_by: text },
  BUDGET_LIMITS: { limits: charges, by_uid: count },
  BUDGET_LEASE: { run: id, lease: charges },
  BUDGET_RETURN: { run: id, unused: charges },
  BUDGET_SPENT: { run: id, spent: charges },
  BUDGET_ADJUST: { run: id, intent: count, lowered: charges, shared: charges, reason: text, by_uid: count },
  RUN_REMOVED: { run: id, by_uid: count },
  RECOVERED: { bytes: count, sha256: hashOrNothing },
})

function fits(value: Fields, rows: Rows): boolean {
  for (const [field, check] of rows) if (!check(value[field])) return false
  return true
}

/** Whether a value has more than `levels` objects and lists within each other. */
function nests(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (levels === 0) return true
  for (const name in value) if (nests((value as Fields)[name], levels - 1)) return true
  return false
}

export interface ParsedRecord {
  readonly type: string
  readonly t: string
  readonly bootMs: number
  readonly fields: Fields
}

const TIME = /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z$/

/** The record of a payload, or a sentence that says why it is none. */
export function parseRecord(source: string | null, seq: number, shapes: Shapes): ParsedRecord | string {
  if (source === null) return 'the record is not JSON in UTF-8'
  return (shapes === RUN_SHAPES ? fromTemplate(source, seq) : null) ?? parseAnyRecord(source, seq, shapes)
}

/** The order is part of the form: what a record is must stand in front. */
const HEAD = /^\{"seq":[^,"]+,"t":"[^"]*","boot_ms":[^,"]+,"type":"/

/** The general way. */
export function parseAnyRecord(source: string, seq: number, shapes: Shapes): ParsedRecord | string {
  let fields: Fields
  try {
    const value: unknown = JSON.parse(source)
    if (!object(value)) return 'the record is not a JSON object'
    // Duplicate keys and spare spaces would let two readers see two records in the same bytes.
    if (JSON.stringify(value) !== source) return 'the record is not in the one form a record is written in'
    if (nests(value, MAX_NESTING)) return `the record nests more than ${MAX_NESTING} deep`
    fields = value as Fields
  } catch {
    return 'the record is not JSON in UTF-8'
  }
  if (!HEAD.test(source)) return 'the record does not begin with its number, times and type'
  const { type, t, boot_ms: bootMs } = fields
  if (fields.seq !== seq) return `the record says it is number ${String(fields.seq)}`
  const shape = typeof type === 'string' ? shapes.get(type) : undefined
  if (typeof type !== 'string' || !shape) return `records of type ${JSON.stringify(type)} are not known`
  if (typeof t !== 'string' || !TIME.test(t) || !count(bootMs)) return 'the record has no time'
  if (!fits(fields, shape)) return `a field of the ${type} record is missing or wrong`
  return { type, t, bootMs: bootMs as number, fields }
}
