/** `run -it` of the compiled binary on a real terminal, with the host's bash inside: keys, window size, job control, and the terminal afterwards. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runProgram } from '../process/run-program.ts'
import { waitGone } from './machine-support.ts'
import { type Session, onTerminal as sessionOf } from './terminal-session.ts'
import { descendantsOf, freshFolder, freshHome, removeFolder } from './vm-support.ts'

const ROOT = join(import.meta.dirname, '../..')
const BINARY = join(ROOT, 'dist/authority')

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

const onTerminal = (script: string): Session =>
  sessionOf(script, { PATH: process.env['PATH'] ?? '', HOME: folder, AUTHORITY_HOME: home, TERM: 'xterm-256color' })
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

  // Not `read -p`: bash prints the prompt before it reads, and a signal between the two goes unnoticed.
  session.type('(echo re""ady; while :; do :; done)\r')
  await session.until('ready')
  session.type('\x03')
  await session.until('$ ')
  session.type('echo status $?\r')
  await session.until('status 130')

  session.type('(echo be""gun; while :; do :; done)\r')
  await session.until('begun')
  session.type('\x1a')
  await session.until('Stopped')
  // Right after `kill` bash may not have heard yet that the job goes on, and `wait` answers 148 for a job that is stopped.
  session.type('kill %1; while wait %1; code=$?; ((code == 148)); do :; done; echo ended $code\r')
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

test('the supervisor is killed, which can restore nothing itself: the terminal is as before, and nobody stays', async () => {
  const session = onTerminal(
    `cd ${folder}; ${line('-it', '--norc --noprofile -i')}; until stty -a | grep -q ' icanon'; do :; done; ${AFTERWARDS}`,
  )
  await session.until('$ ')
  session.type('echo be""gun\r')
  await session.until('begun')
  const family = descendantsOf(session.pid)
  process.kill(family.find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('\0run\0')) ?? 0, 'SIGKILL')
  const after = await session.until(/\nover/)
  expect(after).toMatch(/ echo /)
  await session.ended
  for (const pid of family) expect(waitGone(pid, 15_000)).toBe(true)
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
