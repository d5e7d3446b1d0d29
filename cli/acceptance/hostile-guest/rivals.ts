/** Two hostile guests on one mount: one renames folders and plants links under the names that the other opens. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MESSAGE, OPEN_FLAGS } from '@authority/protocol'
import type { Outcome } from './gate.ts'
import { HELLO, request, Script } from './script.ts'

/** What may be read in the rivals' folders. */
export const RIVAL_WITHIN = 'within'
const NAMES = ['x', 'y', 'z']
/** Requests in flight before their answers are waited for. */
const BATCH = 30

export function makeRivalFolders(out: string): void {
  for (const name of NAMES) {
    mkdirSync(join(out, name))
    writeFileSync(join(out, name, 'secret.txt'), RIVAL_WITHIN)
  }
}

/** Renames, exchanges and links in turn; what leads out is refused, what leads to a sibling is made. */
export function mover(rounds: number): Script {
  const script = started()
  let id = 1
  const ask = (...asked: Parameters<typeof request> extends [number, ...infer Rest] ? Rest : never) =>
    script.session(1, request(id++, ...asked))
  for (let round = 0; round < rounds; round++) {
    const [a, b] = [NAMES[round % 3], NAMES[(round + 1) % 3]]
    ask('fs.rename', [`/out/${a}`, '/out/aside', 0])
    ask('fs.symlink', [`/out/${a}`, b ?? ''])
    ask('fs.symlink', [`/out/${a}-out`, '../outside'])
    ask('fs.unlink', [`/out/${a}`])
    ask('fs.rename', ['/out/aside', `/out/${a}`, 0])
    ask('fs.rename', [`/out/${a}`, `/out/${b}`, 2])
    if (round % 5 === 4) script.await('effects', BATCH)
  }
  return script.exit(0)
}

/** Opens through the names that move, and reads whatever opened: files are numbered in order. */
export function opener(rounds: number): Script {
  const script = started()
  let id = 1
  for (let i = 0; i < rounds; i++) {
    script.session(1, request(id++, 'fs.open', [`/out/${NAMES[i % 3]}/secret.txt`, OPEN_FLAGS.READ, 0]))
    if (id % BATCH === 1) script.await('effects', BATCH)
  }
  for (let file = 1; file <= rounds; file++) {
    script.session(1, request(id++, 'fs.read', [file, 0, 4096]))
    if (id % BATCH === 1) script.await('effects', BATCH)
  }
  return script.exit(0)
}

function started(): Script {
  return new Script().handshake().openSession(1).session(1, HELLO).await('effects', 1)
}

/** What was read, each text once. */
export function textsRead(out: Outcome, opens: number): Set<string> {
  return new Set(
    out.effects.flatMap(({ message }) =>
      message?.type === MESSAGE.RESULT && message.id > opens ? [Buffer.from(message.result[0] as Uint8Array).toString()] : [],
    ),
  )
}
