import { encodeFrame } from '../../src/encode.ts'
import { MAX_FRAME_BYTES } from '../../src/limits.ts'
import { hex, vectorFile } from './json.ts'

const concat = (...parts: readonly Uint8Array[]): string => parts.map(hex).join('')

export function frameVectors(): string {
  return vectorFile('Byte streams and the link frames they hold, wherever a transport cuts them. `frames` are [session, item as hex].', [
    { hex: concat(encodeFrame(0, [1])), frames: [[0, '8101']], meaning: 'one frame' },
    { hex: concat(encodeFrame(0, 0)), frames: [[0, '00']], meaning: 'the smallest frame' },
    { hex: concat(encodeFrame(0xffff_ffff, null)), frames: [[0xffff_ffff, 'f6']], meaning: 'the greatest session number' },
    {
      hex: concat(encodeFrame(1, 'a'), encodeFrame(2, 'b'), encodeFrame(1, 'c')),
      frames: [
        [1, '6161'],
        [2, '6162'],
        [1, '6163'],
      ],
      meaning: 'sessions interleaved on one link',
    },
    { hex: '0000000600000001', frames: [], meaning: 'a header whose item has not arrived is no frame yet' },
  ])
}

export function malformedFrameVectors(): string {
  const length = (n: number): string => n.toString(16).padStart(8, '0')
  return vectorFile('Byte streams that end the link. `frames` were delivered before the fault.', [
    { hex: `${length(MAX_FRAME_BYTES + 1)}00000000`, frames: [], why: 'one byte more than a frame may have', error: 'E_FRAME_TOO_LARGE' },
    {
      hex: length(0xffff_ffff),
      frames: [],
      why: 'a length of 2^32−1, refused before the session number arrives',
      error: 'E_FRAME_TOO_LARGE',
    },
    { hex: length(0), frames: [], why: 'no room for the session number', error: 'E_PROTOCOL' },
    { hex: `${length(4)}00000000`, frames: [], why: 'no item', error: 'E_PROTOCOL' },
    {
      hex: `${concat(encodeFrame(3, true))}${length(3)}`,
      frames: [[3, 'f5']],
      why: 'a good frame, then an impossible length',
      error: 'E_PROTOCOL',
    },
    { hex: '474554202f20485454502f312e310d0a', frames: [], why: 'an HTTP request', error: 'E_FRAME_TOO_LARGE' },
  ])
}
