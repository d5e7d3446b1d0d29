/** Locks of two runs on one folder, and of the host, with real kernels as guests. */
import { type ChildProcess, spawn } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { mountByChild } from '../testing/child-mount.ts'
import { makeWorld, type World } from '../testing/pipeline.ts'
import { fields, RawGuest } from '../testing/raw-fuse.ts'
import { OPCODE } from './messages.ts'
import { conflicts, type Locked, type LockKind, lockedAfter } from './ranges.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean()
})

/** Mount points of two runs, each a process of its own, on one host folder, and that folder; null where this host cannot mount. */
async function twoRuns(): Promise<{ a: string; b: string; host: string } | null> {
  const host = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'authority-locks-')))
  cleanups.push(() => fs.rmSync(host, { recursive: true }))
  fs.chmodSync(host, 0o777)
  // What a run makes belongs to the gate's user on the host; the programs here have another.
  for (const name of ['l', 'f', 'base.db']) {
    fs.writeFileSync(path.join(host, name), '')
    fs.chmodSync(path.join(host, name), 0o666)
  }
  const [a, b] = [await oneRun(host), await oneRun(host)]
  return a === null || b === null ? null : { a, b, host }
}

async function oneRun(host: string): Promise<string | null> {
  const mounted = await mountByChild('run-process', host)
  if (mounted !== null) cleanups.push(mounted.close)
  return mounted?.point ?? null
}

const PRELUDE = `
import errno, fcntl, os, signal, sys, time
def attempt(what):
    try: return what() or 'ok'
    except OSError as e: return errno.errorcode[e.errno]
def say(*words): print(*words, flush=True)
def hear(): return sys.stdin.readline()
NB, EX, SH, UN = fcntl.LOCK_NB, fcntl.LOCK_EX, fcntl.LOCK_SH, fcntl.LOCK_UN
`
interface Python {
  readonly child: ChildProcess
  /** The next line it says. */
  line(): Promise<string>
  go(): void
  readonly ended: Promise<void>
}
function python(folder: string, program: string): Python {
  const child = spawn('/usr/bin/python3', ['-c', `${PRELUDE}${program}`], {
    cwd: folder,
    uid: 1000,
    gid: 1000,
    env: { PATH: '/usr/bin:/bin', PYTHONDONTWRITEBYTECODE: '1' },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines: string[] = []
  const wanted: ((line: string) => void)[] = []
  let rest = ''
  child.stdout?.on('data', (data) => {
    const parts = (rest + data).split('\n')
    rest = parts.pop() ?? ''
    for (const part of parts) {
      const next = wanted.shift()
      if (next === undefined) lines.push(part)
      else next(part)
    }
  })
  return {
    child,
    line: () => {
      const line = lines.shift()
      return line === undefined ? new Promise((resolve) => wanted.push(resolve)) : Promise.resolve(line)
    },
    go: () => void child.stdin?.write('\n'),
    ended: new Promise((resolve) =>
      child.on('close', () => {
        for (const next of wanted.splice(0)) next('ended')
        resolve()
      }),
    ),
  }
}

describe.each([
  ['flock', 'fcntl.flock(f, EX | NB)', 'fcntl.flock(f, EX)', 'fcntl.flock(f, SH | NB)'],
  ['lockf', 'fcntl.lockf(f, EX | NB, 4, 8)', 'fcntl.lockf(f, EX, 4, 8)', 'fcntl.lockf(f, SH | NB, 1, 11)'],
])('%s', (_name, attempt, wait, share) => {
  it('is seen by the other run and by the host; who waits gets it when it is let go', async (context) => {
    const runs = await twoRuns()
    if (runs === null) return context.skip()
    const open = "f = open('l', 'a+')\n"
    const holder = python(runs.a, `${open}say(attempt(lambda: ${attempt}))\nhear()\nf.close()\nsay('closed')\nhear()`)
    expect(await holder.line()).toBe('ok')
    const other = python(
      runs.b,
      `${open}say(attempt(lambda: ${attempt}), attempt(lambda: ${share}))\nsay(attempt(lambda: ${wait}))\nhear()\nos.kill(os.getpid(), 9)`,
    )
    expect(await other.line()).toBe('EAGAIN EAGAIN')
    const onHost = () => python(runs.host, `${open}say(attempt(lambda: ${attempt}))`).line()
    expect(await onHost()).toBe('EAGAIN')
    holder.go()
    expect(await holder.line()).toBe('closed')
    expect(await other.line()).toBe('ok')
    expect(await onHost()).toBe('EAGAIN')
    holder.go()
    other.go()
    await Promise.all([holder.ended, other.ended])
    // A killed program's locks are gone once the kernel has closed its files.
    expect(await python(runs.a, `${open}say(attempt(lambda: ${wait}))`).line()).toBe('ok')
  })

  it('a wait ends with a signal, and holds up nobody else', async (context) => {
    const runs = await twoRuns()
    if (runs === null) return context.skip()
    const open = "f = open('l', 'a+')\n"
    const holder = python(runs.host, `${open}say(attempt(lambda: ${attempt}))\nhear()`)
    expect(await holder.line()).toBe('ok')
    const waiting = python(
      runs.a,
      `${open}def stop(*_): raise TimeoutError
signal.signal(signal.SIGALRM, stop)
say('waits')
signal.setitimer(signal.ITIMER_REAL, 0.2)
try: ${wait}
except TimeoutError: say('interrupted')
`,
    )
    expect(await waiting.line()).toBe('waits')
    const busy = python(runs.a, "open('g', 'w').write('x'); say(open('g').read())")
    expect(await busy.line()).toBe('x')
    expect(await waiting.line()).toBe('interrupted')
    holder.go()
    await Promise.all([holder.ended, waiting.ended, busy.ended])
  })
})

it('with a lock the guest sees what the host changed a moment before, however long it keeps attributes', async (context) => {
  const runs = await twoRuns()
  if (runs === null) return context.skip()
  fs.writeFileSync(path.join(runs.host, 'f'), 'one')
  const reader = python(
    runs.a,
    `f = open('f', 'r+')\nfor _ in range(3):\n    fcntl.lockf(f, EX)\n    say(os.pread(f.fileno(), 9, 0).decode())\n    fcntl.lockf(f, UN)\n    hear()`,
  )
  expect(await reader.line()).toBe('one')
  for (const text of ['two', 'three']) {
    fs.writeFileSync(path.join(runs.host, 'f'), text)
    reader.go()
    expect(await reader.line()).toBe(text)
  }
  reader.go()
  await reader.ended
})

it('SQLite with a rollback journal: two runs count on one database, and nothing is lost', async (context) => {
  const runs = await twoRuns()
  if (runs === null) return context.skip()
  const COUNT = 15
  const counter = `import sqlite3
b = sqlite3.connect('base.db', timeout=60, isolation_level=None)
b.execute('create table if not exists n (i integer primary key, v)')
b.execute('insert or ignore into n values (1, 0)')
say('ready')
hear()
for _ in range(${COUNT}):
    b.execute('begin immediate')
    v, = b.execute('select v from n').fetchone()
    b.execute('update n set v = ?', (v + 1,))
    b.execute('commit')
say(b.execute('pragma integrity_check').fetchone()[0])
`
  const [one, two] = [python(runs.a, counter), python(runs.b, counter)]
  for (const each of [one, two]) expect(await each.line()).toBe('ready')
  one.go()
  two.go()
  for (const each of [one, two]) expect(await each.line()).toBe('ok')
  await Promise.all([one.ended, two.ended])
  const last = python(runs.host, "import sqlite3\nsay(sqlite3.connect('base.db').execute('select v from n').fetchone()[0])")
  expect(await last.line()).toBe(String(2 * COUNT))
})

it('who holds a lock is named by its process, and one from outside is not', async (context) => {
  const runs = await twoRuns()
  if (runs === null) return context.skip()
  const ask = `import struct
f = open('l', 'a+')
t, _, start, length, pid = struct.unpack('hhqqi4x', fcntl.fcntl(f, fcntl.F_GETLK, struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 0, 0, 0)))
say(t == fcntl.F_WRLCK, start, length, pid)
`
  const holder = python(runs.a, "f = open('l', 'a+')\nfcntl.lockf(f, EX, 5, 10)\nsay(os.getpid())\nhear()")
  const pid = await holder.line()
  expect(await python(runs.a, ask).line()).toBe(`True 10 5 ${pid}`)
  expect(await python(runs.b, ask).line()).toBe('True 10 5 0')
  holder.go()
  await holder.ended
})

it('a lock through what was opened for reading only goes when that is closed, although the guest then says nothing', async (context) => {
  const runs = await twoRuns()
  if (runs === null) return context.skip()
  const take = "f = open('l', 'a+')\nsay(attempt(lambda: fcntl.lockf(f, EX | NB)))"
  await python(runs.a, "open('l', 'a+').close()\nsay('made')").line()
  const holder = python(runs.a, "f = open('l')\nfcntl.lockf(f, SH)\nsay('held')\nhear()\nf.close()\nsay('closed')\nhear()")
  await holder.line()
  expect(await python(runs.b, take).line()).toBe('EAGAIN')
  holder.go()
  expect(await holder.line()).toBe('closed')
  expect(await python(runs.b, take).line()).toBe('ok')
  holder.go()
  await holder.ended
})

describe('what a guest may ask', () => {
  const lock = (handle: bigint, owner: bigint, kind: number, flock: boolean, [start, end] = [0n, (1n << 63n) - 1n]) =>
    fields(handle, owner, start, end, kind, 42, flock ? 1 : 0, 0)

  async function opened(allowWrite: boolean): Promise<{ guest: RawGuest; world: World; node: bigint; handle: bigint }> {
    const world = makeWorld({ allow: ({ action }) => action !== 'fs.write' || allowWrite })
    cleanups.push(() => world.close())
    fs.writeFileSync(path.join(world.inside, 'f'), 'text')
    const guest = new RawGuest(world)
    await guest.start()
    const node = (await guest.ask(OPCODE.LOOKUP, 1, fields('f'))).body.readBigUInt64LE(0)
    const handle = (await guest.ask(OPCODE.OPEN, node, fields(0, 0))).body.readBigUInt64LE(0)
    return { guest, world, node, handle }
  }

  it('who may only read shares a lock, and does not keep the host out', async () => {
    const { guest, world, node, handle } = await opened(false)
    expect((await guest.ask(OPCODE.SETLK, node, lock(handle, 1n, 0, true))).errno).toBe(0)
    expect((await guest.ask(OPCODE.SETLK, node, lock(handle, 1n, 1, true))).errno).toBe(13)
    expect((await guest.ask(OPCODE.SETLK, node, lock(handle, 1n, 1, false))).errno).toBe(13)
    expect(await python(world.inside, "f = open('f')\nsay(attempt(lambda: fcntl.flock(f, SH | NB)))").line()).toBe('ok')
    await guest.server.close()
  })

  it('owners and ranges are bounded, and a lock the guest never lets go of ends with the session', async () => {
    const { guest, world, node, handle } = await opened(true)
    let refused = 0
    for (let owner = 1n; owner <= 1_100n; owner++) {
      const { errno } = await guest.ask(OPCODE.SETLK, node, lock(handle, owner, 0, false, [owner, owner]))
      if (errno === 37) refused += 1
    }
    expect(refused).toBe(1_100 - 1_024)
    let ranges = 0
    for (let at = 0n; at < 5_000n; at += 2n)
      if ((await guest.ask(OPCODE.SETLK, node, lock(handle, 1n, 0, false, [at, at]))).errno === 0) ranges += 1
    expect(ranges).toBeLessThan(1_100)
    expect((await guest.ask(OPCODE.SETLK, node, lock(handle, 1n, 5, false))).errno).toBe(22)
    const waiting = guest.ask(OPCODE.SETLKW, node, lock(handle, 2_000n, 0, false))
    expect((await waiting).errno).toBe(37)
    fs.chmodSync(path.join(world.inside, 'f'), 0o666)
    const take = "f = open('f', 'r+')\nsay(attempt(lambda: fcntl.lockf(f, EX | NB)))"
    expect(await python(world.inside, take).line()).toBe('EAGAIN')
    const before = fs.readdirSync('/proc/self/fd').length
    await guest.server.close()
    expect(before - fs.readdirSync('/proc/self/fd').length).toBeGreaterThanOrEqual(1_024)
    expect(await python(world.inside, take).line()).toBe('ok')
  })
})

describe('ranges', () => {
  const kind = fc.constantFrom<LockKind | null>('shared', 'exclusive', null)
  const step = fc.record({ start: fc.nat(30), length: fc.nat(12), kind })
  it('are what a table of bytes says, disjoint, in order and joined', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        let held: readonly Locked[] = []
        const table: (LockKind | null)[] = Array.from({ length: 48 }, () => null)
        for (const { start, length, kind } of steps) {
          held = lockedAfter(held, { start: BigInt(start), end: BigInt(start + length) }, kind)
          table.fill(kind, start, start + length + 1)
        }
        table.forEach((kind, at) => {
          const here = { start: BigInt(at), end: BigInt(at) }
          expect(held.find((one) => one.start <= here.start && one.end >= here.end)?.kind ?? null).toBe(kind)
          expect(conflicts(held, here, 'shared')).toBe(kind === 'exclusive')
          expect(conflicts(held, here, 'exclusive')).toBe(kind !== null)
        })
        for (const [i, one] of held.entries()) {
          const last = held[i - 1]
          if (last !== undefined) expect(last.end < one.start && !(last.kind === one.kind && last.end + 1n === one.start)).toBe(true)
        }
      }),
    )
  })
})
