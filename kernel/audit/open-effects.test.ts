import fc from 'fast-check'
import { expect, it } from 'vitest'
import { OpenEffects } from './open-effects.ts'

it('open effects are what a map would hold, in the same order', () => {
  const steps = fc.array(fc.record({ gap: fc.integer({ min: 1, max: 400 }), ends: fc.nat() }), { maxLength: 300 })
  fc.assert(
    fc.property(fc.constantFrom(0, 2 ** 40), steps, (first, each) => {
      const [open, map] = [new OpenEffects<string>(), new Map<number, string>()]
      let seq = first
      for (const { gap, ends } of each) {
        seq += gap
        open.add(seq, `effect ${seq}`)
        map.set(seq, `effect ${seq}`)
        const ended = [...map.keys()][ends % (map.size * 2)] ?? seq + 1
        open.delete(ended)
        map.delete(ended)
        expect([open.size, open.get(ended), open.get(seq)]).toEqual([map.size, undefined, map.get(seq)])
      }
      expect([...open]).toEqual([...map])
    }),
  )
})
