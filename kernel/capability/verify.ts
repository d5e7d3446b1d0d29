import type { BlockBody } from './blocks.ts'
import { type VerifiedChain, verifyChain } from './chain.ts'
import { refuse } from './errors.ts'
import type { Mac } from './mac.ts'
import { KEY_ID_AT, type Layout, RUN_AT, readLayout } from './token.ts'

/** The key a gate verifies with, and the run it is for. */
export interface RunKey {
  readonly keyId: Uint8Array
  readonly run: Uint8Array
  /** K_run. */
  readonly bytes: Uint8Array
}

/** First half of the order of research security.md 6.1: size → base64url → layout → key id → MAC chain → run. Throws E_CAP_INVALID or E_CAP_RUN. */
export function verifyToken(text: string, key: RunKey, mac: Mac): VerifiedChain {
  return verifyLayout(readLayout(text), key, mac)
}

/** As verifyToken, from the layout on; `root` as verifyChain has it. */
export function verifyLayout(token: Layout, key: RunKey, mac: Mac, root?: Uint8Array): VerifiedChain {
  if (!standsAt(token.bytes, KEY_ID_AT, key.keyId)) throw otherRun()
  const chain = verifyChain(mac, key.bytes, token, root)
  if (chain === null)
    throw refuse(
      'E_CAP_INVALID',
      'capability token: it is not genuine: its tag does not fit its contents',
      'It was altered, or narrowed after it was sealed.',
    )
  if (!standsAt(token.bytes, RUN_AT, key.run)) throw otherRun()
  return chain
}

/** What of a token's time its blocks leave: not before the latest start, until the earliest end. ms since the epoch. */
export interface Validity {
  readonly notBefore: number
  readonly expires: number
}

/** Throws E_CAP_EXPIRED unless notBefore ≤ now < expires. A `now` that is not a number is refused too. */
export function assertInTime(validity: Validity, nowMs: number): void {
  const refusal = outOfTime(validity, nowMs)
  if (refusal !== null) throw refuse('E_CAP_EXPIRED', `capability token: ${refusal}`)
}

export function outOfTime(validity: Validity, nowMs: number): string | null {
  if (nowMs >= validity.notBefore && nowMs < validity.expires) return null
  return nowMs >= validity.expires ? 'it has expired' : 'it is not valid yet'
}

/** Part of the last step of the order: throws E_CAP_SCOPE when a block stands deeper than an earlier one lets it. */
export function assertDelegation(bodies: readonly BlockBody[]): void {
  for (let index = 0; index < bodies.length; index++) {
    const delegate = bodies[index]?.delegate
    const below = bodies.length - 1 - index
    if (delegate !== undefined && below > delegate)
      throw refuse(
        'E_CAP_SCOPE',
        `capability token: block ${index} lets ${delegate} blocks follow, ${below} do`,
        'Narrow it fewer times, or all in one block.',
      )
  }
}

/** What a block leaves of the time its parent has. */
export function narrowed(parent: Validity, body: BlockBody): Validity {
  if (body.kind !== 'restrict' || (body.notBefore === undefined && body.expires === undefined)) return parent
  return { notBefore: Math.max(parent.notBefore, body.notBefore ?? 0), expires: Math.min(parent.expires, body.expires ?? parent.expires) }
}

/** The token's time after each block has narrowed it, root first. */
export function validities(header: Validity, bodies: readonly BlockBody[]): readonly Validity[] {
  let validity = header
  return bodies.map((body) => {
    validity = narrowed(validity, body)
    return validity
  })
}

function otherRun(): Error {
  return refuse(
    'E_CAP_RUN',
    'capability token: it belongs to another run or installation',
    'A token is good for the run that minted it and dies with it.',
  )
}

/** Of what is no secret. */
function standsAt(bytes: Uint8Array, at: number, expected: Uint8Array): boolean {
  for (let i = 0; i < expected.length; i++) if (bytes[at + i] !== expected[i]) return false
  return true
}
