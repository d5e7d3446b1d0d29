import { encode, type WireValue } from '@authority/protocol'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { plainPatterns } from '../patterns/index.ts'
import { BLOCK_TYPE, type BlockBody, decodeBlock, encodeBlock } from './blocks.ts'
import { MAX_TIME_MS } from './limits.ts'
import { readPlainBody } from './plain-body.ts'
import { ALL_SECTIONS } from './sections.ts'
import { codeOf } from './testing/index.ts'

/** The general reader, which knows nothing of patterns, is the oracle. */
const pattern = fc.constantFrom(
  '/a',
  '/a/**',
  '/work/src',
  'search',
  `/${'a'.repeat(30)}`,
  `/${'b'.repeat(22)}`,
  'ä',
  '',
  '/a/*',
  'a..b',
  'dns:a:1',
)
const list = fc.oneof(
  { weight: 24, arbitrary: fc.constant(null) },
  { weight: 8, arbitrary: fc.array(pattern, { maxLength: 2 }) },
  { weight: 1, arbitrary: fc.constant(new Array<string>(24).fill('/a')) },
)
const sections = [list, list, list, list, list, list, list] as const
const seldom = fc.oneof(
  { weight: 29, arbitrary: fc.constant(null) },
  { weight: 1, arbitrary: fc.constantFrom<WireValue>(1, [1, 2, 3], []) },
)
const time = fc.constantFrom(null, null, 0, 2 ** 32 - 1, 2 ** 32, 1_767_225_600_000, MAX_TIME_MS, MAX_TIME_MS + 1, Number.MAX_SAFE_INTEGER)
const limits = [seldom, seldom, seldom, seldom] as const
const payload = fc.oneof(
  fc.tuple(fc.constant(false), fc.tuple(...sections, ...limits)),
  fc.tuple(fc.constant(true), fc.tuple(fc.boolean(), ...sections, fc.constantFrom(null, null, null, 5), time, ...limits)),
) as fc.Arbitrary<readonly [boolean, readonly WireValue[]]>
/** One byte made another, of those that mean something here, or the end moved. */
const damage = fc.record({
  how: fc.constantFrom('none', 'none', 'byte', 'end'),
  at: fc.nat(200),
  byte: fc.oneof(fc.nat(255), fc.constantFrom(0xf4, 0xf5, 0xf6, 0x80, 0x81, 0x97, 0x98, 0x60, 0x61, 0x77, 0x78, 0x1b, 0x17, 0x18)),
  by: fc.integer({ min: -20, max: 20 }),
})

function saysOf(body: BlockBody): unknown {
  if (body.kind === 'run-grant') throw new Error('not one of these')
  const { sections: lists, ...rest } = body
  return { ...rest, lists: ALL_SECTIONS.map((action) => lists.get(action)), size: lists.size }
}

test('what is read by a glance is what the general reader reads, whatever stands before and behind it', () => {
  let plain = 0
  let refused = 0
  fc.assert(
    fc.property(payload, damage, fc.constantFrom(0xf6, 0x00, 0x61), ([restricts, elements], { how, at, byte, by }, behind) => {
      const good = encode(elements)
      const bytes = Uint8Array.of(0x81, 0xf6, ...good, ...new Array<number>(40).fill(behind))
      const to = 2 + good.length + (how === 'end' ? Math.max(-good.length, by) : 0)
      if (how === 'byte') bytes[2 + (at % good.length)] = byte
      const body = readPlainBody(bytes, restricts, 2, to, plainPatterns)
      if (body === null) return
      const block = { type: restricts ? BLOCK_TYPE.RESTRICT : BLOCK_TYPE.GRANT, payload: bytes.slice(2, to) }
      const index = restricts ? 1 : 0
      if (codeOf(() => decodeBlock(block, index)) !== 'accepted') refused += 1
      else expect(saysOf(body)).toEqual(saysOf(decodeBlock(block, index)))
      expect(encodeBlock(body)).toEqual(block)
      plain += 1
    }),
    { numRuns: 20_000 },
  )
  expect(refused).toBe(0)
  expect(plain).toBeGreaterThan(1000)
})

test('the blocks most tokens have are read so', () => {
  const restriction = (more: object) => encodeBlock({ kind: 'restrict', closed: false, sections: new Map(), ...more }).payload
  for (const each of [
    restriction({ sections: new Map([['fs.read', ['/work/src/**']]]) }),
    restriction({ sections: new Map([['tools', []]]), closed: true }),
    restriction({ expires: 1_767_225_600_000 }),
  ])
    expect(readPlainBody(each, true, 0, each.length, plainPatterns)).not.toBeNull()
  const grant = encodeBlock({ kind: 'grant', sections: new Map([['fs.read', ['/work/**']]]) }).payload
  expect(readPlainBody(grant, false, 0, grant.length, plainPatterns)).not.toBeNull()
})

test('a pattern that is none, a limit, or a time that cannot be is left to the general reader', () => {
  const left = (body: Parameters<typeof encodeBlock>[0]): unknown => {
    const { payload: bytes } = encodeBlock(body)
    return readPlainBody(bytes, body.kind === 'restrict', 0, bytes.length, plainPatterns)
  }
  const none = { kind: 'restrict', closed: false, sections: new Map<never, never>() } as const
  expect(left({ ...none, sections: new Map([['fs.read', ['/a/{b,c}']]]) })).toBeNull()
  expect(left({ ...none, sections: new Map([['fs.look', ['/a']]]) })).toBeNull()
  expect(left({ ...none, uses: 1 })).toBeNull()
  expect(left({ ...none, notBefore: 5 })).toBeNull()
  expect(left({ kind: 'grant', sections: new Map([['fs.read', ['/a']]]), budget: { calls: 1 } })).toBeNull()
})

test('a text or a time that is not in its shortest form is none', () => {
  const NULL = 0xf6
  const nulls = (count: number): number[] => new Array<number>(count).fill(NULL)
  const letters = (count: number): number[] => [0x2f, ...new Array<number>(count - 1).fill(0x61)]
  const read = (...elements: readonly number[]): BlockBody | null => {
    const bytes = Uint8Array.of(0x8e, 0xf4, ...elements)
    return readPlainBody(bytes, true, 0, bytes.length, plainPatterns)
  }
  const withText = (...text: readonly number[]): BlockBody | null => read(0x81, ...text, ...nulls(12))
  expect(withText(0x77, ...letters(23))).not.toBeNull()
  expect(withText(0x78, 24, ...letters(24))).not.toBeNull()
  expect(withText(0x78, 23, ...letters(23))).toBeNull()
  for (let head = 0x79; head <= 0x7f; head++) expect(withText(head, ...letters(head - 0x60)), `${head}`).toBeNull()
  const withExpiry = (...bytes: readonly number[]): BlockBody | null => read(...nulls(8), ...bytes, ...nulls(4))
  expect(withExpiry(0x1b, 0, 0, 0, 1, 0, 0, 0, 0)).not.toBeNull()
  expect(withExpiry(0x1b, 0, 0, 0, 0, 255, 255, 255, 255)).toBeNull()
  expect(withExpiry(0x1b, 255, 255, 255, 255, 255, 255, 255, 255)).toBeNull()
})
