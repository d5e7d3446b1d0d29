/** Programs in a VM that wait for a lock the host holds are interrupted and killed like anywhere: a virtio-fs device does not say so, the gate finds out. */
import { spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runProgram } from '../process/run-program.ts'
import { freshFolder, freshHome, removeFolder } from './vm-support.ts'

const ROOT = join(import.meta.dirname, '../..')
const BINARY = join(ROOT, 'dist/authority')

/** Each kind of lock: a waiter whose alarm rings, one that is killed, and one that blocks the signal and goes on waiting until the lock is free. */
const PROGRAM = `
import fcntl, os, signal, sys, time
class Rung(Exception): pass
def ring(*_): raise Rung
signal.signal(signal.SIGALRM, ring)
kinds = {"flock": fcntl.flock, "lockf": fcntl.lockf}
for name, lock in kinds.items():
    file = os.open("/locked/f", os.O_RDWR)
    signal.alarm(1)
    try: lock(file, fcntl.LOCK_EX); print(name, "had it")
    except Rung: print(name, "interrupted")
    child = os.fork()
    if child == 0: lock(file, fcntl.LOCK_EX); os._exit(0)
    # It sleeps in the kernel, which is where it waits for the lock.
    while open(f"/proc/{child}/stat").read().split()[2] not in "SD": time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    print(name, "killed by", os.WTERMSIG(os.waitpid(child, 0)[1]))
child = os.fork()
if child == 0:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    signal.alarm(1)
    fcntl.flock(file, fcntl.LOCK_EX)
    print("blocked the signal and had the lock", signal.SIGALRM in signal.sigpending(), flush=True)
    os._exit(0)
while "00002000" not in open(f"/proc/{child}/status").read().split("ShdPnd:")[1][:18]: time.sleep(0.05)
print("waits", flush=True)
sys.stdin.readline()
os.waitpid(child, 0)
`

/** Holds both kinds of lock until its input ends. */
const HOLDER = `
import fcntl, sys
file = open(sys.argv[1], 'r+')
fcntl.flock(file, fcntl.LOCK_EX); fcntl.lockf(file, fcntl.LOCK_EX)
print('held', flush=True); sys.stdin.read()
`

let folder = ''
beforeAll(async () => {
  const built = await runProgram([process.execPath, 'run', join(ROOT, 'cli/build/build.ts')], { deadlineMs: 170_000 })
  if (built.code !== 0) throw new Error(built.stderr)
  folder = freshFolder('waiters-')
  mkdirSync(join(folder, 'locked'))
  writeFileSync(join(folder, 'locked/f'), '')
  writeFileSync(join(folder, 'agent.py'), PROGRAM)
  const fs = { read: ['/locked/**'], write: ['/locked/**'] }
  writeFileSync(join(folder, 'policy.json'), JSON.stringify({ version: '1.0', profiles: ['python'], fs }))
}, 180_000)
afterAll(() => removeFolder(folder))

test('an alarm interrupts who waits for a lock, SIGKILL ends it, a blocked signal does neither', async () => {
  const holder = spawn('python3', ['-c', HOLDER, join(folder, 'locked/f')], { stdio: ['pipe', 'pipe', 'inherit'] })
  await new Promise((resolve) => holder.stdout.once('data', resolve))
  const env = { PATH: process.env['PATH'] ?? '', HOME: folder, AUTHORITY_HOME: freshHome(folder).path }
  const line = ['run', './agent.py', '--policy', 'policy.json', '-v', './locked:/locked', '--accel', 'tcg', '--timeout', '90s']
  const child = spawn(BINARY, line, { cwd: folder, env, stdio: ['pipe', 'pipe', 'pipe'] })
  let [out, err] = ['', '']
  child.stderr.on('data', (data) => (err += data))
  child.stdout.on('data', (data) => {
    out += data
    if (!out.endsWith('waits\n')) return
    holder.stdin.end()
    child.stdin.end('go\n')
  })
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve))
  holder.kill('SIGKILL')
  expect([code, out.split('\n')], err).toEqual([
    0,
    [
      'flock interrupted',
      'flock killed by 9',
      'lockf interrupted',
      'lockf killed by 9',
      'waits',
      'blocked the signal and had the lock True',
      '',
    ],
  ])
}, 120_000)
