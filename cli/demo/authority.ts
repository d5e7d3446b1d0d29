import { join, resolve } from 'node:path'

const BINARY = join(resolve(import.meta.dirname, '../..'), 'dist/authority')
/** Longest the demo waits for one command. */
const DEADLINE_MS = 10 * 60_000

export interface Outcome {
  readonly exitCode: number
  /** stdout and stderr as they came. */
  readonly output: string
  /** Run id found in the output, or null. */
  readonly run: string | null
}

/** Runs the compiled binary and shows what it prints as it comes. */
export async function runAuthority(
  home: string,
  args: readonly string[],
  show: (text: string) => void = () => undefined,
): Promise<Outcome> {
  const child = Bun.spawn([BINARY, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, AUTHORITY_HOME: home },
    timeout: DEADLINE_MS,
  })
  let output = ''
  const pump = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
    const decoder = new TextDecoder()
    for await (const chunk of stream) {
      const text = decoder.decode(chunk, { stream: true })
      output += text
      show(text)
    }
  }
  await Promise.all([pump(child.stdout), pump(child.stderr)])
  return { exitCode: await child.exited, output, run: /runs\/([0-9a-f]{32})\//.exec(output)?.[1] ?? null }
}
