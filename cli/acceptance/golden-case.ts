import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

/** The form of fixtures/cli/*.json: each file is a list of cases; fixtures/cli/README.md explains it. */
export interface GoldenCase {
  readonly name: string
  readonly args: readonly string[]
  readonly stdin?: string
  readonly env?: Readonly<Record<string, string>>
  readonly files?: Readonly<Record<string, FileContent>>
  readonly before?: readonly Step[]
  readonly stdout?: Expected
  readonly stderr?: Expected
  readonly exit: number
  readonly absent?: readonly string[]
  readonly present?: readonly string[]
}

type FileContent =
  | string
  | { readonly base64: string; readonly mode?: string }
  | { readonly elf: keyof typeof ELF_KINDS }
  | { readonly link: string }
  | { readonly folder: true; readonly mode?: string }
type Expected =
  | string
  | { readonly contains?: readonly string[]; readonly lacks?: readonly string[]; readonly matches?: string; readonly json?: unknown }
type Step =
  | { readonly run: readonly string[]; readonly exit?: number }
  | { readonly flip: string; readonly at: number }
  | { readonly write: Readonly<Record<string, FileContent>> }
  | { readonly remove: string }

export interface Outcome {
  readonly exit: number | null
  readonly stdout: string
  readonly stderr: string
}

/** ms for one command: none of the cases boots a machine. */
const DEADLINE_MS = 30_000

/** A folder of its own with a home of its own for one case. */
export class Sandbox {
  readonly folder = realpathSync(mkdtempSync(join(tmpdir(), 'authority-cli-')))
  private readonly binary: string

  constructor(binary: string) {
    this.binary = binary
    mkdirSync(join(this.folder, 'work'))
  }

  /** Where commands run; `$DIR` in a case. */
  get dir(): string {
    return join(this.folder, 'work')
  }

  /** AUTHORITY_HOME, absent until a command or a file of the case makes it; `$HOME` in a case. */
  get home(): string {
    return join(this.folder, 'home')
  }

  write(files: Readonly<Record<string, FileContent>>): void {
    for (const [name, content] of Object.entries(files)) {
      const path = this.path(name)
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
      if (typeof content === 'string') writeFileSync(path, this.fill(content))
      else if ('elf' in content) writeFileSync(path, smallestElf(content.elf), { mode: 0o755 })
      else if ('link' in content) symlinkSync(this.fill(content.link), path)
      else if ('folder' in content) mkdirSync(path, { recursive: true })
      else writeFileSync(path, Buffer.from(content.base64, 'base64'))
      if (typeof content !== 'string' && 'mode' in content && content.mode !== undefined) chmodSync(path, Number.parseInt(content.mode, 8))
    }
  }

  step(step: Step): void {
    if ('run' in step) {
      const { exit, stderr } = this.run(step.run, {})
      if (exit !== (step.exit ?? 0)) throw new Error(`the step ${step.run.join(' ')} ended with ${exit}: ${stderr}`)
    } else if ('write' in step) this.write(step.write)
    else if ('remove' in step) rmSync(this.only(step.remove), { recursive: true })
    else flipByte(this.only(step.flip), step.at)
  }

  run(args: readonly string[], options: Pick<GoldenCase, 'stdin' | 'env'>): Outcome {
    const env = Object.fromEntries(Object.entries(options.env ?? {}).map(([name, value]) => [name, this.fill(value)]))
    const { status, stdout, stderr } = spawnSync(
      this.binary,
      args.map((arg) => this.fill(arg)),
      {
        cwd: this.dir,
        input: options.stdin ?? '',
        env: { PATH: process.env.PATH ?? '', AUTHORITY_HOME: this.home, TZ: 'UTC', ...env },
        timeout: DEADLINE_MS,
      },
    )
    return { exit: status, stdout: this.plain(stdout), stderr: this.plain(stderr) }
  }

  has(name: string): boolean {
    return globSync(this.path(name)).length > 0
  }

  clean(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }

  private path(name: string): string {
    const filled = this.fill(name)
    return filled.startsWith('/') ? filled : join(this.dir, filled)
  }

  /** The one file of a pattern. */
  private only(pattern: string): string {
    const [path, another] = globSync(this.path(pattern))
    if (path === undefined || another !== undefined) throw new Error(`${pattern} is not exactly one file`)
    return path
  }

  private fill(text: string): string {
    return text.replaceAll('$DIR', this.dir).replaceAll('$HOME', this.home).replaceAll('$BINARY', this.binary)
  }

  private plain(bytes: Buffer): string {
    return bytes.toString().replaceAll(this.dir, '$DIR').replaceAll(this.home, '$HOME')
  }
}

/** Machine (e_machine), class and type (e_type) of the header. */
const ELF_KINDS = {
  x86_64: { machine: 0x3e, bits: 2, type: 2 },
  aarch64: { machine: 0xb7, bits: 2, type: 2 },
  riscv64: { machine: 0xf3, bits: 2, type: 2 },
  '32-bit': { machine: 0x3e, bits: 1, type: 2 },
  object: { machine: 0x3e, bits: 2, type: 1 },
} as const

/** An ELF64 header and one PT_LOAD segment (System V ABI, chapters 4 and 5): a static program that is never started. */
function smallestElf(kind: keyof typeof ELF_KINDS): Buffer {
  const { machine, bits, type } = ELF_KINDS[kind]
  const file = Buffer.alloc(120)
  file.set([0x7f, 0x45, 0x4c, 0x46, bits, 1, 1])
  file.writeUInt16LE(type, 16)
  file.writeUInt16LE(machine, 18)
  file.writeUInt32LE(1, 20)
  file.writeBigUInt64LE(0x400078n, 24)
  file.writeBigUInt64LE(64n, 32)
  file.writeUInt16LE(64, 52)
  file.writeUInt16LE(56, 54)
  file.writeUInt16LE(1, 56)
  file.writeUInt32LE(1, 64)
  file.writeUInt32LE(5, 68)
  file.writeBigUInt64LE(0x400000n, 80)
  file.writeBigUInt64LE(120n, 96)
  file.writeBigUInt64LE(120n, 104)
  return file
}

function flipByte(path: string, at: number): void {
  chmodSync(path, 0o600)
  const bytes = readFileSync(path)
  const index = at < 0 ? bytes.length + at : at
  if (index < 0 || index >= bytes.length) throw new Error(`${path} has no byte ${at}`)
  bytes[index] = (bytes[index] ?? 0) ^ 0xff
  writeFileSync(path, bytes)
}

/** All cases with the file they stand in. */
export function loadCases(folder: string): { readonly file: string; readonly cases: readonly GoldenCase[] }[] {
  if (!existsSync(folder)) throw new Error(`${folder} is missing`)
  return globSync(join(folder, '*.json'))
    .sort()
    .map((path) => ({ file: path.slice(folder.length + 1), cases: JSON.parse(readFileSync(path, 'utf8')) as GoldenCase[] }))
}
