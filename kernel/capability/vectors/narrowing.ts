import { attenuate, seal } from '../attenuate.ts'
import { DEEP, NARROWED, RESTRICTIONS, ROOT, RUN_TOKEN } from './tokens.ts'

/** What any holder can compute without a key: parent and restriction in, the one right token out. */
export function narrowings(): readonly object[] {
  const made = [ROOT, RUN_TOKEN, DEEP].flatMap((parent, index) =>
    RESTRICTIONS.map(([name, restriction]) => ({
      name: `${name} (${PARENTS[index]})`,
      parent,
      restriction,
      token: attenuate(parent, restriction),
    })),
  )
  const sealed = [ROOT, NARROWED, DEEP].map((parent) => ({ name: 'sealed', parent, seal: true, token: seal(parent) }))
  return [...made, ...sealed, ...refused()]
}

const PARENTS = ['of a grant', 'of the run’s capability', 'of a narrowed token']

/** Restrictions that must fail before a token is made; as JSON text, because some of them are no object a language would build. */
function refused(): readonly object[] {
  const full = Array.from({ length: 15 }).reduce<string>((token) => attenuate(token, { uses: 100 }), RUN_TOKEN)
  const texts: readonly (readonly [string, string])[] = [
    ['nothing restricted', '{}'],
    ['an unknown key', '{"uses":1,"use":1}'],
    ['an unknown section', '{"fs":{"execute":[]}}'],
    ['__proto__', '{"uses":1,"__proto__":{}}'],
    ['an unknown dimension', '{"budget":{"kilocalls":1}}'],
    ['a list that is none', '{"tools":"search"}'],
    ['a pattern that is none', '{"tools":[null]}'],
    ['an empty pattern', '{"tools":[""]}'],
    ['negative uses', '{"uses":-1}'],
    ['a fraction', '{"uses":1.5}'],
    ['text for a number', '{"uses":"1"}'],
    ['a boolean for a number', '{"uses":true}'],
    ['2^53', '{"uses":9007199254740992}'],
    ['a rate without burst', '{"rate":{"count":1,"periodMs":1}}'],
    ['a rate of nothing', '{"rate":{"count":0,"periodMs":1,"burst":1}}'],
    ['a period above a day', '{"rate":{"count":1,"periodMs":86400001,"burst":1}}'],
    ['delegation above 15', '{"delegate":16}'],
    ['a time after the year 9999', '{"expires":253402300800000}'],
    ['closed as a number', '{"closed":1}'],
    ['half a surrogate pair', '{"tools":["\\ud800"]}'],
    ['a block that does not fit 4 KiB', JSON.stringify({ fs: { read: Array.from({ length: 30 }, (_, i) => `/${'x'.repeat(140)}${i}`) } })],
  ]
  return [
    ...texts.map(([name, restriction_json]) => ({ name, parent: ROOT, restriction_json, error: 'E_CAP_INVALID' })),
    { name: 'a seventeenth block', parent: full, restriction_json: '{"uses":1}', error: 'E_CAP_INVALID' },
  ]
}
