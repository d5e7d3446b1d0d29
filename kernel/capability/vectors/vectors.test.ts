import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { attenuate, seal } from '../attenuate.ts'
import { decodeBlock } from '../blocks.ts'
import { idsOf, unhex, verifyChain } from '../chain.ts'
import { hex, portableMac } from '../mac.ts'
import { bunMac } from '../mac-bun.ts'
import type { Restriction } from '../restriction.ts'
import { codeOf, testStage, turnableClock } from '../testing/index.ts'
import { parseToken, readLayout } from '../token.ts'
import { VECTOR_FOLDER, vectorFiles } from './files.ts'
import type { Malformed } from './malformed.ts'

const read = (name: string): string => readFileSync(join(import.meta.dirname, '../../..', VECTOR_FOLDER, name), 'utf8')
const vectors = <T>(name: string): readonly T[] => (JSON.parse(read(name)) as { readonly vectors: readonly T[] }).vectors

test('the files are what the generator writes (bun kernel/capability/vectors/generate.ts)', () => {
  for (const [name, text] of vectorFiles()) expect(read(name), name).toBe(text)
})

interface Good {
  readonly name: string
  readonly token: string
  readonly run_key: string
  readonly now: number
  readonly sealed: boolean
  readonly blocks: readonly { readonly id: string; readonly payload: string }[]
}

/** A gate of the vectors' run whose clock stood still at `now`. */
function gateAt(now: number) {
  const clock = turnableClock()
  clock.setWall(now)
  return testStage({ clock }).stage
}

describe('genuine tokens', () => {
  test.each(vectors<Good>('tokens.json').map((vector) => [vector.name, vector] as const))('%s', (_, vector) => {
    const key = unhex(vector.run_key, 32) ?? new Uint8Array()
    for (const mac of [bunMac, portableMac]) {
      const parsed = parseToken(vector.token)
      const chain = verifyChain(mac, key, readLayout(vector.token))
      expect(chain?.sealed).toBe(vector.sealed)
      expect(chain === null ? [] : idsOf(mac, chain)).toEqual(vector.blocks.map((block) => block.id))
      expect(parsed.blocks.map((block) => hex(block.payload))).toEqual(vector.blocks.map((block) => block.payload))
    }
    expect(codeOf(() => gateAt(vector.now).bind('s', vector.token))).toBe('accepted')
  })
})

interface Narrowing {
  readonly name: string
  readonly parent: string
  readonly restriction?: Restriction
  readonly restriction_json?: string
  readonly seal?: true
  readonly token?: string
  readonly error?: string
}

describe('narrowing offline', () => {
  test.each(vectors<Narrowing>('narrowing.json').map((vector) => [vector.name, vector] as const))('%s', (_, vector) => {
    const make = () =>
      vector.seal ? seal(vector.parent) : attenuate(vector.parent, vector.restriction ?? JSON.parse(vector.restriction_json ?? ''))
    if (vector.error === undefined) expect(make()).toBe(vector.token)
    else expect(codeOf(make)).toBe(vector.error)
  })
})

describe('tokens that are refused', () => {
  test.each(vectors<Malformed>('malformed.json').map((vector) => [vector.name, vector] as const))('%s', (_, vector) => {
    const format = codeOf(() => parseToken(vector.token))
    const contents = codeOf(() => parseToken(vector.token).blocks.map(decodeBlock))
    expect(format).toBe(vector.seen_by === 'format' ? vector.error : 'accepted')
    expect(contents).toBe(vector.seen_by === 'gate' ? 'accepted' : vector.error)
    expect(codeOf(() => gateAt(vector.now).bind('s', vector.token))).toBe(vector.error)
  })
})
