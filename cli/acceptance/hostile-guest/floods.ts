/** More of everything than a mount gives: lookups of nothing, openings that are never closed, long names, deep trees. Sizes are the caller's. */
import type { Outcome } from './gate.ts'
import { fields, OPCODE, Script } from './script.ts'

export interface Flood {
  readonly what: string
  readonly script: Script
  /** What the gate said that it should not have, in words. */
  judge(out: Outcome): string[]
}

const [DATA, OUT, ROOT] = [1, 2, 1]
/** Messages in flight before their answers are waited for. */
const BATCH = 20_000
const ERRNO = { ENOENT: 2, ENFILE: 23, ENAMETOOLONG: 36 } as const
const O_WRONLY_CREAT = 0o101

/** Every name is looked for on the host, and none leaves anything behind in the gate. */
export function lookupsOfNothing(count: number): Flood {
  const { script, uniques } = inBatches(count, (script, i) => script.fuse(OPCODE.LOOKUP, ROOT, fields(`nothing-${i}`), DATA))
  return {
    what: `${count} lookups of nothing`,
    script,
    judge: (out) => unlike(uniques, out, ({ errno, body }) => (errno === 0 ? body.readBigUInt64LE() === 0n : errno === ERRNO.ENOENT)),
  }
}

/** Folders are looks, so that nothing but the bound on handles stops this: `most` are opened, the others are ENFILE. */
export function handlesNeverClosed(count: number, most: number): Flood {
  const { script, uniques } = inBatches(count, (script) => script.fuse(OPCODE.OPENDIR, ROOT, fields(0, 0), DATA))
  return {
    what: `${count} openings of a folder, none closed`,
    script,
    judge: (out) => [
      ...unlike(uniques.slice(0, most), out, ({ errno }) => errno === 0),
      ...unlike(uniques.slice(most), out, ({ errno }) => errno === ERRNO.ENFILE),
    ],
  }
}

export function longNames(count: number, bytes: number): Flood {
  const { script, uniques } = inBatches(count, (script, i) => script.fuse(OPCODE.LOOKUP, ROOT, fields(`${i}`.padEnd(bytes, 'n')), DATA))
  return {
    what: `${count} names of ${bytes} bytes`,
    script,
    judge: (out) => unlike(uniques, out, ({ errno }) => errno === ERRNO.ENAMETOOLONG),
  }
}

/** One folder in the other until a path is too long for the host, then a file in the deepest. Nodes are numbered in order from 2. */
export function deepTree(levels: number, deepest: number): Flood {
  const script = opened()
  const uniques = Array.from({ length: levels }, (_, level) =>
    script.ask(OPCODE.MKDIR, level === 0 ? ROOT : level + 1, fields(0o755, 0, 'd'), OUT),
  )
  const file = script.ask(OPCODE.CREATE, levels + 1, fields(O_WRONLY_CREAT, 0o644, 0, 0, 'f'), OUT)
  script.exit(0)
  return {
    what: `${levels} folders in each other`,
    script,
    judge: (out) => {
      const made = uniques.filter((unique) => out.fuse.get(unique)?.errno === 0).length
      const refused = [...uniques.slice(made), ...(made === levels ? [] : [file])]
      const enough = made === levels || made >= deepest
      return [...(enough ? [] : [`only ${made} levels were made`]), ...unlike(refused, out, ({ errno }) => errno !== 0)]
    },
  }
}

function opened(): Script {
  return new Script().handshake().mount(DATA).mount(OUT)
}

function inBatches(count: number, send: (script: Script, i: number) => bigint): { script: Script; uniques: bigint[] } {
  const script = opened()
  const uniques: bigint[] = []
  for (let i = 0; i < count; i++) {
    uniques.push(send(script, i))
    if (i % BATCH === BATCH - 1 || i === count - 1) script.await('fuse', (i % BATCH) + 1)
  }
  script.exit(0)
  return { script, uniques }
}

function unlike(uniques: readonly bigint[], out: Outcome, right: (answer: { errno: number; body: Buffer }) => boolean): string[] {
  const wrong = uniques.filter((unique) => {
    const answer = out.fuse.get(unique)
    return answer === undefined || !right(answer)
  })
  const [first] = wrong
  return first === undefined
    ? []
    : [`${wrong.length} answers are wrong, the first: ${JSON.stringify(out.fuse.get(first)?.errno ?? 'none')}`]
}
