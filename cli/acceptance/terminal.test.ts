/** `run -it` of the compiled binary on a real terminal, with the host's bash inside: keys, window size, job control, and the terminal afterwards. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runProgram } from '../process/run-program.ts'
import { descendantsOf, freshFolder, freshHome, removeFolder } from './vm-support.ts'

const ROOT = join(import.meta.dirname, '../..')
const BINARY = join(ROOT, 'dist/authority')
/** ms until what a test waits for must have appeared: a boot under emulation on a busy machine. */
const DEADLINE_MS = 90_000

let folder = ''
let home = ''
beforeAll(async () => {
  const built = await runProgram([process.execPath, 'run', join(ROOT, 'cli/build/build.ts')], { deadlineMs: 170_000 })
  if (built.code !== 0) throw new Error(built.stderr)
  folder = freshFolder('terminal-')
  home = freshHome(folder).path
  writeFileSync(join(folder, 'policy.json'), JSON.stringify({ version: '1.0', profiles: ['tier2-glibc'], fs: { read: ['/app/**'] } }))
})
afterAll(() => removeFolder(folder))

interface Session {
  readonly pid: number
  type(text: string): void
  resize(cols: number, rows: number): void
  /** Resolves with all output so far once `wanted` is in what came since the last wait. */
  until(wanted: string | RegExp): Promise<string>
  readonly ended: Promise<number>
}

/** A shell script on a terminal of 91 × 37: what it starts finds the terminal as a person's shell would leave it. */
function onTerminal(script: string): Session {
  let seen = ''
  let from = 0
  let look = (): void => undefined
  const decoder = new TextDecoder()
  const child = Bun.spawn(['sh', '-c', script], {
    env: { PATH: process.env['PATH'] ?? '', HOME: folder, AUTHORITY_HOME: home, TERM: 'xterm-256color' },
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

const line = (flags: string, args: string): string => `${BINARY} run /bin/bash --policy policy.json --accel tcg ${flags} -- ${args}`
const AFTERWARDS = 'echo "code=$?"; stty -a; echo over'

test('bash with -it: size, Ctrl-C, job control, colours; the terminal is as before when it is over', async () => {
  const session = onTerminal(`cd ${folder}; ${line('-it', '--norc --noprofile -i')}; ${AFTERWARDS}`)
  await session.until('terminal sequences pass unfiltered')
  await session.until('$ ')
  session.type('echo $LINES x $COLUMNS $TERM\r')
  await session.until('37 x 91 xterm-256color')

  session.resize(100, 50)
  session.type('while ((COLUMNS != 100)); do (:); done; echo now $LINES x $COLUMNS\r')
  await session.until('now 50 x 100')

  session.type('read -p re""ady x\r')
  await session.until('ready')
  session.type('\x03')
  await session.until('$ ')
  session.type('echo status $?\r')
  await session.until('status 130')

  session.type('(echo be""gun; while :; do :; done)\r')
  await session.until('begun')
  session.type('\x1a')
  await session.until('Stopped')
  session.type('kill %1; wait %1; echo ended $?\r')
  await session.until('ended 143')

  session.type("printf '\\033[31mred'\r")
  await session.until('\x1b[31mred')
  session.type('exit 7\r')
  await session.until('code=7')
  const after = (await session.until(/\nover/)).split('code=7').at(-1)
  expect(after).toMatch(/ icanon /)
  expect(after).toMatch(/^isig /m)
  expect(after).toMatch(/ echo /)
  expect(await session.ended).toBe(0)
})

test('the gate is killed: the terminal is as before', async () => {
  const session = onTerminal(`cd ${folder}; ${line('-it', '--norc --noprofile -i')}; ${AFTERWARDS}`)
  await session.until('$ ')
  session.type('echo be""gun\r')
  await session.until('begun')
  const gate = descendantsOf(session.pid).find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('__gate'))
  process.kill(gate ?? 0, 'SIGKILL')
  await session.until('code=125')
  const after = (await session.until(/\nover/)).split('code=125').at(-1)
  expect(after).toMatch(/ icanon /)
  expect(after).toMatch(/ echo /)
  await session.ended
})

test('without -it a terminal shows control sequences as text, and no terminal is given to the agent', async () => {
  const session = onTerminal(`cd ${folder}; ${line('', `-c '[ -t 1 ] || printf "\\033[31mplain\\n"'`)}`)
  await session.until('^[[31mplain')
  await session.ended
})

test('-it without a terminal, and with --no-tty: refused before anything starts', async () => {
  const env = { PATH: process.env['PATH'] ?? '', HOME: folder, AUTHORITY_HOME: home }
  const piped = await runProgram([BINARY, 'run', '/bin/bash', '-it'], { env, deadlineMs: 30_000 })
  expect(piped.code).toBe(64)
  expect(piped.stderr).toMatch(/-it needs a terminal, and stdin is none/)
  const both = await runProgram([BINARY, 'run', '/bin/bash', '-it', '--no-tty'], { env, deadlineMs: 30_000 })
  expect(both.code).toBe(64)
  expect(both.stderr).toMatch(/contradict/)
})
