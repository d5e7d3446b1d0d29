import fc from 'fast-check'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { hex, unhex } from '../generate/vectors/json.ts'
import { failureOf, vectors } from '../testing/vectors.ts'
import { encode } from './codec.ts'
import { MAX_FRAME_BYTES } from './limits.ts'
import { encodeFrame, LinkReader } from './link.ts'

type Frame = readonly [number, string]

function collect(reader: LinkReader, pieces: readonly Uint8Array[]): Frame[] {
  const frames: Frame[] = []
  for (const piece of pieces) reader.push(piece, (session, item) => frames.push([session, hex(item)]))
  return frames
}

const fresh = (): LinkReader => new LinkReader({ maxFrameBytes: MAX_FRAME_BYTES })

/** `stream` cut at every length of `sizes` in turn, the last one repeated. */
function cut(stream: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const pieces: Uint8Array[] = []
  for (let at = 0, i = 0; at < stream.length; i++) {
    const end = at + (sizes[Math.min(i, sizes.length - 1)] ?? 1)
    pieces.push(stream.subarray(at, end))
    at = end
  }
  return pieces
}

afterEach(() => vi.unstubAllGlobals())

describe('vectors', () => {
  test.each(vectors<{ hex: string; frames: Frame[]; meaning: string }>('frames.json').map((vector) => [vector.meaning, vector] as const))(
    '%s',
    (_, vector) => {
      expect(collect(fresh(), [unhex(vector.hex)])).toEqual(vector.frames)
      expect(collect(fresh(), cut(unhex(vector.hex), [1]))).toEqual(vector.frames)
    },
  )

  test.each(
    vectors<{ hex: string; frames: Frame[]; why: string; error: string }>('malformed-frames.json').map(
      (vector) => [vector.why, vector] as const,
    ),
  )('ends the link: %s', (_, vector) => {
    for (const pieces of [[unhex(vector.hex)], cut(unhex(vector.hex), [1])]) {
      const reader = fresh()
      const frames: Frame[] = []
      const failure = failureOf(() => {
        for (const piece of pieces) reader.push(piece, (session, item) => frames.push([session, hex(item)]))
      })
      expect(failure.code).toBe(vector.error)
      expect(frames).toEqual(vector.frames)
      expect(reader.buffered).toBe(0)
      expect(failureOf(() => reader.push(new Uint8Array(1), () => {})).code).toBe(vector.error)
    }
  })
})

describe('LinkReader', () => {
  test('gives the same frames however the stream is cut', () => {
    const frame = fc.tuple(fc.nat(0xffffffff), fc.uint8Array({ maxLength: 3000 }))
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 8 }), fc.array(fc.integer({ min: 1, max: 4000 }), { minLength: 1 }), (frames, sizes) => {
        const stream = Uint8Array.of(...frames.flatMap(([session, data]) => [...encodeFrame(session, data)]))
        const reader = fresh()
        expect(collect(reader, cut(stream, sizes))).toEqual(frames.map(([session, data]) => [session, hex(encode(data))]))
        expect(reader.buffered).toBe(0)
      }),
    )
  })

  test('a frame inside one chunk is a view of it', () => {
    const chunk = encodeFrame(1, 'text')
    let item = new Uint8Array(0)
    fresh().push(chunk, (_, view) => {
      item = view as Uint8Array<ArrayBuffer>
    })
    expect(item.buffer).toBe(chunk.buffer)
  })

  test('gathered items stay as they were when the next frame arrives', () => {
    const reader = fresh()
    const items: Uint8Array[] = []
    const stream = Uint8Array.of(...encodeFrame(1, 'first'), ...encodeFrame(1, 'second'))
    for (const piece of cut(stream, [9, 3, 1])) reader.push(piece, (_, item) => items.push(item))
    expect(items.map(hex)).toEqual([hex(encode('first')), hex(encode('second'))])
  })

  test('says how much it holds', () => {
    const reader = fresh()
    const frame = encodeFrame(1, new Uint8Array(100))
    reader.push(frame.subarray(0, 3), () => {})
    expect(reader.buffered).toBe(3)
    reader.push(frame.subarray(3, 50), () => {})
    expect(reader.buffered).toBe(50)
    reader.push(frame.subarray(50), () => {})
    expect(reader.buffered).toBe(0)
  })

  test('a claimed length allocates nothing: room follows what arrived', () => {
    const allocated: number[] = []
    const Original = Uint8Array
    vi.stubGlobal(
      'Uint8Array',
      new Proxy(Original, {
        construct(target, args: [number]) {
          allocated.push(args[0])
          return new target(...args)
        },
      }),
    )
    const reader = fresh()
    const header = Original.of(0, 16, 0, 0, 0, 0, 0, 1)
    reader.push(header, () => {})
    reader.push(Original.of(1, 2, 3), () => {})
    expect(Math.max(...allocated)).toBeLessThanOrEqual(1024)
    reader.push(new Original(5000), () => {})
    expect(Math.max(...allocated)).toBeLessThanOrEqual(2 * 5003)
  })

  test('copies a frame in single bytes a bounded number of times', () => {
    const frame = encodeFrame(1, new Uint8Array(100_000))
    let copied = 0
    const original = Uint8Array.prototype.set
    const spy = vi.spyOn(Uint8Array.prototype, 'set').mockImplementation(function (this: Uint8Array, source, offset) {
      copied += (source as Uint8Array).length
      original.call(this, source, offset)
    })
    const reader = fresh()
    let frames = 0
    for (const piece of cut(frame, [1])) reader.push(piece, () => frames++)
    spy.mockRestore()
    expect(frames).toBe(1)
    expect(copied).toBeLessThan(3 * frame.length)
  })

  test('stops inside a chunk', () => {
    const reader = fresh()
    const stream = Uint8Array.of(...encodeFrame(1, 1), ...encodeFrame(1, 2))
    const seen: string[] = []
    reader.push(stream, (_, item) => {
      seen.push(hex(item))
      reader.stop()
    })
    reader.push(stream, (_, item) => seen.push(hex(item)))
    expect(seen).toEqual(['01'])
    expect(reader.buffered).toBe(0)
  })

  test('a receiver that throws breaks the link', () => {
    const reader = fresh()
    const frame = encodeFrame(1, 1)
    expect(() =>
      reader.push(frame, () => {
        throw new RangeError('mine')
      }),
    ).toThrow('mine')
    expect(failureOf(() => reader.push(frame, () => {})).code).toBe('E_INTERNAL')
  })

  test('holds a smaller limit than the protocol’s when asked to', () => {
    const reader = new LinkReader({ maxFrameBytes: 16 })
    expect(failureOf(() => reader.push(encodeFrame(1, new Uint8Array(20)), () => {})).code).toBe('E_FRAME_TOO_LARGE')
  })
})

describe('encodeFrame', () => {
  test.each([-1, 2 ** 32, 1.5, Number.NaN])('refuses session %d', (session) => {
    expect(failureOf(() => encodeFrame(session, null)).code).toBe('E_PROTOCOL')
  })

  test('writes one byte string as it writes it inside anything else', () => {
    for (const size of [0, 23, 24, 255, 256, 65535, 65536, 200_000]) {
      const data = new Uint8Array(size).fill(9)
      expect(hex(encodeFrame(7, data).subarray(8))).toBe(hex(encode(data)))
    }
  })

  test('the largest frame passes its own reader, one byte more is refused', () => {
    const largest = encodeFrame(1, new Uint8Array(MAX_FRAME_BYTES - 4 - 5))
    expect(largest.length).toBe(MAX_FRAME_BYTES + 4)
    expect(collect(fresh(), [largest]).length).toBe(1)
    expect(failureOf(() => encodeFrame(1, new Uint8Array(MAX_FRAME_BYTES - 4 - 4))).code).toBe('E_FRAME_TOO_LARGE')
  })
})
