import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

const ROOT = resolve(import.meta.dirname, '../..')
export const BINARY = join(ROOT, 'dist', 'authority')

/** Reads 5 bytes of a file and kills the gate while it is open: what was reserved of it counts in full. */
const AGENT = `
import authority, json, os, subprocess
gate = authority.connect()
file = gate.fs.open("/in/a")
assert file.read(5) == b"12345"
pid = json.loads(subprocess.check_output([${JSON.stringify(BINARY)}, "runs", "show", "last", "--json"]))["gate"]["pid"]
os.kill(pid, 9)
`

export interface Ended {
  readonly out: string
  readonly lines: string
  readonly code: number
}

/** A home of its own whose runs may be killed with a lease open, and the compiled binary in it. */
export class KilledRun {
  readonly folder = mkdtempSync(join(tmpdir(), 'authority-adjust-'))
  readonly home = join(this.folder, 'home')

  constructor() {
    mkdirSync(join(this.folder, 'in'))
    writeFileSync(join(this.folder, 'in', 'a'), '12345')
    writeFileSync(join(this.folder, 'agent.py'), AGENT)
    writeFileSync(join(this.folder, 'p.json'), JSON.stringify({ version: '1.0', fs: { read: ['/in/**'] } }))
  }

  readonly authority = (...args: readonly string[]): Promise<Ended> => this.run(BINARY, ...args)
  readonly json = async (...args: readonly string[]) => JSON.parse((await this.authority(...args, '--json')).out)
  readonly kill = (): Promise<Ended> =>
    this.authority('gate', 'serve', '--policy', 'p.json', '-v', `${this.folder}/in:/in:ro`, '--', 'python3', 'agent.py')
  /** Of what all runs share. */
  readonly counted = async (): Promise<{ readonly [key: string]: number }> => (await this.json('budget', 'limit')).counted

  async run(...words: readonly string[]): Promise<Ended> {
    const env = {
      PATH: process.env.PATH ?? '',
      HOME: this.folder,
      AUTHORITY_HOME: this.home,
      PYTHONPATH: join(ROOT, 'sdks', 'python', 'src'),
      PYTHONDONTWRITEBYTECODE: '1',
    }
    const child = Bun.spawn([...words], { cwd: this.folder, env, stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' })
    const [out, lines] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
    return { out, lines, code: await child.exited }
  }

  readonly bytesOfRun = async (): Promise<number> =>
    (await this.json('budget', 'show', 'last')).rows.find(
      (row: { account: string; dimension: string }) => row.account === 'run' && row.dimension === 'bytes',
    ).captured

  /** Every byte of the run's log. */
  logOf(run: string): string {
    const path = join(this.home, 'runs', run, 'audit')
    const files = readdirSync(path).filter((name) => name.startsWith('seg-') || name === 'checkpoints')
    return files.map((name) => readFileSync(join(path, name)).toString('hex')).join('\n')
  }

  close(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}
