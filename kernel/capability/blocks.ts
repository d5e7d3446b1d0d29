import { encode, type WireValue } from '@authority/protocol'
import type { Charges } from '../vocabulary/index.ts'
import { malformed } from './errors.ts'
import { Fields, writeBudget, writeRate } from './fields.ts'
import { readPlainBody } from './plain-body.ts'
import type { PlainPatterns } from './rules.ts'
import { ADDED_SECTION, SECTIONS, type Sections } from './sections.ts'
import type { Block } from './token.ts'

/** Block types. Block 0 is a GRANT or RUN_GRANT and no other block is; every other type is refused. */
export const BLOCK_TYPE = {
  /** Grants stated in the token. */
  GRANT: 0,
  /** A restriction. */
  RESTRICT: 1,
  /** What the policy of the run grants, by digest: a policy may be larger than a token, and its rules are not the agent's to read. */
  RUN_GRANT: 2,
} as const

/** At most `count` events per `periodMs` ms, `burst` of them at once. */
export interface Rate {
  readonly count: number
  readonly periodMs: number
  readonly burst: number
}

/** What any block may limit; absent is unlimited by this block. */
export interface Limits {
  /** Blocks that may follow this one. */
  readonly delegate?: number | undefined
  /** Effects in all. */
  readonly uses?: number | undefined
  readonly rate?: Rate | undefined
  /** Sub-limits, in kernel units. */
  readonly budget?: Charges | undefined
}

export interface GrantBody extends Limits {
  readonly kind: 'grant'
  readonly sections: Sections
}
export interface RunGrantBody extends Limits {
  readonly kind: 'run-grant'
  /** grantsDigest of the run's grants, 32 bytes. */
  readonly digest: Uint8Array
}
export interface RestrictBody extends Limits {
  readonly kind: 'restrict'
  readonly sections: Sections
  /** Sections that are absent allow nothing; otherwise they are left as they were. */
  readonly closed: boolean
  /** ms since the epoch: narrows the header's time. */
  readonly notBefore?: number | undefined
  readonly expires?: number | undefined
}
export type BlockBody = GrantBody | RunGrantBody | RestrictBody

/** Bytes of a RUN_GRANT digest (SHA-256). */
export const DIGEST_BYTES = 32

/** One for all: nobody waits while reading. */
const FIELDS = new Fields()

/** Throws E_CAP_INVALID when a list, time or number cannot stand in a block. What is written is read again, so that only what a gate takes leaves here. */
export function encodeBlock(body: BlockBody): Block {
  const block = { type: typeOf(body), payload: encodePayload(body) }
  decodeBlock(block, body.kind === 'restrict' ? 1 : 0)
  return block
}

/** The meaning of the block at `index`. Throws E_CAP_INVALID for an unknown type, a type that may not stand there, and every payload not exactly as FORMAT.md says. */
export function decodeBlock({ type, payload }: Block, index: number): BlockBody {
  return decodePayload(payload, type, 0, payload.length, index)
}

/** As decodeBlock, of a payload that stands among others. */
export function decodePayload(
  bytes: Uint8Array,
  type: number,
  from: number,
  to: number,
  index: number,
  patterns?: PlainPatterns,
): BlockBody {
  if (type !== BLOCK_TYPE.GRANT && type !== BLOCK_TYPE.RESTRICT && type !== BLOCK_TYPE.RUN_GRANT)
    throw malformed(`block ${index} has type ${type}, unknown to this build`)
  // A second grant would widen what the first gave.
  if ((index === 0) === (type === BLOCK_TYPE.RESTRICT))
    throw malformed(index === 0 ? 'block 0 is not a grant' : `block ${index} is a grant, only block 0 may be`)
  if (patterns !== undefined && type !== BLOCK_TYPE.RUN_GRANT) {
    const plain = readPlainBody(bytes, type === BLOCK_TYPE.RESTRICT, from, to, patterns)
    if (plain !== null) return plain
  }
  FIELDS.enter(bytes, from, to, index, patterns)
  const body = readBody(type, FIELDS)
  FIELDS.end()
  return body
}

/** The last element of a payload, where it is there. */
export function writeAdded(sections: Sections): (readonly string[])[] {
  const list = sections.get(ADDED_SECTION)
  return list === undefined ? [] : [list]
}

/** The sections as they stand in a payload: a list or null each. */
export function writeSections(sections: Sections): (readonly string[] | null)[] {
  return SECTIONS.map((action) => sections.get(action) ?? null)
}

/** In the order of the elements. Written out: spreading parts together costs more than reading them, and most blocks limit nothing: for what they do not say there is no room. */
function readBody(type: number, fields: Fields): BlockBody {
  if (type === BLOCK_TYPE.RUN_GRANT)
    return {
      kind: 'run-grant',
      digest: fields.bytes('digest', DIGEST_BYTES),
      delegate: fields.delegate(),
      uses: fields.uses(),
      rate: fields.rate(),
      budget: fields.budget(),
    }
  const closed = type === BLOCK_TYPE.RESTRICT ? fields.bool('closed') : null
  fields.lists()
  if (closed === null)
    return fields.hasNoLimits()
      ? { kind: 'grant', sections: fields.sections() }
      : {
          kind: 'grant',
          delegate: fields.delegate(),
          uses: fields.uses(),
          rate: fields.rate(),
          budget: fields.budget(),
          sections: fields.sections(),
        }
  const notBefore = fields.time('not-before')
  const expires = fields.time('expiry')
  if (fields.hasNoLimits())
    return notBefore === undefined && expires === undefined
      ? { kind: 'restrict', closed, sections: fields.sections() }
      : { kind: 'restrict', closed, notBefore, expires, sections: fields.sections() }
  return {
    kind: 'restrict',
    closed,
    notBefore,
    expires,
    delegate: fields.delegate(),
    uses: fields.uses(),
    rate: fields.rate(),
    budget: fields.budget(),
    sections: fields.sections(),
  }
}

function typeOf(body: BlockBody): number {
  return { grant: BLOCK_TYPE.GRANT, restrict: BLOCK_TYPE.RESTRICT, 'run-grant': BLOCK_TYPE.RUN_GRANT }[body.kind]
}

function encodePayload(body: BlockBody): Uint8Array {
  const limits: WireValue[] = [body.delegate ?? null, body.uses ?? null, writeRate(body.rate), writeBudget(body.budget)]
  try {
    if (body.kind === 'grant') return encode([...writeSections(body.sections), ...limits, ...writeAdded(body.sections)])
    if (body.kind === 'run-grant') return encode([body.digest, ...limits])
    return encode([
      body.closed,
      ...writeSections(body.sections),
      body.notBefore ?? null,
      body.expires ?? null,
      ...limits,
      ...writeAdded(body.sections),
    ])
  } catch (error) {
    throw malformed(error instanceof Error ? error.message : 'a value the format cannot hold')
  }
}
