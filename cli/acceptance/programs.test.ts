/** Real programs on a host mount in a VM, unchanged: Python's file functions, bash and tar against a plain folder; git under always-deny; SQLite when the machine is killed. */
import { Database } from 'bun:sqlite'
import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, readdirSync, readFileSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runProgram } from '../process/run-program.ts'
import { waitGone } from './machine-support.ts'
import { tree } from './programs-guest/differential.ts'
import { copyTools } from './programs-guest/tools.ts'
import { descendantsOf, freshFolder, freshHome, removeFolder } from './vm-support.ts'

const ROOT = join(import.meta.dirname, '../..')
const BINARY = join(ROOT, 'dist/authority')
const GUEST = join(import.meta.dirname, 'programs-guest')
const SCRIPTS = ['files.py', 'shell.sh', 'git.sh', 'database.py']
/** Put into the image from this host, with the libraries they need. */
const TOOLS = 'bash cat chmod cmp cp diff find git grep gzip ln ls mkdir mv rm sed seq sort tail tar wc'.split(' ')

/** Whose contents depend on the moment: lines of processes that append at once, times and owners in archives. */
const BY_CHANCE = /(^log|\.(tar|tar\.gz|tgz))$/

let folder = ''
let home = ''
beforeAll(async () => {
  const built = await runProgram([process.execPath, 'run', join(ROOT, 'cli/build/build.ts')], { deadlineMs: 170_000 })
  if (built.code !== 0) throw new Error(built.stderr)
  folder = freshFolder('programs-')
  chmodSync(folder, 0o755)
  home = freshHome(folder).path
  for (const name of ['shell', 'scripts', 'program']) mkdirSync(at(name))
  await copyTools(at('tools'), TOOLS)
  symlinkSync('git', at('tools/bin/git-upload-pack'))
  // git and tar start what they need through it.
  copyFileSync(realpathSync('/bin/sh'), at('shell/sh'))
  for (const name of SCRIPTS) copyFileSync(join(GUEST, name), at('scripts', name))
  copyFileSync(join(GUEST, 'agent.py'), at('program/agent.py'))
  writeFileSync(at('config.json'), JSON.stringify({ MapDirs: { tools: '/opt/tools', shell: '/usr/bin' } }))
  writeFileSync(
    at('policy.json'),
    JSON.stringify({
      version: '1.0',
      profiles: ['python'],
      fs: {
        read: ['/opt/tools/**', '/bin/sh', '/usr/bin/sh', '/scripts/**', '/work', '/work/**', '/tmp/**'],
        write: ['/work/**', '/tmp/**'],
      },
    }),
  )
}, 180_000)
afterAll(() => removeFolder(folder))
const at = (...parts: string[]): string => join(folder, ...parts)

function workFolder(name: string): string {
  mkdirSync(at(name))
  chmodSync(at(name), 0o777)
  return at(name)
}

function start(work: string, script: string): ChildProcess {
  const line = [
    'run',
    './program/agent.py',
    '-c',
    'config.json',
    '--policy',
    'policy.json',
    '-v',
    `${work}:/work`,
    '-v',
    './scripts:/scripts:ro',
  ]
  return spawn(BINARY, [...line, '--accel', 'tcg', '--', '-c', script], {
    cwd: folder,
    env: { PATH: process.env['PATH'] ?? '', HOME: folder, AUTHORITY_HOME: home },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

async function run(work: string, script: string): Promise<{ readonly out: string; readonly err: string }> {
  const child = start(work, script)
  let [out, err] = ['', '']
  child.stdout?.on('data', (data) => (out += data))
  child.stderr?.on('data', (data) => (err += data))
  await new Promise((resolve) => child.on('close', resolve))
  return { out, err }
}

/** The same script on a plain folder of this host. */
async function plainly(script: readonly string[], where: string): Promise<string> {
  const { stdout } = await runProgram([...script, where], { env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', HOME: folder }, deadlineMs: 60_000 })
  return Buffer.from(stdout).toString()
}

test('Python, bash and tar do the same on a mount as on a plain folder', async () => {
  const work = workFolder('same')
  for (const name of ['python', 'shell']) mkdirSync(join(work, name), { mode: 0o777 })
  const { out, err } = await run(work, '$PYTHON /scripts/files.py /work/python; echo ====; bash /scripts/shell.sh /work/shell')
  const [python, shell] = out.split('====\n')
  const plain = workFolder('plain')
  for (const name of ['python', 'shell']) mkdirSync(join(plain, name), { mode: 0o777 })
  expect(python, err).toBe(await plainly(['/usr/bin/python3', at('scripts/files.py')], join(plain, 'python')))
  expect(shell, err).toBe(await plainly(['bash', at('scripts/shell.sh')], join(plain, 'shell')))
  for (const part of ['python', 'shell']) expect(tree(join(work, part), BY_CHANCE)).toEqual(tree(join(plain, part), BY_CHANCE))
}, 170_000)

test('git: init, commit, merge, gc, fsck, clone and removal of what the run makes; what was there keeps configuration and hooks', async () => {
  const work = workFolder('git')
  const git = (...args: string[]) =>
    runProgram(['git', '-C', join(work, 'there'), '-c', 'user.name=a', '-c', 'user.email=a@b', ...args], {
      env: { PATH: '/usr/bin:/bin', HOME: folder },
    })
  mkdirSync(join(work, 'there'))
  await git('init', '-q')
  await git('commit', '-q', '--allow-empty', '-m', 'first')
  await runProgram(['chmod', '-R', 'a+rwX', join(work, 'there')])
  const config = readFileSync(join(work, 'there/.git/config'))
  const hooks = readdirSync(join(work, 'there/.git/hooks'))
  const { out, err } = await run(work, 'git config --global --add safe.directory "*"; bash /scripts/git.sh /work')
  expect(out.trim().split(/\s*\n\s*/), err).toEqual([
    'sound',
    '4',
    '0',
    'changed',
    'removed',
    '1',
    '2',
    'config kept',
    'hook kept',
    'folder kept',
  ])
  expect(readFileSync(join(work, 'there/.git/config'))).toEqual(config)
  expect(readdirSync(join(work, 'there/.git/hooks'))).toEqual(hooks)
  const fsck = await runProgram(['git', '-C', join(work, 'made'), '-c', 'safe.directory=*', 'fsck', '--strict'], {
    env: { PATH: '/usr/bin:/bin', HOME: folder },
  })
  expect(fsck.code, fsck.stderr).toBe(0)
}, 170_000)

test('SQLite with a write-ahead log: the machine is killed, nothing that was committed is lost and the file is sound', async () => {
  const work = workFolder('database')
  const child = start(work, '$PYTHON /scripts/database.py /work/base.db')
  let out = ''
  const committed = (): number => Number(out.match(/committed (\d+)\n(?!.*committed)/s)?.[1] ?? 0)
  await new Promise<void>((resolve, reject) => {
    child.stdout?.on('data', (data) => {
      out += data
      if (committed() >= 45) resolve()
    })
    child.on('close', () => reject(new Error('ended before it was killed')))
  })
  const machine = descendantsOf(child.pid ?? 0).find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('qemu-system'))
  process.kill(machine ?? 0, 'SIGKILL')
  await new Promise((resolve) => child.on('close', resolve))
  expect(waitGone(machine ?? 0, 1_000)).toBe(true)
  expect(out).toContain('mode wal')
  const base = new Database(join(work, 'base.db'))
  expect(base.query('pragma integrity_check').get()).toEqual({ integrity_check: 'ok' })
  const { most, count } = base.query('select max(n) as most, count(*) as count from rows').get() as { most: number; count: number }
  expect(most).toBeGreaterThanOrEqual(committed())
  expect(count).toBe(most)
  base.close()
}, 170_000)
