/** A sample of `npm run campaign -- network`; the seeds are kept. */
import { expect, test } from 'vitest'
import { fuzzPackets, networkConversation } from './testing/fuzz.ts'
import { uploadConversation } from './testing/fuzz-uploads.ts'

test.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])(
  'seed %i: nothing stays open, reserved or unrecorded, and another session is served to the end',
  async (seed) => {
    expect(await networkConversation(seed, 300)).toEqual([])
  },
)

/** The last one failed: a session was over before what it had closed was recorded. */
test.each([1, 2, 3, 4, 5, 6, 857_619])(
  'seed %i: streamed request bodies leave nothing open, and none that broke off arrives as a whole one',
  async (seed) => {
    expect(await uploadConversation(seed, 400)).toEqual([])
  },
)

test('damaged DNS queries, DNS answers and ClientHellos are read or refused, never anything else', () => {
  expect(fuzzPackets(4, 30_000)).toEqual([])
})
