/**
 * The two records most of a log consists of, recognised whole: a text that matches is canonical and has the right fields by the shape of the pattern, and only the
 * few values the rules need are parsed. Everything else takes the general way (shapes.ts); both must say the same, which a test holds them to.
 */
import type { ParsedRecord } from './shapes.ts'

/** A string without escapes: then its one canonical form is itself. */
const S = '"[^"\\\\\\x00-\\x1f]*"'
const N = '(0|[1-9][0-9]{0,14})'
const LIST = `\\[(?:${S}(?:,${S})*)?\\]`
const FLAT = '\\{[^{}]*\\}'
const HEAD = `^\\{"seq":${N},"t":"([0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\\.[0-9]{3}Z)","boot_ms":${N},"type":`
const INTENT = new RegExp(
  `${HEAD}"INTENT","op":${S},"session":${S},"action":(?:null|${S}),"object":${S},"requested":${S},"rule":(?:null|${S}),"policy":${S},"blocks":${LIST},"accounts":(${LIST}),"reserve":(${FLAT})(?:,"args":"[0-9a-f]{64}")?\\}$`,
)
const OUTCOME = new RegExp(
  `${HEAD}"OUTCOME","intent":${N},"status":"(ok|error|unknown|void)",(?:"code":${S},)?"captured":(${FLAT})(?:,"leased":(${FLAT}))?(?:,"us":(${FLAT}))?\\}$`,
)
const STAGES: ReadonlySet<string> = new Set(['capability', 'policy', 'budget', 'intent', 'execute'])
/** Where a type stands: `{"seq":N,"t":"…","boot_ms":N,"type":"` is at least this long. */
const TYPE_FROM = 50

/** Null when the text is not one of them, or not exactly so: that means nothing yet. */
export function fromTemplate(text: string, seq: number): ParsedRecord | null {
  if (text.includes('"type":"INTENT"', TYPE_FROM)) return intent(text, seq)
  return text.includes('"type":"OUTCOME"', TYPE_FROM) ? outcome(text, seq) : null
}

function intent(text: string, seq: number): ParsedRecord | null {
  const match = INTENT.exec(text)
  if (match === null || match[1] !== String(seq)) return null
  const reserve = amounts(match[5] as string)
  if (reserve === null) return null
  const accounts: unknown = JSON.parse(match[4] as string)
  return { type: 'INTENT', t: match[2] as string, bootMs: Number(match[3]), fields: { accounts, reserve } }
}

function outcome(text: string, seq: number): ParsedRecord | null {
  const match = OUTCOME.exec(text)
  if (match === null || match[1] !== String(seq)) return null
  const captured = amounts(match[6] as string)
  const leased = match[7] === undefined ? undefined : amounts(match[7])
  const us = match[8] === undefined ? undefined : amounts(match[8])
  if (captured === null || leased === null || us === null) return null
  for (const stage in us) if (!STAGES.has(stage)) return null
  return {
    type: 'OUTCOME',
    t: match[2] as string,
    bootMs: Number(match[3]),
    fields: { intent: Number(match[4]), status: match[5], captured, leased },
  }
}

type Amounts = { readonly [dimension: string]: number }

/** Small integers by name, in canonical form; null for anything else. The same few texts come again and again. */
function amounts(text: string): Amounts | null {
  const known = recent.get(text)
  if (known !== undefined) return known
  let value: Amounts
  try {
    value = JSON.parse(text) as Amounts
  } catch {
    return null
  }
  if (JSON.stringify(value) !== text) return null
  for (const name in value) if (!Number.isSafeInteger(value[name]) || (value[name] as number) < 0) return null
  if (recent.size >= MAX_RECENT) recent.clear()
  recent.set(text, value)
  return value
}

/** Bounded: a hostile log cannot make it grow. */
const MAX_RECENT = 256
const recent = new Map<string, Amounts>()
