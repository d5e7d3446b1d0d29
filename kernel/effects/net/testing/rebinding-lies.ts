/** What hostile resolvers say: chosen lies, and any number of random ones. */
import type { Answer } from 'dns-packet'
import { seeded } from '../../../gate/fuzz.ts'

/** The only public address of somebody else there is. */
export const GOOD = '93.184.216.34'
/** Public addresses of the gate's own machine, one of them routed to it without belonging to an interface. */
export const OWN = ['93.184.216.99', '2606:2800:21f:cb07::99', '93.184.220.5'] as const
/** Each has a server of its own here. */
export const FORBIDDEN = [
  '127.0.0.1',
  '10.9.8.7',
  '192.168.1.1',
  '100.64.0.1',
  '169.254.169.254',
  '100.100.100.200',
  '::1',
  'fd00::1',
  ...OWN,
] as const

const four = (name: string, data: string): Answer => ({ type: 'A', name, data, ttl: 0 })
const six = (name: string, data: string): Answer => ({ type: 'AAAA', name, data, ttl: 0 })
const alias = (name: string, data: string): Answer => ({ type: 'CNAME', name, data, ttl: 0 })

/** What a resolver says to the first, second… question of each type about a name; the last goes on. */
export type Lies = Readonly<Record<string, readonly (readonly Answer[])[]>>

export const CHOSEN_LIES: Lies = {
  'good.attack.example': [[four('good.attack.example', GOOD)]],
  'later.attack.example': [[four('later.attack.example', GOOD)], [four('later.attack.example', '127.0.0.1')]],
  'before.attack.example': [[four('before.attack.example', '10.9.8.7')], [four('before.attack.example', GOOD)]],
  'mixed.attack.example': [
    ['10.9.8.7', '169.254.169.254', GOOD, '127.0.0.1']
      .map((address) => four('mixed.attack.example', address))
      .concat([six('mixed.attack.example', '::1'), six('mixed.attack.example', 'fd00::1')]),
  ],
  'private.attack.example': [[four('private.attack.example', '192.168.1.1'), four('private.attack.example', '100.64.0.1')]],
  'metadata.attack.example': [[four('metadata.attack.example', '169.254.169.254'), four('metadata.attack.example', '100.100.100.200')]],
  'loopback.attack.example': [[four('loopback.attack.example', '127.0.0.1'), six('loopback.attack.example', '::1')]],
  'zero.attack.example': [[four('zero.attack.example', '0.0.0.0'), six('zero.attack.example', '::')]],
  'mapped.attack.example': [
    ['::ffff:127.0.0.1', '::ffff:10.9.8.7', '64:ff9b::a00:1', '2002:7f00:1::'].map((address) => six('mapped.attack.example', address)),
  ],
  'own.attack.example': [OWN.map((address) => (address.includes(':') ? six : four)('own.attack.example', address))],
  'alias.attack.example': [[alias('alias.attack.example', 'localhost'), four('localhost', '127.0.0.1'), six('localhost', '::1')]],
  'inside.attack.example': [[alias('inside.attack.example', 'db.corp.example'), four('db.corp.example', '10.9.8.7')]],
  'cut.attack.example': [[four('cut.attack.example', '10.9.8.7')]],
}

/** Turns a random name has before its answer stays. */
const MOST_TURNS = 6
const MOST_ANSWERS = 5
const SPELLINGS = [
  '0.0.0.0',
  '127.1.2.3',
  '::',
  '::ffff:127.0.0.1',
  '::ffff:169.254.169.254',
  '64:ff9b::a00:1',
  '2002:7f00:1::',
  'fe80::1',
  'ff02::1',
] as const
const ALIASES = ['localhost', 'db.corp.example', 'metadata.internal', 'other.attack.example'] as const

/** `count` names whose answers change from turn to turn: public and forbidden addresses alone and mixed, in both families, and aliases to names of the inside with theirs. */
export function randomLies(seed: number, count: number): Lies {
  const below = seeded(seed)
  const address = (name: string): Answer => {
    const all = [GOOD, ...FORBIDDEN, ...SPELLINGS]
    const data = below(3) === 0 ? GOOD : (all[below(all.length)] ?? GOOD)
    return data.includes(':') ? six(name, data) : four(name, data)
  }
  const answers = (name: string): readonly Answer[] => {
    const target = below(3) === 0 ? (ALIASES[below(ALIASES.length)] ?? 'localhost') : name
    const addresses = Array.from({ length: below(MOST_ANSWERS) + 1 }, () => address(target))
    return target === name ? addresses : [alias(name, target), ...addresses]
  }
  const named = (index: number): string => `r${index}.attack.example`
  return Object.fromEntries(
    Array.from({ length: count }, (_, index) => [named(index), Array.from({ length: below(MOST_TURNS) + 1 }, () => answers(named(index)))]),
  )
}
