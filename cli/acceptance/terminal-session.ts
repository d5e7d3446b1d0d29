/** A command on a real terminal, for the tests that type. */

/** ms until what a test waits for must have appeared: a boot under emulation on a busy machine. */
const DEADLINE_MS = 90_000

export interface Session {
  readonly pid: number
  type(text: string): void
  resize(cols: number, rows: number): void
  /** Resolves with all output so far once `wanted` is in what came since the last wait. */
  until(wanted: string | RegExp): Promise<string>
  readonly ended: Promise<number>
}

/** A shell script on a terminal of 91 × 37: what it starts finds the terminal as a person's shell would leave it. */
export function onTerminal(script: string, env: Readonly<Record<string, string>>): Session {
  let seen = ''
  let from = 0
  let look = (): void => undefined
  const decoder = new TextDecoder()
  const child = Bun.spawn(['sh', '-c', script], {
    env,
    terminal: {
      cols: 91,
      rows: 37,
      data(_terminal, bytes) {
        seen += decoder.decode(bytes, { stream: true })
        look()
      },
    },
  })
  const { terminal } = child
  if (terminal === undefined) throw new Error('no terminal')
  const until = (wanted: string | RegExp): Promise<string> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no ${wanted} in: ${seen.slice(from)}`)), DEADLINE_MS)
      look = () => {
        const rest = seen.slice(from)
        const at = typeof wanted === 'string' ? rest.indexOf(wanted) : rest.search(wanted)
        if (at < 0) return
        clearTimeout(timer)
        look = () => undefined
        from += at + 1
        resolve(seen)
      }
      look()
    })
  return {
    pid: child.pid,
    type: (text) => void terminal.write(text),
    resize: (cols, rows) => terminal.resize(cols, rows),
    until,
    ended: child.exited,
  }
}
