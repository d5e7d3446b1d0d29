/** What the guest may keep for long, and how it is taken back, with a real kernel as the guest. */
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { parseChanges } from '../changes.ts'
import { followFolders, type HostChanges } from '../index.ts'
import { FOLLOW_STEP_MS, FOLLOWED_VALID_SECONDS, FUSE_VALID_SECONDS, QUIET_MS } from '../limits.ts'
import { type KernelMount, mountWithKernel } from '../testing/kernel-client.ts'
import { makeWorld, type World, type WorldOptions } from '../testing/pipeline.ts'
import { fields, RawGuest } from '../testing/raw-fuse.ts'
import { OPCODE } from './messages.ts'

let world: World
let mounted: KernelMount | null = null
/** Looks at what changed on the host, as a timer does in a run. */
let poll = (): void => undefined
let rules = ''
let laterMs = 0
const HOST: HostChanges = {
  follow: followFolders,
  wallMs: () => Date.now() + laterMs,
  steadyMs: () => performance.now(),
  rules: () => rules,
  every: (_, call) => {
    poll = call
    return () => undefined
  },
}

function start(options: WorldOptions = {}, files: readonly string[] = []): KernelMount {
  world = makeWorld(options)
  fs.chmodSync(world.inside, 0o777)
  for (const name of files) {
    fs.mkdirSync(path.dirname(host(name)), { recursive: true })
    fs.writeFileSync(host(name), name)
    fs.chmodSync(host(name), 0o666)
  }
  // Long after everything was last changed.
  laterMs = 2 * QUIET_MS
  rules = ''
  mounted = mountWithKernel(world, {}, HOST)
  if (mounted === null) throw new Error('could mount a moment ago')
  return mounted
}
afterEach(async () => {
  await mounted?.close()
  mounted = null
  await world.close()
})
const host = (name: string): string => path.join(world.inside, name)

const possible = await (async () => {
  world = makeWorld()
  mounted = mountWithKernel(world)
  const able = mounted !== null
  await mounted?.close()
  mounted = null
  await world.close()
  return able
})()

/** The agent's own words; its kernel keeps what it was told from one call to the next. */
function agent(script: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('/bin/bash', ['-c', `exec 2>&1; cd "$MOUNT"; ${script}`], {
      uid: 1000,
      gid: 1000,
      env: { MOUNT: mounted?.point, PATH: '/usr/bin:/bin', HOME: '/nonexistent', LC_ALL: 'C' },
    })
    let out = ''
    child.stdout.on('data', (data) => (out += data))
    child.on('error', reject)
    child.on('close', () => resolve(out.trim()))
  })
}
/** Programs do not wait for what they close. */
async function allClosed(): Promise<void> {
  const opened = world.gate.objects.filter((object) => object.startsWith('fs.open')).length
  while (world.gate.closes.length < opened) await new Promise((resolve) => setImmediate(resolve))
}
const asked = (...opcodes: number[]): number => opcodes.map((opcode) => mounted?.asked.get(opcode) ?? 0).reduce((a, b) => a + b, 0)
const looks = (): number => asked(OPCODE.LOOKUP, OPCODE.GETATTR)

describe.skipIf(!possible)('a folder on the host that is followed', () => {
  it('is looked at again without a question for each file, long after the second that everything else is kept', async () => {
    const files = Array.from({ length: 500 }, (_, i) => `d${i % 10}/f${i}`)
    start({}, files)
    const walk = `python3 -c "
import os, time
def walk(): return sum(os.lstat(f'd{i % 10}/f{i}').st_size for i in range(500))
print(walk(), flush=True); time.sleep(1.2); print(walk())"`
    const size = files.join('').length
    const before = looks()
    expect(await agent(walk)).toBe(`${size}\n${size}`)
    // Each file once, and each folder once more.
    expect(looks() - before).toBeLessThan(600)
  })

  type Case = readonly [what: string, look: string, first: string | RegExp, change: () => unknown, then: string | RegExp, again?: string]
  it.each([
    ['contents and length', 'stat -c %s f; cat f', '1\nf', () => fs.writeFileSync(host('f'), 'longer'), '6\nlonger'],
    ['mode', 'stat -c %a f', '666', () => fs.chmodSync(host('f'), 0o600), '600'],
    ['time', 'stat -c %Y f', /^\d+$/, () => fs.utimesSync(host('f'), 1, 1_500_000_000), '1500000000'],
    ['removal', 'ls f; echo', /^f$/, () => fs.rmSync(host('f')), /No such file/],
    ['another name', 'cat f', 'f', () => fs.renameSync(host('f'), host('g')), /No such file/],
    [
      'another name, seen there first',
      'cat f',
      'f',
      () => fs.renameSync(host('f'), host('g')),
      /^f\ncat: f: No such file/,
      'cat g; echo; cat f',
    ],
    [
      'replacement',
      'cat f',
      'f',
      () => {
        fs.writeFileSync(host('new'), 'new one')
        fs.renameSync(host('new'), host('f'))
      },
      '7\nnew one',
      'stat -c %s f; cat f',
    ],
    [
      'exchange by way of a third',
      'cat f e',
      'fe',
      () => {
        fs.renameSync(host('f'), host('x'))
        fs.renameSync(host('e'), host('f'))
        fs.renameSync(host('x'), host('e'))
      },
      'ef',
      'cat f e',
    ],
    [
      'replacement of its folder',
      'cat d/f',
      'd/f',
      () => {
        fs.renameSync(host('d'), host('gone'))
        fs.mkdirSync(host('d'))
        fs.writeFileSync(host('d/f'), 'other')
      },
      'other',
      'sleep 1.1; cat d/f',
    ],
    ['removal of its folder', 'cat d/f', 'd/f', () => fs.rmSync(host('d'), { recursive: true }), /No such file/, 'sleep 1.1; cat d/f'],
  ] as Case[])('a change there is seen as soon as it was told: %s', async (...row) => {
    const [, look, first, change, then, again = look] = row as unknown as Case
    start({}, ['f', 'e', 'd/f'])
    expect(await agent(look)).toMatch(first)
    expect(await agent(look)).toMatch(first)
    await allClosed()
    change()
    poll()
    expect(await agent(again)).toMatch(then)
  })

  it('tells within the second in which everything else is forgotten', () => {
    expect(FOLLOW_STEP_MS * 2).toBeLessThan(FUSE_VALID_SECONDS * 1000)
    expect(FOLLOWED_VALID_SECONDS).toBeLessThanOrEqual(300)
    world = makeWorld()
  })

  it('what changed a moment ago, has a second name or lies on a mount with a time of its own is kept as briefly as everything', async () => {
    for (const [options, prepare] of [
      [{}, () => (laterMs = 0)],
      [{}, () => fs.linkSync(host('f'), path.join(world.outside, 'second'))],
      [{ mounts: ({ inside }) => [{ guest: '/work', host: inside, readonly: false, cacheSeconds: 1 }] }, () => undefined],
    ] as [WorldOptions, () => unknown][]) {
      start(options, ['f'])
      prepare()
      await agent('stat -c %s f')
      const before = looks()
      await agent('sleep 1.1; stat -c %s f')
      expect(looks()).toBeGreaterThan(before)
      fs.rmSync(path.join(world.outside, 'second'), { force: true })
      await mounted?.close()
      await world.close()
    }
    start()
  })

  it('a change of the policy takes everything back', async () => {
    let closed = false
    start({ allow: ({ object }) => !closed || object === '/work' }, ['f'])
    expect(await agent('stat -c %s f')).toBe('1')
    closed = true
    expect(await agent('stat -c %s f')).toBe('1')
    rules = 'another'
    poll()
    expect(await agent('stat -c %s f')).toMatch(/Permission denied/)
  })

  it('what the agent changes itself stays as it is: renamed, replaced, removed, written and open meanwhile', async () => {
    start({}, ['f', 'e', 'g', 'd/f'])
    const out = agent(`python3 -c "
import os, sys
def step(*words): print(*words, flush=True); sys.stdin.readline()
for n in ['f', 'e', 'g', 'd/f']: os.stat(n)
held = os.open('f', os.O_RDWR)
step(1); os.rename('f', 'f2'); os.rename('e', 'd/e'); os.rename('g', 'd/f')
step(2); print(os.fstat(held).st_size, os.stat('f2').st_ino == os.fstat(held).st_ino, open('d/e').read(), open('d/f').read(), sorted(os.listdir('.')))
os.write(held, b'more'); os.unlink('d/e')
step(3); print(os.stat('f2').st_size, os.fstat(held).st_size, os.path.exists('d/e'), os.path.exists('e'))
os.unlink('f2')
step(4); print(os.fstat(held).st_nlink, os.path.exists('f2'))" < <(while sleep 0.1; do echo; done)`)
    let done = false
    out.finally(() => (done = true))
    while (!done) {
      poll()
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    expect(await out).toBe("1\n2\n1 True e g ['d', 'f2']\n3\n4 4 False False\n4\n0 False")
  })

  it('what is open stays open when the host renames or removes it, and is lost by its old name when it is closed', async () => {
    start({}, ['f', 'e'])
    const out = agent(
      `exec 3<f 4<e; touch ready; while ! test -e go; do sleep 0.05; done; stat -Lc %s /proc/self/fd/3; cat <&4; exec 3<&- 4<&-; touch closed; while ! test -e end; do sleep 0.05; done; cat f e`,
    )
    const until = async (name: string): Promise<void> => {
      while (!fs.existsSync(host(name))) await new Promise((resolve) => setImmediate(resolve))
    }
    await until('ready')
    fs.renameSync(host('f'), host('moved'))
    fs.rmSync(host('e'))
    poll()
    fs.writeFileSync(host('go'), '')
    await until('closed')
    await allClosed()
    fs.writeFileSync(host('end'), '')
    expect(await out).toBe('1\necat: f: No such file or directory\ncat: e: No such file or directory')
  })

  it('names and attributes are kept for the same time', async () => {
    start({}, ['f'])
    const guest = new RawGuest(world, {}, HOST)
    await guest.start()
    // The first look finds out that the folder folds no names.
    await guest.ask(OPCODE.LOOKUP, 1, fields('f'))
    const { body } = await guest.ask(OPCODE.LOOKUP, 1, fields('f'))
    const seconds = BigInt(FOLLOWED_VALID_SECONDS)
    expect([body.readBigUInt64LE(16), body.readBigUInt64LE(24)]).toEqual([seconds, seconds])
    await guest.server.close()
  })

  it('what is cut off or was lost counts as missed', () => {
    world = makeWorld()
    expect(parseChanges(new Uint8Array([255, 255, 255, 255, 0, 0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]))).toEqual([
      { watch: -1, what: 'missed', name: '' },
    ])
    expect(parseChanges(new Uint8Array([1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 102, 0]))).toEqual([
      { watch: -1, what: 'missed', name: '' },
    ])
  })
})
