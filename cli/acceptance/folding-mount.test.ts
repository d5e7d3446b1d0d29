/** A program in a VM on a host folder whose file system takes other spellings of a name for the same: what policy keeps from it, no spelling opens. */
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ChildMount, mountByChild } from '../../kernel/effects/fs/testing/child-mount.ts'
import { runProgram } from '../process/run-program.ts'
import { freshFolder, freshHome, removeFolder } from './vm-support.ts'

const ROOT = join(import.meta.dirname, '../..')
const BINARY = join(ROOT, 'dist/authority')

/** Says for each attempt `ok` or the errno's name. */
const PROGRAM = String.raw`
import errno, os
os.chdir("/src")
def attempt(what, *args):
    try:
        what(*args)
        return "ok"
    except OSError as e:
        return errno.errorcode[e.errno]
def read(name): return open(name).read()
def write(name): open(name, "w").write("changed")
print(*[attempt(read, n) for n in ["README", "readme", "ReadMe"]])
print(*[attempt(read, n) for n in ["secret", "SECRET", "Secret", "secret.", "se\u034fcret", "\u017fecret", "PRIVATE/Key", "private./key"]])
print(*[attempt(write, n) for n in ["KEPT", "Kept", "kept", "kept."]])
print(*[attempt(os.rename, "mine", n) for n in ["KEPT", "Kept", ".ENVRC", ".envrc.", ".GIT/hooks/x"]])
print(*[attempt(write, n) for n in [".Envrc", ".en\u200bvrc", ".envrc.", ".envrc ", ".GIT/hooks/pre-commit", ".git./Hooks/pre-commit", ".g\u034fit/hooks/pre-commit"]])
print(*[attempt(os.unlink, n) for n in ["KEPT", ".GIT/CONFIG"]])
print(*[attempt(os.mkdir, n) for n in [".GIT", ".git.", "Made"]], *sorted(os.listdir(".")))
`

let folder = ''
let mounted: ChildMount | null = null
beforeAll(async () => {
  const built = await runProgram([process.execPath, 'run', join(ROOT, 'cli/build/build.ts')], { deadlineMs: 170_000 })
  if (built.code !== 0) throw new Error(built.stderr)
  folder = freshFolder('folding-')
  for (const name of ['.git/hooks', 'private']) mkdirSync(join(folder, 'plain', name), { recursive: true })
  for (const name of ['README', 'secret', 'private/key', 'kept', 'mine', '.git/config']) writeFileSync(join(folder, 'plain', name), name)
  for (const name of ['', '.git', '.git/hooks', 'private']) chmodSync(join(folder, 'plain', name), 0o777)
  writeFileSync(join(folder, 'agent.py'), PROGRAM)
  const fs = {
    read: ['/src/**'],
    write: ['/src/[A-Z]*', '/src/mine', '/src/.[!m]*/**'],
    deny: { read: ['/src/secret', '/src/private/**'] },
  }
  writeFileSync(join(folder, 'policy.json'), JSON.stringify({ version: '1.0', profiles: ['python'], fs }))
  mounted = await mountByChild('folding-process', join(folder, 'plain'))
}, 180_000)
afterAll(async () => {
  await mounted?.close()
  removeFolder(folder)
})

test('no spelling of a name on a folding file system opens what its listed name does not', async () => {
  if (mounted === null) throw new Error('this host cannot mount FUSE file systems: the test needs root and /dev/fuse')
  const home = freshHome(folder).path
  const line = ['run', './agent.py', '--policy', 'policy.json', '-v', `${mounted.point}:/src`, '--accel', 'tcg']
  const { stdout, stderr, code } = await runProgram([BINARY, ...line], {
    cwd: folder,
    env: { PATH: process.env['PATH'] ?? '', HOME: folder, AUTHORITY_HOME: home },
    deadlineMs: 150_000,
  })
  expect(Buffer.from(stdout).toString().split('\n'), stderr).toEqual([
    'ok ok ok',
    Array(8).fill('EACCES').join(' '),
    Array(4).fill('EACCES').join(' '),
    'EACCES EACCES EACCES EINVAL EACCES',
    'EACCES EACCES EINVAL EINVAL EACCES EACCES EACCES',
    'EACCES EACCES',
    'EEXIST EEXIST ok .git Made README kept mine private secret',
    '',
  ])
  expect(code).toBe(0)
  expect(readdirSync(join(folder, 'plain')).sort()).toEqual(['.git', 'Made', 'README', 'kept', 'mine', 'private', 'secret'])
  expect(readFileSync(join(folder, 'plain/kept'), 'utf8')).toBe('kept')
  expect(readdirSync(join(folder, 'plain/.git/hooks'))).toEqual([])
}, 170_000)
