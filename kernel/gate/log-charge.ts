import type { BudgetStage } from '../budget/types.ts'
import type { ResolvedObject } from '../effects/contract.ts'
import type { Json } from '../vocabulary/index.ts'
import type { Allowed } from './judge.ts'
import { END_RECORD_BYTES, INTENT_RECORD_BYTES, MAX_RECORD_TEXT } from './limits.ts'
import { clipText } from './text.ts'
import type { AdmitRequest } from './types.ts'

/**
 * What an effect takes of the log, where a block of its token limits that. The run's own limit is the log's, to the byte; a block pays for its effects: each
 * INTENT as it stands there, and room for the OUTCOME and the CLOSE, which are written when it is too late to refuse.
 */
export function limitsLogBytes(budget: BudgetStage, blocks: readonly string[]): boolean {
  return (
    blocks.length > 0 &&
    budget.available(
      blocks.map((block) => `block:${block}`),
      'log_bytes',
    ) !== Number.POSITIVE_INFINITY
  )
}

/** The most an effect's records can take. */
export function worstLogBytes(request: AdmitRequest, object: ResolvedObject, { rule, blocks }: Allowed): number {
  const texts = [
    clipText(object.object),
    clipText(request.effect.requestedText),
    clipText(rule ?? ''),
    clipText(request.subject.executable ?? ''),
  ]
  // Blocks stand there twice, as accounts too.
  return INTENT_RECORD_BYTES + jsonBytes(texts) + 2 * jsonBytes([...blocks]) + 10 * blocks.length + 2 * END_RECORD_BYTES + MAX_RECORD_TEXT
}

/** Those of an effect that happened: `intent` bytes of its INTENT. Never more than was reserved. */
export function usedLogBytes(reserved: number, intent: number, detail: Json | undefined, leased: boolean): number {
  return Math.min(reserved, intent + (leased ? 2 : 1) * END_RECORD_BYTES + (detail === undefined ? 0 : jsonBytes(detail)))
}

function jsonBytes(value: Json): number {
  return Buffer.byteLength(JSON.stringify(value))
}
