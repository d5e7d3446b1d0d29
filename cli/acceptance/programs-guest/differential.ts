/** The same random file operations on a host mount in a VM and on a plain folder: what each answers and what is left must be the same. */
import { chmodSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Folders may get the name of files and the other way round: half of the operations shall fail. */
const NAMES = ['a', 'b', 'c', 'd', 'd/a', 'd/b', 'd/e', 'd/e/a', 'd/e/b', 'f', 'f/a', 'l', 'l/a', 'd/l', 'none/a']
const SIZES = [0, 1, 100, 4096, 5000, 70_000]
/** Owner bits only in part: whether the owner may is the guest kernel's to say on both sides. */
const MODES = [0o644, 0o600, 0o755, 0o700, 0o444, 0o311]
/** RENAME_NOREPLACE and RENAME_EXCHANGE. */
const RENAMES = [0, 0, 0, 1, 2, 3]
/** fallocate(2): room, room beyond the end, a hole, zeros, zeros beyond the end; the last is refused by all. */
const ALLOCATIONS = [0, 1, 3, 16, 17, 2]
const SHARES = 'wwwwwaaattmddddrruunnnnnssyffgggkkccpppxjjjLLviiizqqMMhhDDeeeooooooWWWWRRRSSTTT'
/** As many as operations.c has, and its ways of opening. */
const [SLOTS, OPENINGS] = [4, 16]
const OFFSETS = [0, 1, 99, 4095, 4096, 10_000, 69_999]

/**
 * Left out, because the answer differs on purpose: hard links that stay (a file with several names is not changed through a mount), set-user-ID bits, links that
 * lead out of the folder, extended attributes.
 */
export function operations(seed: number, count: number): string {
  const below = generator(seed)
  const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T
  const lines: string[] = []
  for (let i = 0; i < count; i++) {
    const operation = SHARES.charAt(below(SHARES.length))
    const [name, other] = [pick(NAMES), pick(NAMES)]
    const line = (second: string, a = 0, b = 0, c = 0): string => `${operation} ${name} ${second} ${a} ${b} ${c}`
    if (operation === 'w' || operation === 'a') lines.push(line('-', pick(SIZES), 97 + below(26)))
    else if (operation === 't') lines.push(line('-', pick(SIZES)))
    else if (operation === 'm') lines.push(line('-', pick(MODES)))
    else if (operation === 'n') lines.push(line(other, pick(RENAMES)))
    // Its text is the first name: one step, so that it stays inside wherever it is moved.
    else if (operation === 's') lines.push(`s ${pick(['a', 'b', 'd', 'f', 'l'])} ${name} 0 0 0`)
    else if (operation === 'f') lines.push(line('-', below(10_000), below(20_000), pick(ALLOCATIONS)))
    else if (operation === 'p') lines.push(line('-', below(6_000), 97 + below(26)))
    else if (operation === 'c' || operation === 'L') lines.push(line(other))
    else if (operation === 'i') lines.push(line('-', 1_000_000_000 + below(1_000_000), below(1_000_000_000), below(2)))
    else if (operation === 'z') lines.push(line('-', below(8)))
    else if (operation === 'q') lines.push(line('-', below(2), pick([0, 60, 149, 150, 1000])))
    else if (operation === 'M') lines.push(line('-', below(6_000), 97 + below(26)))
    else if (operation === 'h') lines.push(line('-', pick([5_000, 100_000, 200_000])))
    else if (operation === 'D') lines.push(line('-', below(5_000), pick(SIZES)))
    else if (operation === 'e') lines.push(line('-', below(OPENINGS)))
    else if (operation === 'o') lines.push(line('-', below(SLOTS), below(OPENINGS)))
    else if ('WRST'.includes(operation)) lines.push(line('-', below(SLOTS), pick(OFFSETS), pick(SIZES) % 65_536))
    else lines.push(line('-'))
  }
  return `${lines.join('\n')}\n`
}

/** Scripts and folders for these seeds below `folder`: `scripts/N`, `mount/N` for the VM and `plain/N`. */
export function prepare(folder: string, seeds: readonly number[], count: number): void {
  for (const name of ['scripts', 'mount', 'plain']) mkdirSync(join(folder, name))
  for (const seed of seeds) {
    writeFileSync(join(folder, 'scripts', String(seed)), operations(seed, count))
    for (const name of ['mount', 'plain']) {
      mkdirSync(join(folder, name, String(seed)))
      chmodSync(join(folder, name, String(seed)), 0o777)
    }
  }
}

/** Arguments of operations.c. */
export const scriptArguments = (seeds: readonly number[], scripts: string, folders: string): string[] =>
  seeds.flatMap((seed) => [`${scripts}/${seed}`, `${folders}/${seed}`])

/** The first difference of each seed, as a sentence. */
export function differences(folder: string, seeds: readonly number[], mount: string, plain: string): string[] {
  const [one, two] = [mount, plain].map((out) => out.split('script\n').slice(1))
  return seeds.flatMap((seed, i) => {
    const lines = readFileSync(join(folder, 'scripts', String(seed)), 'utf8').split('\n')
    const [here, there] = [one?.[i]?.split('\n') ?? [], two?.[i]?.split('\n') ?? []]
    const at = there.findIndex((answer, n) => answer !== here[n])
    if (at >= 0 || here.length !== there.length)
      return [`seed ${seed}, operation ${at} «${lines[at]}»: the mount answered ${here[at]}, the plain folder ${there[at]}`]
    const [left, kept] = [tree(join(folder, 'mount', String(seed))), tree(join(folder, 'plain', String(seed)))]
    const differing = kept.findIndex((entry, n) => entry !== left[n])
    return differing < 0 && left.length === kept.length
      ? []
      : [`seed ${seed}: left are «${left[differing] ?? left.at(-1)}» on the mount, «${kept[differing]}» on the plain folder`]
  })
}

/** Every name below a folder with kind, permission bits and content, in order. Symbolic links are not followed. `skip`: names whose content is left out. */
export function tree(folder: string, skip?: RegExp, below = ''): string[] {
  return readdirSync(join(folder, below))
    .sort()
    .flatMap((entry) => {
      const name = join(below, entry)
      const path = join(folder, name)
      const stat = lstatSync(path)
      if (stat.isSymbolicLink()) return [`${name} link ${readlinkSync(path)}`]
      const content = stat.isFile() && skip?.test(name) !== true ? `${stat.size} ${Bun.hash(readFileSync(path))}` : ''
      return [`${name} ${stat.mode.toString(8)} ${content}`, ...(stat.isDirectory() ? tree(folder, skip, name) : [])]
    })
}

/** xorshift32: the same seed gives the same operations everywhere. */
export function generator(seed: number): (below: number) => number {
  let state = (seed * 2_654_435_761) >>> 0 || 1
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}
