import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inflateSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { materialise } from '../testing/scenario.ts'
import { type Edit, type Question, questions, type VectorCase, vectorFile, vectorLogs } from '../testing/vectors.ts'
import { TRUST_LEVELS, verifyRun } from './index.ts'

const FILE = join(import.meta.dirname, '../../../fixtures/vectors/audit/logs.json')
type Logs = ReadonlyMap<string, ReadonlyMap<string, Uint8Array>>
interface Vectors {
  readonly logs: { readonly [log: string]: { readonly [file: string]: string } }
  readonly cases: readonly VectorCase[]
}
const unpack = (text: string): Uint8Array => new Uint8Array(inflateSync(Buffer.from(text, 'base64')))
const read = (): Vectors => JSON.parse(readFileSync(FILE, 'utf8')) as Vectors

function edited(logs: Logs, { log, edits }: Question): Map<string, Uint8Array> {
  const files = new Map(logs.get(log))
  for (const edit of edits) apply(files, edit, logs)
  return files
}

function apply(files: Map<string, Uint8Array>, edit: Edit, logs: Logs): void {
  const bytes = files.get(edit.file) ?? new Uint8Array(0)
  if (edit.op === 'remove') files.delete(edit.file)
  else if (edit.op === 'cut') files.set(edit.file, bytes.slice(0, edit.to))
  else if (edit.op === 'flip') files.set(edit.file, bytes.with(edit.at, (bytes[edit.at] ?? 0) ^ edit.mask))
  else if (edit.op === 'append') files.set(edit.file, new Uint8Array(Buffer.concat([bytes, unpack(edit.zlib)])))
  else if (edit.op === 'write') files.set(edit.file, unpack(edit.zlib))
  else files.set(edit.file, logs.get(edit.log)?.get(edit.from) ?? new Uint8Array(0))
}

let root: string
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'authority-vectors-'))
})
afterAll(() => rmSync(root, { recursive: true }))

async function answer(logs: Logs, question: Question, folder: string): Promise<VectorCase> {
  materialise(folder, edited(logs, question))
  const { run, installation, key, anchors, require } = question
  const verdict = await verifyRun(join(folder, run), {
    ...(installation === false ? {} : { installation: join(folder, 'installation'), run }),
    ...(key === undefined ? {} : { key }),
    ...(anchors === undefined ? {} : { anchors }),
    ...(require === undefined ? {} : { require: TRUST_LEVELS.find((level) => level === require) ?? 'self-attested' }),
  })
  return { ...question, status: verdict.status, exit: verdict.exitCode }
}

const logsOf = ({ logs }: Vectors): Logs =>
  new Map(Object.entries(logs).map(([name, files]) => [name, new Map(Object.entries(files).map(([file, text]) => [file, unpack(text)]))]))

describe('logs.json', () => {
  it('gets the answers that stand in it', { timeout: 60_000 }, async () => {
    const vectors = read()
    const logs = logsOf(vectors)
    for (const [at, each] of vectors.cases.entries()) {
      const { status, exit } = await answer(logs, each, join(root, String(at)))
      expect({ name: each.name, status, exit }).toEqual({ name: each.name, status: each.status, exit: each.exit })
    }
    expect(vectors.cases.length).toBeGreaterThan(80)
  })

  it('is what the generator makes (AUTHORITY_WRITE_VECTORS=1 writes it)', { timeout: 60_000 }, async () => {
    const logs = await vectorLogs()
    if (process.env.AUTHORITY_WRITE_VECTORS === '1') {
      const cases: VectorCase[] = []
      for (const [at, question] of questions(logs).entries()) cases.push(await answer(logs, question, join(root, `w${at}`)))
      await Bun.write(FILE, vectorFile(logs, cases))
    }
    const vectors = read()
    const made = JSON.parse(vectorFile(logs, [])) as Vectors
    expect(Object.keys(vectors.logs)).toEqual(Object.keys(made.logs))
    expect(vectors.cases.map(({ name }) => name)).toEqual(questions(logs).map(({ name }) => name))
    for (const [log, files] of logsOf(vectors)) expect(new Map(files), log).toEqual(new Map(logsOf(made).get(log)))
  })
})
