import { execFile } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { OPEN_FLAGS } from '@authority/protocol'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { mountWithKernel } from './testing/kernel-client.ts'
import { makeWorld, refusal, type World } from './testing/pipeline.ts'

const { READ, WRITE, CREATE, EXCLUSIVE, TRUNCATE } = OPEN_FLAGS
const GUEST = '/etc/app.conf'
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

let world: World
let host: string
function start(readonly = false, protect = false): void {
  world = makeWorld({
    mounts: ({ inside }) => {
      host = path.join(inside, 'app.conf')
      fs.writeFileSync(host, 'first')
      fs.writeFileSync(path.join(inside, 'beside'), 'not mounted')
      fs.chmodSync(host, 0o666)
      return [{ guest: GUEST, host, readonly }]
    },
    ...(protect ? { protect: (dir: string) => [path.join(dir, 'in/app.conf')] } : {}),
  })
}
afterEach(() => world.close())

async function write(flags: number, text: string): Promise<void> {
  const [file = 0] = await world.call('fs.open', GUEST, flags, 0o644)
  await world.call('fs.write', file, 0, bytes(text))
  await world.call('fs.close', file)
}

describe('by path', () => {
  it('is read, truncated and written through, also by an opening that would make it', async () => {
    start()
    await write(READ | WRITE | CREATE | TRUNCATE, 'second')
    expect(fs.readFileSync(host, 'utf8')).toBe('second')
    const [file = 0, size] = await world.call('fs.open', GUEST, READ, 0)
    expect(size).toBe(6)
    await world.call('fs.close', file)
    expect((await refusal(world.call('fs.open', GUEST, WRITE | CREATE | EXCLUSIVE, 0o644))).errno).toBe('EEXIST')
  })

  it('nothing but the file itself is reached: not what is below it, beside it or its folder', async () => {
    start()
    for (const text of [`${GUEST}/`, `${GUEST}/x`, `${GUEST}/.`])
      expect((await refusal(world.call('fs.open', text, READ, 0))).errno).toBe('ENOTDIR')
    for (const text of ['/etc/beside', '/etc', `${GUEST}/../beside`])
      expect((await refusal(world.call('fs.open', text, READ, 0))).errno).toBe('ENOENT')
  })

  it('its name is not the agent’s: removed, renamed, replaced or linked is busy, and nothing happens', async () => {
    start()
    const before = fs.readdirSync(world.inside)
    expect((await refusal(world.call('fs.unlink', GUEST))).errno).toBe('EBUSY')
    expect((await refusal(world.call('fs.rename', GUEST, `${GUEST}2`, 0))).errno).toBe('EBUSY')
    expect((await refusal(world.call('fs.mkdir', `${GUEST}/d`, 0o755))).errno).toBe('ENOTDIR')
    expect(fs.readdirSync(world.inside)).toEqual(before)
  })

  it('replaced on the host, it is no other file: ESTALE, and the new one is untouched', async () => {
    start()
    fs.writeFileSync(`${host}.new`, 'replaced')
    fs.renameSync(`${host}.new`, host)
    expect((await refusal(world.call('fs.open', GUEST, READ, 0))).errno).toBe('ESTALE')
    expect((await refusal(world.call('fs.open', GUEST, WRITE | TRUNCATE, 0))).errno).toBe('ESTALE')
    expect(fs.readFileSync(host, 'utf8')).toBe('replaced')
  })

  it('moved on the host it stays the same file', async () => {
    start()
    fs.renameSync(host, path.join(world.outside, 'elsewhere'))
    await write(WRITE | TRUNCATE, 'followed')
    expect(fs.readFileSync(path.join(world.outside, 'elsewhere'), 'utf8')).toBe('followed')
  })

  it('read-only: EROFS, and the host’s file is as it was', async () => {
    start(true)
    expect((await refusal(world.call('fs.open', GUEST, WRITE | TRUNCATE, 0))).errno).toBe('EROFS')
    expect((await refusal(world.call('fs.truncate', GUEST, 0))).errno).toBe('EROFS')
    expect(fs.readFileSync(host, 'utf8')).toBe('first')
  })
})

it('a policy or config file in use is mounted read-only or not at all', () => {
  expect(() => start(false, true)).toThrow(/decides what the run may do/)
  start(true, true)
})

describe('with a kernel as the guest', () => {
  beforeEach(() => start())

  /** As uid 1000; `$F` is the mounted file. */
  const agent = (point: string, script: string): Promise<string> =>
    new Promise((resolve) =>
      execFile(
        '/bin/bash',
        ['-c', script],
        { uid: 1000, gid: 1000, env: { F: point, PATH: '/usr/bin:/bin', LC_ALL: 'C' } },
        (_error, out, err) => resolve(out + err.replaceAll(point, 'F')),
      ),
    )

  it('a mount point of Linux: written and truncated through, never replaced or removed', async (context) => {
    const mounted = mountWithKernel(world)
    if (mounted === null) return context.skip()
    try {
      await mounted.ready
      const said = await agent(
        mounted.point,
        `cat $F; echo; echo second > $F; echo more >> $F; wc -c < $F; truncate -s 3 $F; stat -c '%F %s %u' $F
         python3 - $F <<'P'
import errno, os, sys
def attempt(what, *args):
    try: what(*args)
    except OSError as e: print(what.__name__, errno.errorcode[e.errno])
f = sys.argv[1]
attempt(os.unlink, f)
attempt(os.rename, f, f + '2')
attempt(os.open, f + '/x', os.O_RDONLY)
attempt(os.setxattr, f, 'user.x', b'1')
with open(f, 'r+') as g: g.truncate(0); g.write('python'); g.flush(); os.fsync(g.fileno())
P
`,
      )
      expect(said).toBe('first\n12\nregular file 3 1000\nunlink EACCES\nrename EACCES\nopen ENOTDIR\nsetxattr ENOTSUP\n')
      expect(fs.readFileSync(host, 'utf8')).toBe('python')
      expect(fs.readdirSync(world.inside).sort()).toEqual(['app.conf', 'beside'])
      fs.rmSync(host)
      fs.writeFileSync(host, 'replaced')
      expect(await agent(mounted.point, 'cat $F')).toMatch(/Stale file handle/)
      expect(fs.readFileSync(host, 'utf8')).toBe('replaced')
    } finally {
      await mounted.close()
    }
  })
})
