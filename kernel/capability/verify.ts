import { type BlockBody, decodeBlock } from './blocks.ts'
import { type VerifiedChain, verifyChain } from './chain.ts'
import { refuse } from './errors.ts'
import type { Mac } from './mac.ts'
import { parseToken, type Token } from './token.ts'

/** The key a gate verifies with, and the run it is for. */
export interface RunKey {
  readonly keyId: Uint8Array
  readonly run: Uint8Array
  /** HMAC-SHA256 under K_run. */
  readonly mac: (message: Uint8Array) => Uint8Array
}

export interface GenuineToken extends VerifiedChain {
  readonly token: Token
}

/** First half of the order of research security.md 6.1: size → base64url → layout → key id → MAC chain → run. Throws E_CAP_INVALID or E_CAP_RUN. */
export function verifyToken(text: string, key: RunKey, mac: Mac): GenuineToken {
  const token = parseToken(text)
  if (!mac.equal(token.keyId, key.keyId)) throw otherRun()
  const chain = verifyChain(mac, key.mac, token)
  if (chain === null)
    throw refuse(
      'E_CAP_INVALID',
      'capability token: it is not genuine: its tag does not fit its contents',
      'It was altered, or narrowed after it was sealed.',
    )
  if (!mac.equal(token.run, key.run)) throw otherRun()
  return { token, ...chain }
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

/** Last step of the order: the meaning of each block. Throws E_CAP_INVALID, or E_CAP_SCOPE when a block stands deeper than an earlier one lets it. */
export function readBlocks(token: Token): readonly BlockBody[] {
  const bodies = token.blocks.map(decodeBlock)
  bodies.forEach(({ delegate }, index) => {
    const below = bodies.length - 1 - index
    if (delegate !== undefined && below > delegate)
      throw refuse(
        'E_CAP_SCOPE',
        `capability token: block ${index} lets ${delegate} blocks follow, ${below} do`,
        'Narrow it fewer times, or all in one block.',
      )
  })
  return bodies
}

/** The token's time after each block has narrowed it, root first. */
export function validities(header: Validity, bodies: readonly BlockBody[]): readonly Validity[] {
  let { notBefore, expires } = header
  return bodies.map((body) => {
    if (body.kind === 'restrict') {
      notBefore = Math.max(notBefore, body.notBefore ?? 0)
      expires = Math.min(expires, body.expires ?? Number.POSITIVE_INFINITY)
    }
    return { notBefore, expires }
  })
}

function otherRun(): Error {
  return refuse(
    'E_CAP_RUN',
    'capability token: it belongs to another run or installation',
    'A token is good for the run that minted it and dies with it.',
  )
}
