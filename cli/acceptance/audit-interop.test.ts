import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureInstallation, openRunLog, proveRecord, proveSince, signedHead } from '@authority/kernel/audit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { leafHash, verifyConsistency, verifyInclusion } from '../../kernel/audit/merkle.ts'
import { openCheckpoint, parseVerifier } from '../../kernel/audit/note.ts'
import { AT_ONCE, RUN_END, runStart, work } from '../../kernel/audit/testing/scenario.ts'
import { findProgram, runProgram } from '../process/run-program.ts'

/** Go's own checksum database code and transparency-dev's Merkle verifier, at the versions of audit-interop/go.sum. */
const SOURCE = join(import.meta.dirname, 'audit-interop')

/** ms for a first build of their packages on a busy machine. */
const BUILD_MS = 240_000

interface Theirs {
  readonly key: string
  readonly note: string
  readonly old: string
  readonly size: number
  readonly oldSize: number
  readonly inclusions: readonly { readonly Index: number; readonly Record: string; readonly Hashes: readonly string[] }[]
  readonly consistency: readonly string[]
}

let scratch = ''
let program: string | null = null

/** Null where there is no Go, or its modules cannot be had: then there is nothing to compare with. */
async function build(): Promise<string | null> {
  const go = findProgram('go')
  if (!go) return notTested('there is no Go here')
  const folder = join(scratch, 'go')
  cpSync(SOURCE, folder, { recursive: true })
  const out = join(scratch, 'interop')
  const built = await runProgram([go, 'build', '-C', folder, '-o', out, '.'], { deadlineMs: BUILD_MS })
  if (built.code === 0) return out
  if (/dial tcp|no such host|i\/o timeout|connection refused|toolchain not available|requires go/.test(built.stderr))
    return notTested(built.stderr)
  throw new Error(built.stderr)
}

/** Said aloud: without it nothing says that others agree with us. */
function notTested(why: string): null {
  console.error(`NOT TESTED: proofs against implementations we did not write. ${why}`)
  return null
}

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'authority-interop-'))
  program = await build()
}, 2 * BUILD_MS)
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

describe('notes, proofs and tiles', () => {
  it('are good to implementations we did not write, and theirs are to ours', async (context) => {
    if (program === null) return context.skip()
    const theirs = await exchange(program)
    const hashes = (list: readonly string[]): Uint8Array[] => list.map((text) => new Uint8Array(Buffer.from(text, 'base64')))
    const key = parseVerifier(theirs.key)
    const [now, old] = [openCheckpoint(theirs.note, key), openCheckpoint(theirs.old, key)]
    expect([now.size, old.size]).toEqual([theirs.size, theirs.oldSize])
    for (const { Index, Record, Hashes } of theirs.inclusions) {
      const leaf = leafHash(new TextEncoder().encode(Record))
      expect(verifyInclusion(Index, now.size, leaf, hashes(Hashes), now.root)).toBe(true)
      expect(verifyInclusion(Index ^ 1, now.size, leaf, hashes(Hashes), now.root)).toBe(false)
    }
    expect(verifyConsistency(old.size, now.size, hashes(theirs.consistency), old.root, now.root)).toBe(true)
  })
})

/** A log of ours across the edge of a tile, given to them; what they made comes back. */
async function exchange(judge: string): Promise<Theirs> {
  const home = join(scratch, 'home')
  mkdirSync(home, { mode: 0o700 })
  const installation = await ensureInstallation(home)
  const log = await openRunLog({ path: join(home, 'run'), installation, start: runStart(installation), ...AT_ONCE })
  await work(log, 10)
  await log.checkpoint()
  const earlier = signedHead(log.path).note
  await work(log, 50)
  await log.seal(RUN_END)
  const { note, checkpoint } = signedHead(log.path)
  mkdirSync(join(log.path, 'proofs'))
  for (const seq of [0, 1, 100, 255, 256, checkpoint.size - 1]) {
    const { text, record } = proveRecord(log.path, seq)
    writeFileSync(join(log.path, `proofs/${seq}.tlog-proof`), text)
    writeFileSync(join(log.path, `proofs/${seq}.record`), record)
  }
  writeFileSync(join(log.path, 'since'), proveSince(log.path, earlier).text)
  writeFileSync(join(log.path, 'earlier'), earlier)
  writeFileSync(join(log.path, 'checkpoint'), note)
  writeFileSync(join(log.path, 'key'), installation.verifierKey)
  const { code, stdout, stderr } = await runProgram([judge, log.path])
  expect({ code, stderr, said: new TextDecoder().decode(stdout) }).toEqual({ code: 0, stderr: '', said: 'verified 6 proofs\n' })
  return JSON.parse(readFileSync(join(log.path, 'theirs.json'), 'utf8')) as Theirs
}
