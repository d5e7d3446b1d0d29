import { encode, type WireValue } from '@authority/protocol'
import { attenuate, seal } from '../attenuate.ts'
import { decodeBase64url, encodeBase64url } from '../base64url.ts'
import { BLOCK_TYPE } from '../blocks.ts'
import { nextChainValue } from '../chain.ts'
import { MAX_TOKEN_BINARY_BYTES } from '../limits.ts'
import { portableMac } from '../mac.ts'
import { GRANTS, NOW, RUN, testStage } from '../testing/index.ts'
import { BLOCK_HEADER_BYTES, type Block, HEADER_BYTES, parseToken, serialiseToken, TAG_BYTES, TOKEN_PREFIX } from '../token.ts'
import { DEEP, NARROWED, OTHER, ROOT, UNTIL } from './tokens.ts'

export interface Malformed {
  readonly name: string
  readonly token: string
  readonly error: string
  /** `format`: anyone sees it. `contents`: anyone who reads the payloads does. `gate`: only with the key, the clock and the run. */
  readonly seen_by: 'format' | 'contents' | 'gate'
  readonly now: number
}

type Case = readonly [name: string, token: string, error?: string, now?: number]

export function malformedTokens(): readonly Malformed[] {
  const file = (seen_by: Malformed['seen_by'], cases: readonly Case[]): Malformed[] =>
    cases.map(([name, token, error = 'E_CAP_INVALID', now = NOW]) => ({ name, token, error, seen_by, now }))
  return [
    ...file('format', [...spellings(), ...layouts()]),
    ...file('contents', payloads()),
    ...file('gate', [...alterations(), ...times()]),
  ]
}

function spellings(): Case[] {
  const body = DEEP.slice(TOKEN_PREFIX.length)
  // NARROWED's length leaves unused bits in its last character, which a lenient decoder ignores.
  const loose = [ROOT, NARROWED, DEEP].find((token) => (token.length - TOKEN_PREFIX.length) % 4 !== 0) ?? ''
  return [
    ['empty', ''],
    ['only the prefix', TOKEN_PREFIX],
    ['no prefix', body],
    ['prefix in capitals', `CAP1_${body}`],
    ['prefix of another version', `cap2_${body}`],
    ['padding', `${loose}=`],
    ['whitespace before', ` ${DEEP}`],
    ['newline after', `${DEEP}\n`],
    ['space inside', `${DEEP.slice(0, 20)} ${DEEP.slice(20)}`],
    ['standard base64 alphabet', `${TOKEN_PREFIX}+/${body.slice(2)}`],
    ['a letter beyond ASCII', `${TOKEN_PREFIX}\u0100${body.slice(1)}`],
    ['unused bits not zero', loose.slice(0, -1) + nextLetter(loose.at(-1) ?? '')],
    ['one character too many', `${loose}AA`.slice(0, TOKEN_PREFIX.length + 1 + 4 * Math.floor((loose.length - TOKEN_PREFIX.length) / 4))],
  ]
}

function layouts(): Case[] {
  const bytes = bytesOf(ROOT)
  const at = (offset: number, value: number): string => textOf(bytes.with(offset, value))
  const insert = (added: Uint8Array): string =>
    textOf(Uint8Array.of(...bytes.subarray(0, -TAG_BYTES), ...added, ...bytes.subarray(-TAG_BYTES)))
  const empty = Uint8Array.of(0, 0, BLOCK_TYPE.RESTRICT)
  return [
    ['version 0', at(0, 0)],
    ['version 2', at(0, 2)],
    ['not-before above 2^53−1', at(HEADER_BYTES - 16, 1)],
    ['expiry above 2^53−1', at(HEADER_BYTES - 8, 0x20)],
    ['no block at all', textOf(Uint8Array.of(...bytes.subarray(0, HEADER_BYTES), ...bytes.subarray(-TAG_BYTES)))],
    ['only a header', textOf(bytes.subarray(0, HEADER_BYTES))],
    ['a block that reaches into the tag', at(HEADER_BYTES, 0xff)],
    ['a block header cut off', insert(empty.subarray(0, 2))],
    ['a block that claims a byte too many', insert(Uint8Array.of(0, 1, BLOCK_TYPE.RESTRICT))],
    ['17 blocks', insert(Uint8Array.of(...Array.from({ length: 16 }, () => [...empty]).flat()))],
    ['4,097 bytes', textOf(new Uint8Array(MAX_TOKEN_BINARY_BYTES + 1).fill(1))],
  ]
}

/** Under genuine MACs, as a hostile holder of an open token can make them. */
function payloads(): Case[] {
  const none: readonly WireValue[] = Array<null>(7).fill(null)
  const good: readonly WireValue[] = [false, ...none, null, null, null, 5, null, null]
  const restrict = (value: WireValue): string => extend(ROOT, BLOCK_TYPE.RESTRICT, encode(value))
  return [
    ['unknown block type', extend(ROOT, 3, encode(good))],
    ['a second grant', extend(ROOT, BLOCK_TYPE.GRANT, encode([['/**'], ...Array<null>(10).fill(null)]))],
    ['a run grant below block 0', extend(ROOT, BLOCK_TYPE.RUN_GRANT, encode([new Uint8Array(32), null, null, null, null]))],
    ['empty payload', extend(ROOT, BLOCK_TYPE.RESTRICT, new Uint8Array())],
    ['not CBOR', extend(ROOT, BLOCK_TYPE.RESTRICT, Uint8Array.of(0xff))],
    ['a map', extend(ROOT, BLOCK_TYPE.RESTRICT, Uint8Array.of(0xa0))],
    [
      'a number not in its shortest form',
      extend(ROOT, BLOCK_TYPE.RESTRICT, Uint8Array.of(0x8e, 0xf4, ...Array<number>(10).fill(0xf6), 0x18, 5, 0xf6, 0xf6)),
    ],
    ['bytes after the array', extend(ROOT, BLOCK_TYPE.RESTRICT, Uint8Array.of(...encode(good), 0))],
    ['fs.look as null', restrict([...good, null])],
    ['fs.look that is text', restrict([...good, '/work/**'])],
    ['an element after fs.look', restrict([...good, ['/work/**'], null])],
    ['an element less', restrict(good.slice(0, -1))],
    ['closed is a number', restrict(good.with(0, 0))],
    ['a section that is text', restrict(good.with(1, '/work/**'))],
    ['an empty pattern', restrict(good.with(1, ['']))],
    ['a negative time', restrict(good.with(9, -1))],
    ['delegation of 16', restrict(good.with(10, 16))],
    ['negative uses', restrict(good.with(11, -1))],
    ['a rate of two numbers', restrict(good.with(12, [1, 1]))],
    ['a rate over no time', restrict(good.with(12, [1, 0, 1]))],
    ['an unknown dimension', restrict(good.with(13, [['__proto__', 1]]))],
    [
      'a dimension twice',
      restrict(
        good.with(13, [
          ['calls', 1],
          ['calls', 2],
        ]),
      ),
    ],
    [
      'dimensions out of order',
      restrict(
        good.with(13, [
          ['bytes', 1],
          ['calls', 2],
        ]),
      ),
    ],
  ]
}

function alterations(): Case[] {
  const blocks = (token: string, change: (blocks: readonly Block[]) => readonly Block[]): string => {
    const parsed = parseToken(token)
    return serialiseToken({ ...parsed, blocks: change(parsed.blocks) })
  }
  const bytes = bytesOf(DEEP)
  const flip = (offset: number): string => textOf(bytes.with(offset, (bytes.at(offset) ?? 0) ^ 1))
  const { stage: anotherRun } = testStage({ run: `${RUN.slice(0, 30)}ff` })
  const { stage: another } = testStage({ installation: 'another' })
  const validity = { notBefore: NOW, expires: UNTIL }
  return [
    ['a bit of the key id', flip(1), 'E_CAP_RUN'],
    ['a bit of the nonce', flip(9)],
    ['a bit of the run', flip(25)],
    ['a bit of the expiry', flip(HEADER_BYTES - 1)],
    ['a bit of a payload', flip(HEADER_BYTES + BLOCK_HEADER_BYTES + 4)],
    ['the first bit of the tag', flip(bytes.length - TAG_BYTES)],
    ['the last bit of the tag', flip(bytes.length - 1)],
    ['a restriction removed', blocks(DEEP, (all) => all.slice(0, -1))],
    ['the first restriction removed', blocks(DEEP, ([grant, , ...rest]) => [grant, ...rest].filter((block) => block !== undefined))],
    ['all restrictions removed', blocks(DEEP, (all) => all.slice(0, 1))],
    ['restrictions reordered', blocks(DEEP, ([grant, a, b, c]) => [grant, b, a, c].filter((block) => block !== undefined))],
    ['a restriction twice', blocks(DEEP, (all) => [...all, ...all.slice(-1)])],
    ['the grant of another token', blocks(DEEP, (all) => [...parseToken(OTHER).blocks, ...all.slice(1)])],
    ['the tag of another token', serialiseToken({ ...parseToken(DEEP), tag: parseToken(OTHER).tag })],
    ['a grant of our own', serialiseToken({ ...parseToken(OTHER), tag: new Uint8Array(TAG_BYTES) })],
    ['narrowed after it was sealed', attenuate(seal(NARROWED), { uses: 1 })],
    ['sealed twice', seal(seal(NARROWED))],
    ['of another run', anotherRun.mint(GRANTS, validity), 'E_CAP_RUN'],
    ['of another installation', another.mint(GRANTS, validity), 'E_CAP_RUN'],
    ['deeper than its delegation', attenuate(attenuate(attenuate(ROOT, { delegate: 1 }), { uses: 5 }), { uses: 4 }), 'E_CAP_SCOPE'],
  ]
}

function times(): Case[] {
  const short = attenuate(ROOT, { notBefore: NOW + 10, expires: NOW + 20 })
  return [
    ['1 ms before its time', ROOT, 'E_CAP_EXPIRED', NOW - 1],
    ['at its expiry', ROOT, 'E_CAP_EXPIRED', UNTIL],
    ['1 ms before a block’s time', short, 'E_CAP_EXPIRED', NOW + 9],
    ['at a block’s expiry', short, 'E_CAP_EXPIRED', NOW + 20],
    ['a block cannot lengthen it', attenuate(ROOT, { expires: UNTIL + 1000 }), 'E_CAP_EXPIRED', UNTIL],
  ]
}

function extend(token: string, type: number, payload: Uint8Array): string {
  const parent = parseToken(token)
  const block = { type, payload }
  return serialiseToken({ ...parent, blocks: [...parent.blocks, block], tag: nextChainValue(portableMac, parent.tag, block) })
}

function bytesOf(token: string): Uint8Array {
  return decodeBase64url(token, TOKEN_PREFIX.length) ?? new Uint8Array()
}

function textOf(bytes: Uint8Array): string {
  return TOKEN_PREFIX + encodeBase64url(bytes)
}

/** The letter whose lowest bit differs: an even value plus one. */
function nextLetter(letter: string): string {
  return { A: 'B', Q: 'R', g: 'h', w: 'x' }[letter] ?? String.fromCharCode(letter.charCodeAt(0) + 1)
}
