import { decode, encode, type WireValue } from '@authority/protocol'
import type { Charges } from '../vocabulary/index.ts'
import { malformed } from './errors.ts'
import { type Fields, fieldsOf, writeBudget, writeRate } from './fields.ts'
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
  readonly delegate?: number
  /** Effects in all. */
  readonly uses?: number
  readonly rate?: Rate
  /** Sub-limits, in kernel units. */
  readonly budget?: Charges
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
  readonly notBefore?: number
  readonly expires?: number
}
export type BlockBody = GrantBody | RunGrantBody | RestrictBody

/** Bytes of a RUN_GRANT digest (SHA-256). */
export const DIGEST_BYTES = 32

/** Throws E_CAP_INVALID when a list, time or number cannot stand in a block. What is written is read again, so that only what a gate takes leaves here. */
export function encodeBlock(body: BlockBody): Block {
  const block = { type: typeOf(body), payload: encodePayload(body) }
  decodeBlock(block, body.kind === 'restrict' ? 1 : 0)
  return block
}

/** The meaning of the block at `index`. Throws E_CAP_INVALID for an unknown type, a type that may not stand there, and every payload not exactly as FORMAT.md says. */
export function decodeBlock(block: Block, index: number): BlockBody {
  const where = `block ${index}`
  const { type } = block
  if (type !== BLOCK_TYPE.GRANT && type !== BLOCK_TYPE.RESTRICT && type !== BLOCK_TYPE.RUN_GRANT)
    throw malformed(`${where} has type ${type}, unknown to this build`)
  // A second grant would widen what the first gave.
  if ((index === 0) === (type === BLOCK_TYPE.RESTRICT))
    throw malformed(index === 0 ? 'block 0 is not a grant' : `${where} is a grant, only block 0 may be`)
  const fields = fieldsOf(decodePayload(block.payload, where), where)
  const body = readBody(type, fields)
  fields.end()
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

function readBody(type: number, fields: Fields): BlockBody {
  switch (type) {
    case BLOCK_TYPE.GRANT: {
      const sections = fields.sections()
      const limits = readLimits(fields)
      return { kind: 'grant', sections: new Map([...sections, ...fields.added()]), ...limits }
    }
    case BLOCK_TYPE.RUN_GRANT:
      return { kind: 'run-grant', digest: fields.bytes('digest', DIGEST_BYTES), ...readLimits(fields) }
    default: {
      const closed = fields.bool('closed')
      const sections = fields.sections()
      const notBefore = fields.time('not-before')
      const expires = fields.time('expiry')
      const limits = readLimits(fields)
      return {
        kind: 'restrict',
        closed,
        sections: new Map([...sections, ...fields.added()]),
        ...(notBefore === null ? {} : { notBefore }),
        ...(expires === null ? {} : { expires }),
        ...limits,
      }
    }
  }
}

function readLimits(fields: Fields): Limits {
  const delegate = fields.delegate()
  const uses = fields.uses()
  const rate = fields.rate()
  const budget = fields.budget()
  return {
    ...(delegate === null ? {} : { delegate }),
    ...(uses === null ? {} : { uses }),
    ...(rate === null ? {} : { rate }),
    ...(budget === null ? {} : { budget }),
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

function decodePayload(payload: Uint8Array, where: string): WireValue {
  try {
    return decode(payload)
  } catch (error) {
    throw malformed(`${where}: ${error instanceof Error ? error.message : 'not CBOR'}`)
  }
}
