import type { WireValue } from '../src/value.ts'
import type { Random } from './random.ts'

const EDGES: readonly [number, ...number[]] = [0, 1, 23, 24, 255, 256, 65535, 65536, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER]
const CHARACTERS: readonly [string, ...string[]] = ['a', '/', '\u0000', '\n', 'é', '水', '😀', '\ufeff', '.']

/** A random value of the wire, nested `depth` arrays at most. */
export function randomValue(random: Random, depth: number): WireValue {
  switch (random.below(depth > 0 ? 8 : 6)) {
    case 0:
      return random.pick(EDGES)
    case 1:
      return -1 - Math.min(random.pick(EDGES), Number.MAX_SAFE_INTEGER - 1)
    case 2:
      return random.below(2) === 0
    case 3:
      return null
    case 4:
      return random.bytes(random.below(40))
    case 5:
      return randomText(random)
    default:
      return Array.from({ length: random.below(7) }, () => randomValue(random, depth - 1))
  }
}

function randomText(random: Random): string {
  let text = ''
  for (let left = random.below(30); left > 0; left--) text += random.pick(CHARACTERS)
  return text
}

/** The input with a few faults: bits flipped, bytes replaced by telling ones, cut, doubled or added. */
export function mutate(random: Random, input: Uint8Array): Uint8Array {
  let bytes: Uint8Array = input.slice()
  for (let faults = 1 + random.below(3); faults > 0; faults--) bytes = mutateOnce(random, bytes)
  return bytes
}

/** Initial bytes that start what the wire does not have, claim much, or need more to follow. */
const TELLING: readonly [number, ...number[]] = [
  0x18, 0x19, 0x1b, 0x3b, 0x5a, 0x5f, 0x78, 0x7f, 0x80, 0x9a, 0x9f, 0xa0, 0xc0, 0xf7, 0xf9, 0xfb, 0xff,
]

function mutateOnce(random: Random, bytes: Uint8Array): Uint8Array {
  const at = random.below(bytes.length + 1)
  switch (random.below(6)) {
    case 0:
      return bytes.map((byte, i) => (i === at ? byte ^ (1 << random.below(8)) : byte))
    case 1:
      return bytes.map((byte, i) => (i === at ? random.pick(TELLING) : byte))
    case 2:
      return bytes.slice(0, at)
    case 3:
      return Uint8Array.of(...bytes.subarray(0, at), ...random.bytes(1 + random.below(4)), ...bytes.subarray(at))
    case 4:
      return Uint8Array.of(...bytes.subarray(0, at), ...bytes.subarray(at + 1 + random.below(4)))
    default:
      return Uint8Array.of(...bytes, ...bytes.subarray(at))
  }
}
