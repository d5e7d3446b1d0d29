import { hex } from '../generate/vectors/json.ts'
import { sample } from '../generate/vectors/samples.ts'
import { checkArguments } from '../src/arguments.ts'
import { decode, encode, type WireValue } from '../src/codec.ts'
import { AuthorityError } from '../src/errors.ts'
import { GATE_TO_GUEST, GUEST_TO_GATE } from '../src/guest.ts'
import { parseFuseItem, parseGateToGuest, parseGuestMessage, parseLinkControl } from '../src/guest-messages.ts'
import { encodeFrame, LinkReader } from '../src/link.ts'
import { parseClientMessage, parseGateMessage } from '../src/message-codec.ts'
import { MESSAGES } from '../src/message-schema.ts'
import { OPERATIONS, type OperationName, operationRow } from '../src/operations.ts'
import { mutate, randomValue } from './generate.ts'
import { Random } from './random.ts'

export interface FuzzReport {
  readonly iterations: number
  /** Inputs the codec accepted, each of which encoded back to itself. */
  readonly accepted: number
  readonly refused: number
  /** Times a message parser accepted what the codec had accepted. */
  readonly messages: number
}

const PARSERS: readonly ((item: Uint8Array) => unknown)[] = [
  parseClientMessage,
  parseGateMessage,
  parseGuestMessage,
  parseGateToGuest,
  parseLinkControl,
  parseFuseItem,
]

/** Link frames of the fuzz are small, so that the limit is met often. */
const MAX_FUZZ_FRAME = 512

/**
 * Throws damaged bytes at everything of this folder that eats a peer's bytes. Holds, for each of `iterations` inputs: what is accepted encodes back to the
 * same bytes; what is refused is refused with an AuthorityError; a link cut into random chunks gives the frames of the whole.
 * Deterministic in `seed`. Throws an Error that names seed, iteration and input where one of these fails.
 */
export function fuzzProtocol(options: { readonly seed: number; readonly iterations: number }): FuzzReport {
  const random = new Random(options.seed)
  let accepted = 0
  let messages = 0
  for (let i = 0; i < options.iterations; i++) {
    const whole = encode(seedValue(random))
    const input = random.below(10) === 0 ? random.bytes(random.below(64)) : random.below(4) === 0 ? whole : mutate(random, whole)
    try {
      const value = accept(() => decode(input))
      if (value !== REFUSED) {
        accepted++
        if (hex(encode(value)) !== hex(input)) throw new Error('accepted, but encodes to other bytes')
        operationArguments(random, value)
      }
      for (const parse of PARSERS) if (accept(() => parse(input)) !== REFUSED) messages++
      link(random, input)
    } catch (error) {
      throw new Error(`seed ${options.seed}, iteration ${i}, input ${hex(input)}: ${String(error)}`, { cause: error })
    }
  }
  return { iterations: options.iterations, accepted, refused: options.iterations - accepted, messages }
}

const REFUSED = Symbol('refused')

/** The result, or REFUSED when it was refused as it should be; any other failure passes through. */
function accept<T>(parse: () => T): T | typeof REFUSED {
  try {
    return parse()
  } catch (error) {
    if (error instanceof AuthorityError) return REFUSED
    throw error
  }
}

/** Half the inputs start as a real message, so that faults reach the field checks behind the codec. */
function seedValue(random: Random): WireValue {
  if (random.below(2) === 0) return randomValue(random, 4)
  const rows = [...Object.values(MESSAGES)]
  const row = rows[random.below(rows.length + 2)]
  if (row === undefined) return [random.below(Object.keys({ ...GUEST_TO_GATE, ...GATE_TO_GUEST }).length), randomValue(random, 1)]
  return [row.number, ...row.fields.map(sample)]
}

function operationArguments(random: Random, value: WireValue): void {
  if (!Array.isArray(value)) return
  const names = Object.keys(OPERATIONS) as OperationName[]
  const name = names[random.below(names.length)] as OperationName
  accept(() => checkArguments(operationRow(name).args, value as readonly WireValue[], name))
}

/** Two good frames around the input as a third: cut anywhere, the same frames come out, or the same refusal. */
function link(random: Random, input: Uint8Array): void {
  const parts = [encodeFrame(1, [1]), random.below(3) === 0 ? input : rawFrame(input), encodeFrame(2, 'two')]
  const stream = Uint8Array.of(...parts.flatMap((part) => [...part]))
  const whole = read([stream])
  const cut = read(chunks(random, stream))
  if (whole !== cut) throw new Error(`cut into chunks the link reads ${cut}, whole ${whole}`)
}

function read(pieces: readonly Uint8Array[]): string {
  const reader = new LinkReader({ maxFrameBytes: MAX_FUZZ_FRAME })
  const seen: string[] = []
  try {
    for (const piece of pieces) {
      reader.push(piece, (session, item) => seen.push(`${session}:${hex(item)}`))
      if (reader.buffered > MAX_FUZZ_FRAME + 4) throw new Error(`${reader.buffered} bytes held`)
    }
  } catch (error) {
    if (!(error instanceof AuthorityError)) throw error
    seen.push(error.code)
  }
  return seen.join(' ')
}

function chunks(random: Random, stream: Uint8Array): Uint8Array[] {
  const pieces: Uint8Array[] = []
  for (let at = 0; at < stream.length; ) {
    const end = at + 1 + random.below(12)
    pieces.push(stream.subarray(at, end))
    at = end
  }
  return pieces
}

function rawFrame(item: Uint8Array): Uint8Array {
  const frame = new Uint8Array(8 + item.length)
  new DataView(frame.buffer).setUint32(0, item.length + 4)
  new DataView(frame.buffer).setUint32(4, 3)
  frame.set(item, 8)
  return frame
}
