/** The verifier of this folder and the one in Python, which shares nothing with it but FORMAT.md, on the same logs: they must say the same. */
import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { editedRecords } from './edited-records.ts'
import { type Files, joined, type Mutant, rewritten } from './mutants.ts'
import { RUN_ID } from './scenario.ts'
import { Bench, longLog, randomMutant, sealedLog, seeded } from './sweep.ts'
import { vectorLogs } from './vectors.ts'

const ROOT = join(import.meta.dirname, '../../..')
/** Debian's own is 3.9 or later everywhere this is built. */
const PYTHON = 'python3'
const SECTOR = 512
const NONE = new Map<string, Uint8Array>()

export function hasPython(): boolean {
  return spawnSync(PYTHON, ['-c', 'import sys; print(sys.version_info >= (3, 9))'], { encoding: 'utf8' }).stdout?.trim() === 'True'
}

interface Answer {
  readonly status: string
  readonly exit: number
  readonly why: readonly string[]
}

/** One process for all questions: starting Python costs more than a verification. */
class PythonVerifier {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  readonly #lines: AsyncIterator<string>

  constructor() {
    this.#child = spawn(PYTHON, [join(ROOT, 'sdks/python/tests/audit_answers.py')], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, PYTHONPATH: join(ROOT, 'sdks/python/src'), PYTHONDONTWRITEBYTECODE: '1' },
    })
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
  }

  async ask(question: { readonly path: string; readonly installation: string | null; readonly run: string | null }): Promise<Answer> {
    this.#child.stdin.write(`${JSON.stringify(question)}\n`)
    const { value, done } = await this.#lines.next()
    if (done === true) throw new Error('the verifier in Python ended')
    return JSON.parse(value) as Answer
  }

  end(): void {
    this.#child.stdin.end()
    this.#child.kill()
  }
}

export interface Comparison {
  readonly tried: number
  readonly disagreements: readonly string[]
  readonly statuses: { readonly [status: string]: number }
}

/** `count` seeded changes of the homes of the test vectors and of a longer log: each answer of the two, with and without the installation's log. */
export async function compareVerifiers(count: number, seed: number): Promise<Comparison> {
  const random = seeded(seed)
  const homes = [await sealedLog(), await longLog(150), ...(await vectorLogs()).values()]
  const bench = new Bench()
  const python = new PythonVerifier()
  const statuses: { [status: string]: number } = {}
  const disagreements: string[] = []
  try {
    for (let tried = 0; tried < count; tried++) {
      const files = homes[tried % homes.length] ?? NONE
      const mutant = changed(files, random)
      const installation = mutant.unsigned || random() < 0.2 ? null : join(bench.folder, 'installation')
      const ours = await bench.verify(mutant.files, { installation, run: RUN_ID })
      const theirs = await python.ask({ path: join(bench.folder, RUN_ID), installation, run: RUN_ID })
      statuses[ours.status] = (statuses[ours.status] ?? 0) + 1
      if (ours.status !== theirs.status || ours.exitCode !== theirs.exit)
        disagreements.push(
          `home ${tried % homes.length}, ${mutant.name}: ${ours.status} ${ours.exitCode} (${ours.findings[0]?.message}), Python ${theirs.status} ${theirs.exit} (${theirs.why[0]})`,
        )
    }
  } finally {
    python.end()
    bench.remove()
  }
  return { tried: count, disagreements, statuses }
}

function changed(files: Files, random: () => number): Mutant & { readonly unsigned: boolean } {
  const kind = random()
  if (kind < 0.1) return { name: 'nothing', files, unsigned: false }
  if (kind < 0.25) return { ...randomMutant(files, random), unsigned: false }
  if (kind < 0.4) return { ...randomMutant(files, random, 'installation/'), unsigned: false }
  if (kind < 0.65) return { ...withOtherEnd(files, random), unsigned: false }
  return { ...withOtherRecords(files, random), unsigned: true }
}

/** What a crash could leave, and what it could not: the last bytes of a file cut, zeroed from somewhere on or in one sector, repeated or followed by zeros. */
function withOtherEnd(files: Files, random: () => number): Mutant {
  const below = (n: number): number => Math.floor(random() * n)
  const names = [...files.keys()].filter((name) => /\/(checkpoints|seg-\d{8}\.log)$/.test(name))
  const name = names[below(names.length)] ?? ''
  const whole = files.get(name) ?? new Uint8Array(0)
  const written = whole.findLastIndex((byte) => byte !== 0) + 1
  const at = Math.max(0, written - below(random() < 0.5 ? 200 : 3000))
  const sector = at - (at % SECTOR)
  const kinds: readonly (() => Uint8Array)[] = [
    () => whole.slice(0, at),
    () => whole.slice().fill(0, at),
    () => whole.slice().fill(0, sector, sector + SECTOR),
    () => joined(whole, new Uint8Array(below(5000))),
    () => joined(whole.subarray(0, written), whole.subarray(at, written), new Uint8Array(below(2) * 4096)),
  ]
  const kind = below(kinds.length)
  return { name: `end ${kind} of ${name}@${at}`, files: new Map([...files, [name, kinds[kind]?.() ?? whole]]) }
}

/** The log with some records changed, its hashes right again and its checkpoints gone: what is left to judge is what the records say. */
function withOtherRecords(files: Files, random: () => number): Mutant {
  const { edit, name } = editedRecords(random)
  const others = new Map(rewritten(files, RUN_ID, edit))
  others.delete(`${RUN_ID}/checkpoints`)
  return { name: name(), files: others }
}
