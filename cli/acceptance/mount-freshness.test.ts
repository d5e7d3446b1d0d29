/** What a guest keeps in mind of a host folder, in a VM: files nobody changes are asked for once, and what the host changes is seen all the same, under a lock even where the mount is kept in mind for a minute. */
import { spawn } from 'node:child_process'
import { chmodSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runProgram } from '../process/run-program.ts'
import { freshFolder, freshHome, removeFolder } from './vm-support.ts'

const ROOT = join(import.meta.dirname, '../..')
const BINARY = join(ROOT, 'dist/authority')
const FILES = 200

/** Waits until nothing changed for a while, looks at all files three times, over more than two seconds, opens some, and then waits for each of the host's changes. */
const PROGRAM = `
import fcntl, os, sys, time
def size(name):
    try: return os.stat(name).st_size
    except FileNotFoundError: return None
os.chdir("/src")
names = [f"d{i % 4}/f{i}" for i in range(${FILES})]
while time.time() - os.stat(".").st_ctime < 8: time.sleep(0.1)
for _ in range(3):
    assert sum(map(size, names)) == ${FILES}
    time.sleep(1.2)
held = [os.open(n, os.O_RDONLY) for n in ("d0/f4", "d1/f5")]
assert [os.pread(f, 9, 0) for f in held] == [b"x"] * 2
locked = [os.open(f"/locked/{n}", os.O_RDWR) for n in "fp"]
assert [os.pread(f, 9, 0) for f in locked] == [b"before"] * 2
print("looked", flush=True)
sys.stdin.readline()
fcntl.flock(locked[0], fcntl.LOCK_EX)
fcntl.lockf(locked[1], fcntl.LOCK_EX)
print(*[os.pread(f, 9, 0).decode() for f in locked], flush=True)
for name, after in [("d0/f0", 7), ("d1/f1", None), ("d2/f2", None), ("d3/f3", 11)]:
    while size(name) != after: time.sleep(0.05)
print(open("d0/f0").read(), open("d3/f3").read(), size("d2/moved"), flush=True)
while os.fstat(held[0]).st_size != 12: time.sleep(0.05)
while size("d1/f5") is not None: time.sleep(0.05)
print(os.pread(held[0], 99, 0).decode(), os.pread(held[1], 99, 0).decode(), flush=True)
`

let folder = ''
beforeAll(async () => {
  const built = await runProgram([process.execPath, 'run', join(ROOT, 'cli/build/build.ts')], { deadlineMs: 170_000 })
  if (built.code !== 0) throw new Error(built.stderr)
  folder = freshFolder('freshness-')
  for (let i = 0; i < FILES; i++) {
    mkdirSync(src(`d${i % 4}`), { recursive: true })
    writeFileSync(src(`d${i % 4}/f${i}`), 'x')
  }
  chmodSync(join(folder, 'src'), 0o755)
  mkdirSync(join(folder, 'locked'))
  for (const name of ['f', 'p']) writeFileSync(join(folder, 'locked', name), 'before')
  writeFileSync(join(folder, 'agent.py'), PROGRAM)
  writeFileSync(
    join(folder, 'policy.json'),
    JSON.stringify({ version: '1.0', profiles: ['python'], fs: { read: ['/src/**', '/locked/**'], write: ['/locked/**'] } }),
  )
}, 180_000)
afterAll(() => removeFolder(folder))
const src = (name: string): string => join(folder, 'src', name)

test('200 files are asked for once in three walks over three seconds; then what the host changes is seen, also of open files, and under a lock at once', async () => {
  const env = { PATH: process.env['PATH'] ?? '', HOME: folder, AUTHORITY_HOME: freshHome(folder).path }
  const line = [
    'run',
    './agent.py',
    '--policy',
    'policy.json',
    '-v',
    './src:/src',
    '-v',
    './locked:/locked:cache=60s',
    '--accel',
    'tcg',
    '--timeout',
    '2m',
  ]
  const child = spawn(BINARY, line, { cwd: folder, env, stdio: ['pipe', 'pipe', 'pipe'] })
  let [out, err] = ['', '']
  child.stderr.on('data', (data) => (err += data))
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
  await new Promise<void>((resolve) => {
    child.stdout.on('data', (data) => {
      out += data
      if (out.includes('looked')) resolve()
    })
    child.on('close', () => resolve())
  })
  for (const name of ['f', 'p']) writeFileSync(join(folder, 'locked', name), 'after')
  writeFileSync(src('d0/f0'), 'changed')
  writeFileSync(src('d0/f4'), 'changed open')
  renameSync(src('d1/f5'), src('d1/renamed'))
  rmSync(src('d1/f1'))
  renameSync(src('d2/f2'), src('d2/moved'))
  writeFileSync(join(folder, 'src/new'), 'replacement')
  renameSync(src('new'), src('d3/f3'))
  child.stdin.end('go\n')
  expect([await ended, out], err).toEqual([0, 'looked\nafter after\nchanged replacement 1\nchanged open x\n'])
  const shown = await runProgram([BINARY, 'audit', 'show', 'last', '--json'], { env })
  const looks = Buffer.from(shown.stdout)
    .toString()
    .split('\n')
    .flatMap((text) => (text.includes('"LOOK"') ? (JSON.parse(text) as { counts: { object: string; count: number }[] }).counts : []))
    .filter(({ object }) => /^\/src\/d\d\/f\d+$/.test(object) && !/\/f[0-5]$/.test(object))
  expect(looks.reduce((sum, { count }) => sum + count, 0)).toBe(FILES - 6)
}, 170_000)
