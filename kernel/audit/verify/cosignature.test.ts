import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Files, notesOf } from '../testing/mutants.ts'
import { RUN_ID } from '../testing/scenario.ts'
import { Bench, sealedLog } from '../testing/sweep.ts'
import { SEEN, TestWitness } from '../testing/witness.ts'

let files: Files
let bench: Bench
let note: string
let earlier: string
beforeAll(async () => {
  files = await sealedLog()
  bench = new Bench()
  const notes = notesOf(files, RUN_ID)
  note = notes.at(-1) ?? ''
  earlier = notes.at(-2) ?? ''
})
afterAll(() => bench.remove())

const witness = new TestWitness('witness.example.com/w1')
const judge = (anchor: string, witnesses: readonly string[] = [witness.key]) =>
  bench.verify(files, { anchors: [anchor], witnesses, require: 'witnessed' })

describe('a checkpoint that a witness cosigned', () => {
  it('makes the trust `witnessed`, also when it is an earlier one, or others cosigned it too', async () => {
    const witnessed = { status: 'intact', trust: 'witnessed', trustMet: true, exitCode: 0 }
    expect(await judge(note + witness.line(note))).toMatchObject(witnessed)
    expect(await judge(earlier + witness.line(earlier))).toMatchObject(witnessed)
    const stranger = new TestWitness('witness.example.com/w2')
    expect(await judge(note + stranger.line(note) + witness.line(note))).toMatchObject(witnessed)
    expect(await judge(note + witness.line(note), [stranger.key, witness.key])).toMatchObject(witnessed)
  })

  it('is no more than remembered when the cosignature is not exactly that of the witness named', async () => {
    const impostor = new TestWitness(witness.name)
    const good = witness.line(note)
    const lines: Readonly<Record<string, string>> = {
      none: '',
      'another key of the same name': impostor.line(note),
      'another key under the id of the right one': impostor.line(note, { keyId: witness.keyId }),
      'the right key under another id': witness.line(note, { keyId: impostor.keyId }),
      'another time than was signed': witness.line(note, { claimed: SEEN + 1n }),
      'another checkpoint': witness.line(earlier),
      'another version': witness.line(note, { header: 'cosignature/v2' }),
      'another name on the line': good.replace('/w1 ', '/w2 '),
      'a byte too few': `${good.trimEnd().slice(0, -4)}\n`,
      'the log’s own signature under the name': note.slice(note.indexOf('\n\n') + 2).replace(/^\u2014 \S+/, `\u2014 ${witness.name}`),
    }
    for (const [name, line] of Object.entries(lines))
      expect(await judge(note + line), name).toMatchObject({
        status: 'intact',
        trust: 'remembered-checkpoint',
        trustMet: false,
        exitCode: 3,
      })
    expect(await judge(note + good, [])).toMatchObject({ trust: 'remembered-checkpoint', exitCode: 3 })
  })

  it('does not save a log that contradicts it, or a checkpoint the log’s key did not sign', async () => {
    const other = await sealedLog(2)
    const foreign = notesOf(other, RUN_ID).at(-1) ?? ''
    expect(await judge(foreign + witness.line(foreign))).toMatchObject({ status: 'tampered', exitCode: 1, trust: 'self-attested' })
    const unsigned = note.slice(0, note.indexOf('\n\n') + 2)
    expect(await judge(unsigned + witness.line(note))).toMatchObject({ status: 'tampered', exitCode: 1 })
    const bigger = note.replace(/\n(\d+)\n/, (_all, size) => `\n${Number(size) + 1}\n`)
    expect(await judge(bigger + witness.line(bigger))).toMatchObject({ status: 'tampered', exitCode: 1 })
  })

  it('counts from no key that is not one for cosignatures', async () => {
    const logType = new TestWitness(witness.name, 1)
    const wrongId = witness.key.replace(/\+[0-9a-f]{8}\+/, '+00000000+')
    for (const key of [logType.key, wrongId, `${witness.key}=`, '', 'witness.example.com/w1'])
      expect(await judge(note + witness.line(note), [key]), key).toMatchObject({ status: 'unreadable', exitCode: 4 })
  })
})
