/** What people build with, unchanged, on a host mount in a VM and on a plain folder: gcc, rsync, ripgrep, vim, job control, Node, npm and pip answer and leave the same. */
import { chmodSync, copyFileSync, cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runProgram } from '../process/run-program.ts'
import { makeArchives } from './programs-guest/archives.ts'
import { tree } from './programs-guest/differential.ts'
import { buildBinary } from './programs-guest/differential-run.ts'
import { copyCompiler, copyNode, copyTools, type NodeFolder } from './programs-guest/tools.ts'
import { freshFolder, freshHome, removeFolder } from './vm-support.ts'

const ROOT = join(import.meta.dirname, '../..')
const BINARY = join(ROOT, 'dist/authority')
const GUEST = join(import.meta.dirname, 'programs-guest')
const TOOLS = 'bash cat chmod diff grep ln ls mkdir mkfifo rg rm rsync sleep touch vim.tiny wc'.split(' ')
const AGENT_UID = '1000'
/** Compiled against two copies of one library, with the folder's name in it, or with the time of installation. */
const BY_CHANCE = /(^hello|^hello\.o|\.gz|\.package-lock\.json|RECORD|INSTALLER|direct_url\.json)$/

let folder = ''
let node: NodeFolder
beforeAll(async () => {
  await buildBinary()
  folder = freshFolder('toolchains-')
  chmodSync(folder, 0o755)
  await copyTools(at('tools'), TOOLS)
  copyFileSync(at('tools/bin/vim.tiny'), at('tools/bin/vim'))
  await copyCompiler(at('tools'))
  copyFileSync(join(GUEST, 'cc.sh'), at('tools/bin/cc'))
  chmodSync(at('tools/bin/cc'), 0o755)
  node = await copyNode(at('tools'), at('nodejs'))
  // With its byte code, which is believed as long as the times of the sources are the same.
  cpSync(await pipFolder(), at('tools/pip'), { recursive: true, preserveTimestamps: true })
  for (const name of ['program', 'scripts', 'archives', 'shell']) mkdirSync(at(name))
  copyFileSync(join(GUEST, 'agent.py'), at('program/agent.py'))
  for (const name of ['toolchains.sh', 'files.mjs']) copyFileSync(join(GUEST, name), at('scripts', name))
  copyFileSync('/bin/sh', at('shell/sh'))
  await makeArchives(at('archives'))
  writeFileSync(at('config.json'), JSON.stringify({ MapDirs: { tools: '/opt/tools', nodejs: node.guest, shell: '/usr/bin' } }))
  const read = [
    '/opt/tools/**',
    `${node.guest}/**`,
    '/bin/sh',
    '/usr/bin/sh',
    '/scripts/**',
    '/archives/**',
    '/work',
    '/work/**',
    '/tmp/**',
  ]
  writeFileSync(at('policy.json'), JSON.stringify({ version: '1.0', profiles: ['python'], fs: { read, write: ['/work/**', '/tmp/**'] } }))
}, 180_000)
afterAll(() => removeFolder(folder))
const at = (...parts: string[]): string => join(folder, ...parts)

/** The pip of the tests' own Python environment. */
async function pipFolder(): Promise<string> {
  const { stdout } = await runProgram([join(ROOT, '.cache/venv/bin/python'), '-c', 'import pip; print(pip.__path__[0])'])
  return Buffer.from(stdout).toString().trim()
}

function workFolder(name: string): string {
  for (const each of [name, `${name}-home`]) {
    mkdirSync(at(each))
    chmodSync(at(each), 0o777)
  }
  return at(name)
}

/** As somebody whom permission bits bind, as the agent is. */
async function onThePlainFolder(): Promise<string> {
  const dropped = process.getuid?.() === 0 ? ['setpriv', `--reuid=${AGENT_UID}`, `--regid=${AGENT_UID}`, '--clear-groups'] : []
  const work = workFolder('plain')
  mkdirSync(at('names'))
  copyFileSync(at('tools/bin/vim'), at('names/vim'))
  chmodSync(at('names/vim'), 0o755)
  const env = {
    PATH: `${at('names')}:${process.env['PATH'] ?? ''}`,
    LC_ALL: 'C',
    HOME: at('plain-home'),
    CC: 'musl-gcc -static',
    NPM: node.npmOnHost,
    PIP: at('tools/pip'),
    PYTHON: '/usr/bin/python3',
    PYTHONDONTWRITEBYTECODE: '1',
    FILES_MJS: at('scripts/files.mjs'),
  }
  const { stdout } = await runProgram([...dropped, 'bash', at('scripts/toolchains.sh'), work, at('archives')], { env, deadlineMs: 60_000 })
  return Buffer.from(stdout).toString()
}

test('gcc, rsync, ripgrep, vim, job control, Node, npm and pip do the same on a mount as on a plain folder', async () => {
  const plain = await onThePlainFolder()
  const work = workFolder('mount')
  const mounts = ['-v', `${work}:/work`, '-v', './scripts:/scripts:ro', '-v', './archives:/archives:ro']
  const environment = ['-e', `NPM=${node.npm}`, '-e', `NODE_PATH=${node.guest}`, '-e', 'FILES_MJS=/scripts/files.mjs']
  const line = [
    'run',
    './program/agent.py',
    '-c',
    'config.json',
    '--policy',
    'policy.json',
    ...mounts,
    ...environment,
    '--memory',
    '512MiB',
  ]
  const run = await runProgram([BINARY, ...line, '--accel', 'tcg', '--', '/scripts/toolchains.sh', '/work', '/archives'], {
    cwd: folder,
    env: { HOME: folder, AUTHORITY_HOME: freshHome(folder).path },
    deadlineMs: 400_000,
  })
  const steps = (out: string): string[] => out.split(/^(?=== )/m)
  expect(steps(Buffer.from(run.stdout).toString()), run.stderr).toEqual(steps(plain))
  for (const word of ['compiled', 'same', 'stopped', 'installed by npm', 'installed by pip']) expect(plain).toContain(word)
  expect(tree(work, BY_CHANCE)).toEqual(tree(at('plain'), BY_CHANCE))
}, 480_000)
