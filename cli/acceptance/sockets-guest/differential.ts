/** Random socket operations whose answers do not depend on time: a model of each socket knows which are that at each moment. operations.c carries them out. */
import { generator } from '../programs-guest/differential.ts'

/** As many as operations.c has. */
const SLOTS = 4
const SIZES = [1, 100, 1448, 4096, 20_000]
/** Bytes that may wait to be read: they fit every buffer on the way, so that no send waits for a read. */
const MOST_HERE = 40_000
const [POLLIN, POLLRDHUP] = [1, 0x2000]
const [SHUT_RD, SHUT_WR] = [0, 1]

/** One socket, as far as what it answers next depends on what was done. */
interface Slot {
  /** Echoed bytes not read yet. */
  here: number
  /** Whether the server has answered all it was sent. */
  confirmed: boolean
  /** What was said that is not echoed: nothing, something with echoes after it, or last. */
  silent: 'no' | 'followed' | 'last'
  shutWrite: boolean
  shutRead: boolean
  /** The server's end was seen. */
  ended: boolean
  reset: boolean
}

/** A script; connections are numbered from `seed` × 1000 on. */
export function operations(seed: number, count: number): string {
  const below = generator(seed)
  const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T
  const slots: (Slot | null)[] = Array.from({ length: SLOTS }, () => null)
  const lines: string[] = []
  let connections = 0
  for (let i = 0; i < count; i++) {
    const at = below(SLOTS)
    const put = (operation: string, a = 0, b = 0): void => void lines.push(`${operation} ${at} ${a} ${b}`)
    const slot = slots[at] ?? null
    if (slot === null) {
      const operation = pick('ccccCu'.split(''))
      put(operation, below(operation === 'c' ? 3 : 2), seed * 1000 + connections)
      if (operation !== 'c') continue
      connections += 1
      slots[at] = { here: 0, confirmed: false, silent: 'no', shutWrite: false, shutRead: false, ended: false, reset: false }
      continue
    }
    const choice = pick(possible(slot))
    const size = pick(SIZES)
    if ('wvs'.includes(choice)) {
      put(choice, size, below(1000))
      if (slot.shutWrite || slot.reset) continue
      slot.confirmed = false
      if (slot.ended) continue
      slot.here += size
      if (slot.silent === 'last') slot.silent = 'followed'
    } else if (choice === 'q') {
      put('q', size, below(1000))
      slot.confirmed = false
      slot.silent = 'last'
    } else if (choice === 'r' || choice === 't') {
      const length = slot.reset ? 1 : 1 + below(slot.here)
      put(choice, length)
      take(slot, length)
    } else if (choice === 'e') {
      put('e')
      take(slot, slot.here)
      slot.ended = true
    } else if (choice === 'f') put('f', slot.here)
    else if (choice === 'n') put('n', below(2))
    else if (choice === 'g') put('g', awaited(slot), below(2))
    else if (choice === 'o') put('o', below(2))
    else if (choice === 'h') {
      const how = slot.here === 0 && !slot.ended && below(3) === 0 ? SHUT_RD : SHUT_WR
      put('h', how)
      if (how === SHUT_RD) slot.shutRead = true
      else slot.shutWrite = true
    } else if (choice === 'F') {
      put('F')
      slot.ended = true
    } else if (choice === 'R') {
      put('R')
      slot.reset = true
    } else if (choice === 'k' || choice === 'x') {
      // What was not read makes a close a reset, once it is here.
      if (slot.here > 0) put('f', slot.here)
      put(choice)
      slots[at] = null
    } else put(choice)
  }
  slots.forEach((slot, at) => {
    if (slot === null) return
    if (slot.here > 0) lines.push(`r ${at} ${slot.here} 0`)
    lines.push(`k ${at} 0 0`)
  })
  return `${lines.join('\n')}\n`
}

function take(slot: Slot, length: number): void {
  if (slot.reset) return
  slot.here -= length
  if (slot.here > 0 || slot.ended) return
  slot.confirmed = true
  if (slot.silent === 'followed') slot.silent = 'no'
}

/** Operations whose answer is certain now; often ones stand there twice. */
function possible(slot: Slot): string[] {
  const { here, confirmed, silent, shutWrite, shutRead, ended, reset } = slot
  if (reset) return 'rwgnok'.split('')
  if (shutRead) return 'ngok'.split('')
  const all: string[] = ['o', 'g']
  if (here < MOST_HERE && !shutWrite) all.push('w', 'w', 'v', 's')
  if (shutWrite) all.push('w', 'e')
  if (ended) all.push('e')
  if (here > 0) all.push('r', 'r', 'r', 'p', 't', 'f')
  if (here === 0) all.push('k')
  if (!shutWrite) all.push('a', 'i', 'd', 'h', 'q')
  if (!shutWrite && !ended) all.push('F')
  if (here === 0 && !shutWrite && !ended) all.push('n', 'R')
  // The end at once, with nothing on its way that it could overtake.
  if (confirmed && silent === 'no' && here === 0 && !shutWrite && !ended) all.push('x')
  if (here > 0 && silent === 'no' && !shutWrite && !ended) all.push('k')
  return all
}

function awaited({ here, ended, shutWrite, reset, shutRead }: Slot): number {
  if (reset || shutRead) return 0
  if (ended || shutWrite) return POLLRDHUP
  return here > 0 ? POLLIN : 0
}

/** Connections a script makes. */
export const connectionsOf = (script: string): number => script.match(/^c /gm)?.length ?? 0

/** The first difference of each seed, as a sentence. */
export function differences(seeds: readonly number[], count: number, vm: Outcome, plain: Outcome): string[] {
  const [one, two] = [vm, plain].map(({ answers }) => answers.split('script\n').slice(1))
  return seeds.flatMap((seed, i) => {
    const lines = operations(seed, count).split('\n')
    const [here, there] = [one?.[i]?.split('\n') ?? [], two?.[i]?.split('\n') ?? []]
    const at = there.findIndex((answer, n) => answer !== here[n])
    if (at >= 0 || here.length !== there.length)
      return [`seed ${seed}, operation ${at} «${lines[at]}»: in the VM «${here[at]}», on the host «${there[at]}»`]
    const numbers = [...new Set([...plain.connections.keys(), ...vm.connections.keys()])].filter((each) => Math.floor(each / 1000) === seed)
    const differing = numbers.find((each) => vm.connections.get(each) !== plain.connections.get(each))
    return differing === undefined
      ? []
      : [
          `seed ${seed}, connection ${differing}: its server saw «${vm.connections.get(differing)}» from the VM, «${plain.connections.get(differing)}» from the host`,
        ]
  })
}

export interface Outcome {
  /** What the operations answered. */
  readonly answers: string
  /** What the server saw of each connection. */
  readonly connections: ReadonlyMap<number, string>
}
