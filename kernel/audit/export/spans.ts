/** Records as spans: one for the run, one below it for each effect, denials as events of the run (GenAI semantic conventions where they apply). */
import { sha256, toHex } from '../hash.ts'
import type { ShownRecord } from '../show.ts'
import type { Attributes, Span, SpanEvent } from './encode.ts'
import { MAX_EVENTS, MAX_OPEN_SPANS } from './limits.ts'

type Of<Type extends ShownRecord['type']> = Extract<ShownRecord, { type: Type }>

/** Effects that never ended in what was read are exported as errors when the log ends. */
export class Spans {
  readonly #open = new Map<number, { readonly intent: Of<'INTENT'>; outcome: Of<'OUTCOME'> | null }>()
  readonly #events: SpanEvent[] = []
  #dropped = 0
  #run: Of<'RUN_START'> | null = null
  #end: Of<'RUN_END'> | null = null
  #lastMs = 0

  /** What every span is about; empty before RUN_START. */
  get resource(): Attributes {
    const run = this.#run
    return {
      'service.name': 'authority',
      ...(run
        ? {
            'service.version': run.build,
            'authority.installation': run.installation,
            'authority.run': run.run,
            'authority.policy': run.policy,
            'authority.isolation': run.isolation,
          }
        : {}),
    }
  }

  /** Spans that ended with this record. */
  add(record: ShownRecord): Span[] {
    this.#lastMs = Math.max(this.#lastMs, Date.parse(record.t))
    switch (record.type) {
      case 'RUN_START':
        this.#run = record
        return []
      case 'RUN_END':
        this.#end = record
        return []
      case 'INTENT':
        this.#open.set(record.seq, { intent: record, outcome: null })
        return this.#open.size > MAX_OPEN_SPANS ? this.#oldest() : []
      case 'OUTCOME':
        return this.#outcome(record)
      case 'CLOSE':
        return this.#close(record)
      case 'DENY':
      case 'DENY_REPEAT':
        this.#event(record)
        return []
      default:
        return []
    }
  }

  #oldest(): Span[] {
    const [seq, open] = this.#open.entries().next().value ?? []
    if (seq === undefined || !open) return []
    this.#open.delete(seq)
    return [this.#span(open.intent, open.outcome, this.#lastMs, {})]
  }

  #outcome(record: Of<'OUTCOME'>): Span[] {
    const open = this.#open.get(record.intent)
    if (!open) return []
    open.outcome = record
    if (record.leased) return []
    this.#open.delete(record.intent)
    return [this.#span(open.intent, record, Date.parse(record.t), {})]
  }

  #close(record: Of<'CLOSE'>): Span[] {
    const open = this.#open.get(record.intent)
    if (!open?.outcome) return []
    this.#open.delete(record.intent)
    return [this.#span(open.intent, open.outcome, Date.parse(record.t), amounts('authority.closed.', record.captured))]
  }

  #event(record: Of<'DENY'> | Of<'DENY_REPEAT'>): void {
    if (this.#events.length >= MAX_EVENTS) {
      this.#dropped++
      return
    }
    const { seq, t } = record
    const facts: Attributes =
      record.type === 'DENY'
        ? {
            'authority.operation': record.op,
            'authority.object': record.object,
            'authority.code': record.code,
            'authority.reason': record.reason,
            ...(record.rule === null ? {} : { 'authority.rule': record.rule }),
          }
        : { 'authority.first': record.first, 'authority.count': record.count }
    const name = record.type === 'DENY' ? 'authority.denied' : 'authority.denied_again'
    this.#events.push({ ms: Date.parse(t), name, attributes: { 'authority.seq': seq, ...facts } })
  }

  /** What is left: effects without an end, and the run itself. */
  finish(): Span[] {
    const open = [...this.#open.values()].map(({ intent, outcome }) => this.#span(intent, outcome, this.#lastMs, {}))
    this.#open.clear()
    const run = this.#run
    if (!run) return open
    const end = this.#end
    const root: Span = {
      traceId: run.run,
      spanId: this.#id(0),
      parentId: null,
      name: 'authority run',
      kind: 'internal',
      startMs: Date.parse(run.t),
      endMs: Math.max(Date.parse(run.t), this.#lastMs),
      attributes: {
        'authority.seq': 0,
        ...(end
          ? {
              'authority.ended_by': end.ended_by,
              'process.exit.code': end.exit_code,
              'authority.effects': end.effects,
              'authority.denials': end.denials,
              ...amounts('authority.spent.', end.spent),
            }
          : { 'authority.ended_by': 'not yet' }),
      },
      events: this.#events,
      droppedEvents: this.#dropped,
      status: end ? 'ok' : 'unset',
    }
    return [...open, root]
  }

  /** First 8 bytes of a hash: the same record always has the same span. */
  #id(seq: number): string {
    return toHex(sha256(new TextEncoder().encode(`authority/span/v1\n${this.#run?.run ?? ''}\n${seq}`)).subarray(0, 8))
  }

  #span(intent: Of<'INTENT'>, outcome: Of<'OUTCOME'> | null, endMs: number, more: Attributes): Span {
    const startMs = Date.parse(intent.t)
    const status = outcome?.status ?? 'unknown'
    return {
      traceId: this.#run?.run ?? '0'.repeat(32),
      spanId: this.#id(intent.seq),
      parentId: this.#id(0),
      name: nameOf(intent),
      kind: intent.op.startsWith('fs.') || intent.op.startsWith('state.') ? 'internal' : 'client',
      startMs,
      endMs: Math.max(startMs, endMs),
      attributes: {
        'authority.seq': intent.seq,
        'authority.operation': intent.op,
        'authority.object': intent.object,
        'authority.session': intent.session,
        'authority.status': status,
        ...(intent.rule === null ? {} : { 'authority.rule': intent.rule }),
        ...(outcome?.code === undefined ? {} : { 'error.type': outcome.code }),
        ...amounts('authority.reserved.', intent.reserve),
        ...amounts('authority.captured.', outcome?.captured ?? {}),
        ...amounts('authority.us.', { ...outcome?.us }),
        ...genAi(intent),
        ...more,
      },
      events: [],
      droppedEvents: 0,
      status: status === 'ok' ? 'ok' : 'error',
      ...(status === 'ok' ? {} : { message: outcome?.code ?? status }),
    }
  }
}

/** `{operation} {target}` where the conventions for GenAI ask for it. */
function nameOf({ op, object }: Of<'INTENT'>): string {
  if (op.startsWith('infer')) return `chat ${object}`
  return op.startsWith('tool') ? `execute_tool ${object}` : op
}

function genAi({ op, object }: Of<'INTENT'>): Attributes {
  if (op.startsWith('infer')) return { 'gen_ai.operation.name': 'chat', 'gen_ai.request.model': object }
  return op.startsWith('tool') ? { 'gen_ai.operation.name': 'execute_tool', 'gen_ai.tool.name': object } : {}
}

function amounts(prefix: string, charges: Readonly<Record<string, number | undefined>>): Attributes {
  return Object.fromEntries(Object.entries(charges).map(([name, amount]) => [`${prefix}${name}`, amount ?? 0]))
}
