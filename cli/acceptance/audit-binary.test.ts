import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ShownRecord } from '@authority/kernel/audit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { notesOf } from '../../kernel/audit/testing/mutants.ts'
import { materialise, RUN_ID } from '../../kernel/audit/testing/scenario.ts'
import { isSame, longLog, randomMutant, seeded } from '../../kernel/audit/testing/sweep.ts'
import { TestWitness } from '../../kernel/audit/testing/witness.ts'
import { runProgram } from '../process/run-program.ts'
import { recordLine } from '../ui/record-lines.ts'
import { safeJson } from '../ui/safe-json.ts'

const BINARY = join(import.meta.dirname, '../../dist/authority')
const MUTANTS = 50
let scratch = ''
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'authority-binary-'))
})
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

const verify = (home: string, ...more: readonly string[]) =>
  runProgram([BINARY, 'audit', 'verify', join(home, RUN_ID), '--installation', join(home, 'installation'), ...more])

describe.skipIf(!existsSync(BINARY))('audit verify, the binary', () => {
  it(`calls a sealed log of 1,000 records intact and none of ${MUTANTS} seeded changes to it`, async () => {
    const files = await longLog(1000)
    const random = seeded(7)
    materialise(join(scratch, 'good'), files)
    expect(await verify(join(scratch, 'good'))).toMatchObject({ code: 0 })
    for (let tried = 0; tried < MUTANTS; ) {
      const mutant = randomMutant(files, random)
      if (isSame(files, mutant.files)) continue
      const home = join(scratch, `m${tried++}`)
      materialise(home, mutant.files)
      const { code } = await verify(home)
      expect([1, 3, 4], mutant.name).toContain(code)
      rmSync(home, { recursive: true })
    }
  })

  it('says 3 when more trust is asked for than there is, and 4 when there is nothing', async () => {
    materialise(join(scratch, 'again'), await longLog(20))
    expect(await verify(join(scratch, 'again'), '--require', 'witnessed')).toMatchObject({ code: 3 })
    expect(await verify(join(scratch, 'nothing'))).toMatchObject({ code: 4 })
  })

  it('takes the cosignature of the witness it is given for `witnessed`, and that of another for nothing', async () => {
    const [home, anchor, key] = ['seen', 'seen.note', 'seen.key'].map((name) => join(scratch, name)) as [string, string, string]
    const files = await longLog(20)
    materialise(home, files)
    const note = notesOf(files, RUN_ID).at(-1) ?? ''
    const [witness, impostor] = [new TestWitness('witness.example.com/w1'), new TestWitness('witness.example.com/w1')]
    writeFileSync(anchor, note + witness.line(note))
    writeFileSync(key, `${witness.key}\n`)
    const judge = (given: string) => verify(home, '--anchor', anchor, '--witness', given, '--require', 'witnessed', '--json')
    for (const given of [key, witness.key]) {
      const { code, stdout } = await judge(given)
      expect(code).toBe(0)
      expect(JSON.parse(new TextDecoder().decode(stdout))).toMatchObject({ status: 'intact', trust: 'witnessed', trustMet: true })
    }
    const { code, stdout } = await judge(impostor.key)
    expect(code).toBe(3)
    expect(JSON.parse(new TextDecoder().decode(stdout))).toMatchObject({
      status: 'intact',
      trust: 'remembered-checkpoint',
      trustMet: false,
    })
  })
})

describe('a record on a terminal', () => {
  /** Moves the cursor, rings, clears, hides, turns around, breaks the line, is half a character. */
  const evil = '\u001b[2J\u0007\u0000\r\n\u009b31m\u202e\u2066\u200b\ufeff\u2028\ud800\u{e0001}'
  const facts = { op: evil, session: evil, action: evil, object: evil, requested: `${evil}x`, rule: evil, policy: evil }
  const head = { seq: 1, t: '2026-11-23T04:00:00.000Z', boot_ms: 1 }
  const records = [
    {
      ...head,
      type: 'RUN_START',
      run: 'ab',
      installation: 'cd',
      build: evil,
      operator_uid: 1,
      policy: evil,
      policy_source: evil,
      isolation: evil,
      limits: [],
      detail: { [evil]: evil },
    },
    {
      ...head,
      type: 'INTENT',
      ...facts,
      blocks: [evil],
      accounts: [evil],
      reserve: { [evil]: 1 },
      args: evil,
      claimed: { pid: 1, exe: evil },
    },
    { ...head, type: 'OUTCOME', intent: 1, status: 'error', code: evil, captured: { [evil]: 1 }, detail: { [evil]: evil } },
    { ...head, type: 'CLOSE', intent: 1, captured: { [evil]: 1 }, detail: { [evil]: [evil] } },
    { ...head, type: 'LEASE', intent: 1, reserve: { [evil]: 1 } },
    { ...head, type: 'DENY', ...facts, code: evil, reason: evil, fix: evil, claimed: { pid: 1, exe: evil } },
    { ...head, type: 'LOOK', counts: [{ op: evil, rule: evil, object: evil, count: 2 }] },
    { ...head, type: 'STDIO', fd: 1, bytes: 3, sha256: evil },
    { ...head, type: 'REVOKE', block: evil, by: evil },
    { ...head, type: 'GUEST', event: evil, detail: { [evil]: evil } },
    { ...head, type: 'FATAL', reason: evil },
    { ...head, type: 'RUN_END', ended_by: evil, exit_code: 1, effects: 0, denials: 0, spent: { [evil]: 1 } },
  ] as unknown as readonly ShownRecord[]

  it.each(records.map((record) => [record.type, record] as const))('%s: nothing in it acts', (_type, record) => {
    const acts = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u
    expect(recordLine(record)).not.toMatch(acts)
    const json = safeJson(JSON.stringify(record))
    expect(json).not.toMatch(acts)
    expect(JSON.parse(json)).toEqual(record)
  })
})
