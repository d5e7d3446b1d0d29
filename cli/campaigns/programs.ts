/** The programs of which cli/acceptance/programs.test.ts and toolchains.test.ts run small trees, at full size, and SQLite under many ends of its machine. */
import { Database } from 'bun:sqlite'
import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { tree } from '../acceptance/programs-guest/differential.ts'
import { buildBinary } from '../acceptance/programs-guest/differential-run.ts'
import { copyTools } from '../acceptance/programs-guest/tools.ts'
import { descendantsOf, freshFolder, freshHome, removeFolder } from '../acceptance/vm-support.ts'
import { runProgram } from '../process/run-program.ts'

export const about =
  'git, tar, rsync and ripgrep on 10,000 files on a mount and on a plain folder, SQLite when its machine is killed: [FILES] [KILLS]'

const ROOT = join(import.meta.dirname, '../..')
const BINARY = join(ROOT, 'dist/authority')
const GUEST = join(ROOT, 'cli/acceptance/programs-guest')
const TOOLS = 'bash cp diff find git ls mkdir mv rg rm rsync tar wc'.split(' ')
const PLAIN_MS = 600_000
/** Holds times and inode numbers. */
const BY_CHANCE = /\.git\/index$/

export async function campaign([files = '10000', kills = '20']: readonly string[]): Promise<number> {
  await buildBinary()
  const folder = await prepare()
  try {
    let broken = await trees(folder, files)
    for (let i = 0; i < Number(kills); i++) broken += await killed(folder, i)
    return broken
  } finally {
    removeFolder(folder)
  }
}

async function prepare(): Promise<string> {
  const folder = freshFolder('programs-')
  chmodSync(folder, 0o755)
  for (const name of ['shell', 'scripts', 'program', 'mount', 'plain', 'database']) mkdirSync(join(folder, name))
  for (const name of ['mount', 'plain', 'database']) chmodSync(join(folder, name), 0o777)
  await copyTools(join(folder, 'tools'), TOOLS)
  symlinkSync('git', join(folder, 'tools/bin/git-upload-pack'))
  copyFileSync('/bin/sh', join(folder, 'shell/sh'))
  for (const name of ['full.sh', 'database.py']) copyFileSync(join(GUEST, name), join(folder, 'scripts', name))
  copyFileSync(join(GUEST, 'agent.py'), join(folder, 'program/agent.py'))
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ MapDirs: { tools: '/opt/tools', shell: '/usr/bin' } }))
  const read = ['/opt/tools/**', '/bin/sh', '/usr/bin/sh', '/scripts/**', '/work', '/work/**', '/tmp/**']
  const policy = { version: '1.0', profiles: ['python'], fs: { read, write: ['/work/**', '/tmp/**'] } }
  writeFileSync(join(folder, 'policy.json'), JSON.stringify(policy))
  freshHome(folder)
  return folder
}

function start(folder: string, work: string, script: string): ChildProcess {
  const mounts = ['-v', `./${work}:/work`, '-v', './scripts:/scripts:ro']
  const line = ['run', './program/agent.py', '-c', 'config.json', '--policy', 'policy.json', ...mounts, '--memory', '1GiB']
  return spawn(BINARY, [...line, '--accel', 'tcg', '--', '-c', script], {
    cwd: folder,
    env: { PATH: process.env['PATH'] ?? '', HOME: folder, AUTHORITY_HOME: join(folder, 'home') },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

const ended = (child: ChildProcess): Promise<void> => new Promise((resolve) => child.on('close', () => resolve()))

async function trees(folder: string, files: string): Promise<number> {
  const began = performance.now()
  const child = start(folder, 'mount', `git config --global --add safe.directory "*"; bash /scripts/full.sh /work ${files}`)
  let [out, err] = ['', '']
  child.stdout?.on('data', (data) => (out += data))
  child.stderr?.on('data', (data) => (err += data))
  await ended(child)
  const plainly = await runProgram(['bash', join(folder, 'scripts/full.sh'), join(folder, 'plain'), files], {
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', HOME: folder, GIT_TEMPLATE_DIR: '' },
    deadlineMs: PLAIN_MS,
  })
  const plain = Buffer.from(plainly.stdout).toString()
  const same = out === plain
  const [there, here] = [tree(join(folder, 'mount'), BY_CHANCE), tree(join(folder, 'plain'), BY_CHANCE)]
  const equal = JSON.stringify(there) === JSON.stringify(here)
  console.log(`${files} files, ${there.length} names left, in ${((performance.now() - began) / 1000).toFixed(0)} s`)
  if (!same) console.log(`on the mount:\n${out}\n${err}\non a plain folder:\n${plain}\n${plainly.stderr}`)
  const only = (one: readonly string[], other: readonly string[]): string =>
    one
      .filter((line) => !other.includes(line))
      .slice(0, 20)
      .join(', ')
  if (!equal) console.log(`only on the mount: ${only(there, here)}\nonly on the plain folder: ${only(here, there)}`)
  return (same ? 0 : 1) + (equal ? 0 : 1)
}

/** A write-ahead log whose machine is killed after some transactions: nothing that was committed is lost, and the file is sound. */
async function killed(folder: string, round: number): Promise<number> {
  const file = `base-${round}.db`
  const child = start(folder, 'database', `$PYTHON /scripts/database.py /work/${file}`)
  let out = ''
  const committed = (): number => Number(out.match(/committed (\d+)\n(?!.*committed)/s)?.[1] ?? 0)
  await new Promise<void>((resolve) => {
    child.stdout?.on('data', (data) => {
      out += data
      if (committed() >= 1 + ((round * 37) % 120)) resolve()
    })
    child.on('close', () => resolve())
  })
  const machine = descendantsOf(child.pid ?? 0).find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('qemu-system'))
  if (machine !== undefined) process.kill(machine, 'SIGKILL')
  await ended(child)
  const base = new Database(join(folder, 'database', file))
  const { integrity_check } = base.query('pragma integrity_check').get() as { integrity_check: string }
  const { most, count } = base.query('select max(n) as most, count(*) as count from rows').get() as { most: number; count: number }
  base.close()
  const right = integrity_check === 'ok' && machine !== undefined && most >= committed() && count === most
  console.log(`killed after ${committed()} transactions: ${integrity_check}, ${count} rows, last ${most}`)
  return right ? 0 : 1
}
