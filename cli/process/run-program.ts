import { AuthorityError } from '@authority/protocol'
import { MAX_PROGRAM_OUTPUT_BYTES, PROGRAM_DEADLINE_MS } from './limits.ts'

/** Adapter: runs helper programs (apt-get, dpkg-deb, xz, qemu --version) with a clean environment, a deadline and bounded output. */

export interface ProgramResult {
  /** Exit status; 128+n after signal n. */
  readonly code: number
  readonly stdout: Uint8Array
  readonly stderr: string
}

export interface ProgramOptions {
  readonly deadlineMs?: number
  /** Added to the clean environment. */
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** Bytes of standard output kept; more is E_FRAME_TOO_LARGE. */
  readonly maxBytes?: number
  /** Each chunk of standard output as it comes. */
  readonly onOutput?: (text: string) => void
}

/** What a helper program may see of our environment: nothing that changes which code it runs. */
const PASSED = ['PATH', 'HOME', 'http_proxy', 'https_proxy', 'no_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'] as const

function cleanEnvironment(extra: Readonly<Record<string, string>>): Record<string, string> {
  const env: Record<string, string> = { LC_ALL: 'C.UTF-8' }
  for (const name of PASSED) {
    const value = process.env[name]
    if (value !== undefined) env[name] = value
  }
  return { ...env, ...extra }
}

/** The absolute path of a program in PATH or the usual system folders, or null. */
export function findProgram(name: string): string | null {
  const path = `${process.env.PATH ?? ''}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin:/opt/homebrew/bin`
  return Bun.which(name, { PATH: path })
}

/** Runs a program to its end. Throws E_NOT_FOUND when it cannot be started, E_TIMEOUT past the deadline, E_FRAME_TOO_LARGE when it says too much. */
export async function runProgram(argv: readonly string[], options: ProgramOptions = {}): Promise<ProgramResult> {
  const name = argv[0] ?? ''
  const deadlineMs = options.deadlineMs ?? PROGRAM_DEADLINE_MS
  const child = spawn(argv, options)
  let late = false
  const timer = setTimeout(() => {
    late = true
    child.kill('SIGKILL')
  }, deadlineMs)
  try {
    const limit = options.maxBytes ?? MAX_PROGRAM_OUTPUT_BYTES
    const [stdout, stderr, code] = await Promise.all([
      collect(child.stdout, limit, name, options.onOutput),
      collect(child.stderr, MAX_PROGRAM_OUTPUT_BYTES, name),
      child.exited,
    ])
    if (late)
      throw new AuthorityError('E_TIMEOUT', `${name} did not finish within ${deadlineMs} ms`, {
        hint: 'try again; if it persists, run the program by hand',
      })
    return { code, stdout, stderr: new TextDecoder().decode(stderr) }
  } finally {
    clearTimeout(timer)
    if (child.exitCode === null) child.kill('SIGKILL')
  }
}

function spawn(argv: readonly string[], options: ProgramOptions) {
  try {
    return Bun.spawn([...argv], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: cleanEnvironment(options.env ?? {}),
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    })
  } catch (cause) {
    throw new AuthorityError('E_NOT_FOUND', `cannot start ${argv[0] ?? ''}: ${messageOf(cause)}`, { cause })
  }
}

async function collect(
  stream: ReadableStream<Uint8Array>,
  limit: number,
  name: string,
  onOutput?: (text: string) => void,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of stream) {
    size += chunk.length
    if (size > limit) throw new AuthorityError('E_FRAME_TOO_LARGE', `${name} wrote more than ${limit} bytes`)
    chunks.push(chunk)
    onOutput?.(new TextDecoder().decode(chunk))
  }
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : concat(chunks, size)
}

function concat(chunks: readonly Uint8Array[], size: number): Uint8Array {
  const all = new Uint8Array(size)
  let at = 0
  for (const chunk of chunks) {
    all.set(chunk, at)
    at += chunk.length
  }
  return all
}

/** The sentence of whatever was thrown. */
export function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
