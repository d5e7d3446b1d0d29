/** Being asked at the terminal, with the compiled binary on a real one and an agent in a VM whose stdin it is too. */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runProgram } from '../process/run-program.ts'
import { onTerminal } from './terminal-session.ts'
import { freshFolder, freshHome, removeFolder } from './vm-support.ts'

const ROOT = join(import.meta.dirname, '../..')
const BINARY = join(ROOT, 'dist/authority')

let folder = ''
let env: Record<string, string>
beforeAll(async () => {
  const built = await runProgram([process.execPath, 'run', join(ROOT, 'cli/build/build.ts')], { deadlineMs: 170_000 })
  if (built.code !== 0) throw new Error(built.stderr)
  folder = freshFolder('approvals-terminal-')
  env = { PATH: process.env['PATH'] ?? '', HOME: folder, AUTHORITY_HOME: freshHome(folder).path, USER: 'ann' }
  mkdirSync(join(folder, 'out'))
  writeFileSync(
    join(folder, 'policy.json'),
    JSON.stringify({ version: '1.0', profiles: ['tier2-glibc'], fs: { read: ['/app/**'], ask: { write: ['/out/**'] } } }),
  )
})
afterAll(() => removeFolder(folder))

const authority = async (...args: readonly string[]): Promise<string> => {
  const { stdout, stderr } = await runProgram([BINARY, ...args], { env, deadlineMs: 30_000 })
  return `${Buffer.from(stdout).toString()}${stderr}`
}
const run = (flags: string, script: string) =>
  onTerminal(`cd ${folder}; ${BINARY} run /bin/bash -v out:/out --policy policy.json --accel tcg ${flags} -- -c '${script}'`, env)

test('the answer goes to the question and nothing of it to the agent; before and after, the terminal is the agent’s stdin', async () => {
  const session = run(
    '',
    [
      'read x; echo got $x',
      // A name that would turn the rest of the line round.
      'echo 1 > /out/a$(printf "\\342\\200\\256")b && echo wrote one',
      'read y; echo got $y',
      'echo 2 > /out/b || echo refused two',
      'echo 3 > /out/c && echo wrote three',
      'echo 4 > /out/c && echo wrote four',
      'read z; echo got $z',
    ].join('\n'),
  )
  await session.until('policy.json')
  session.type('first\r')
  await session.until('got first')
  await session.until(
    /authority: fs\.write \/out\/a\\u\{202e\}b \(fs\.[a-z]+, rule \/fs\/ask\/write\/0\)\r\n {2}allow \[o\]nce, for this \[r\]un, or \[d\]eny\? /,
  )
  session.type('o\r')
  await session.until('wrote one')
  session.type('second\r')
  await session.until('got second')

  await session.until(/fs\.write \/out\/b .*\r\n.*\[d\]eny\? /)
  session.type('yes please\r')
  await session.until('refused two')

  await session.until(/fs\.write \/out\/c .*\r\n.*\[d\]eny\? /)
  const [waiting] = JSON.parse(await authority('approvals', 'ls', 'last', '--json')) as { id: string }[]
  expect(await authority('approvals', 'allow', 'last', waiting?.id ?? '')).toContain('allowed once: fs.write /out/c')
  await session.until('no longer asked')
  await session.until('wrote three')
  // Approved once is approved once.
  await session.until(/fs\.write \/out\/c .*\r\n.*\[d\]eny\? /)
  session.type('once\r')
  await session.until('wrote four')
  session.type('third\r')
  await session.until('got third')
  await session.ended
  expect(readdirSync(join(folder, 'out')).sort()).toEqual(['a\u202eb', 'c'])
  expect(await authority('audit', 'show', 'last')).toMatch(/APPROVAL once [0-9a-f]{12} fs\.[a-z]+ \/out\/a\\u\{202e\}b by terminal \(ann\)/)
  expect(await authority('audit', 'verify', 'last')).toContain('intact and sealed')
})

test('with -it nothing is asked where the agent could answer', async () => {
  const session = run('-it', 'echo 5 > /out/d && echo wrote')
  await expect.poll(async () => await authority('approvals', 'ls', 'last'), { timeout: 90_000, interval: 500 }).toContain('fs.write /out/d')
  const [waiting] = JSON.parse(await authority('approvals', 'ls', 'last', '--json')) as { id: string }[]
  await authority('approvals', 'allow', 'last', waiting?.id ?? '')
  expect(await session.until('wrote')).not.toContain('[o]nce')
  await session.ended
  expect(existsSync(join(folder, 'out/d'))).toBe(true)
})
