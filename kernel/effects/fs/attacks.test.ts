/** Ways out of a mount. In each the file outside must stay unread and unchanged, by the fence named; taking that fence away makes the test fail. */
import { fork } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { OPEN_FLAGS } from '@authority/protocol'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { RESOLVE_TRIES } from './limits.ts'
import { RESOLVE } from './syscalls.ts'
import { makeWorld, refusal, SECRET, type World, type WorldOptions } from './testing/pipeline.ts'

const { READ, WRITE, CREATE, TRUNCATE } = OPEN_FLAGS
let world: World
beforeEach(() => {
  world = makeWorld()
})
afterEach(async () => {
  expect(fs.readFileSync(world.secret, 'utf8')).toBe(SECRET)
  expect(fs.readdirSync(world.outside)).toEqual(['secret.txt'])
  await world.close()
})
async function again(options: WorldOptions): Promise<void> {
  await world.close()
  world = makeWorld(options)
}
const host = (...parts: string[]): string => path.join(world.inside, ...parts)

/** Every way to read or change what a path names. */
async function everyWay(target: string): Promise<string[]> {
  const errors: string[] = []
  const attempts: (() => Promise<unknown>)[] = [
    async () => {
      const [file] = await world.call('fs.open', target, READ, 0)
      return world.call('fs.read', file as number, 0, 100)
    },
    async () => {
      const [file] = await world.call('fs.open', target, WRITE | CREATE | TRUNCATE, 0o644)
      return world.call('fs.write', file as number, 0, new Uint8Array(3))
    },
    () => world.call('fs.truncate', target, 0),
    () => world.call('fs.chmod', target, 0o777),
    () => world.call('fs.utimens', target, 0, 0),
    () => world.call('fs.rename', target, '/work/stolen', 0),
    () => world.call('fs.link', target, '/work/stolen'),
    () => world.call('fs.unlink', target),
  ]
  for (const attempt of attempts) errors.push((await refusal(attempt())).errno)
  expect(fs.existsSync(host('stolen'))).toBe(false)
  return errors
}

describe('paths', () => {
  it('`..` out of the mount: openat2 BENEATH, and no path but the mount’s own leads to it', async () => {
    fs.mkdirSync(host('d'))
    for (const target of [
      '/work/../out/secret.txt',
      '/work/d/../../out/secret.txt',
      '/work/./d/../../../etc/passwd',
      '/../work/../out/secret.txt',
      '//out/secret.txt',
    ]) {
      for (const errno of await everyWay(target)) expect(['ENOENT', 'EXDEV', 'EACCES']).toContain(errno)
    }
  })

  it('`..` behind a link that leads elsewhere: resolved physically, and both readings must be allowed', async () => {
    await again({ allow: (q) => q.object !== '/work/closed/x' && q.object !== '/work/closed' })
    fs.mkdirSync(host('closed/sub'), { recursive: true })
    fs.writeFileSync(host('closed/x'), 'closed')
    fs.writeFileSync(host('x'), 'open')
    fs.symlinkSync('closed/sub', host('link'))
    expect((await refusal(world.call('fs.open', '/work/link/../x', READ, 0))).code).toBe('E_POLICY_DENY')
    expect((await refusal(world.call('fs.stat', '/work/closed/../x'))).code).toBe('E_POLICY_DENY')
  })

  it('names with NUL, newline, control characters, lone surrogates, 4 KiB, 256 bytes: refused before anything is looked at', async () => {
    for (const name of ['a\0b', 'a\nb', 'a\u007fb', 'a\u001b[2J', '\ud800', 'x'.repeat(256), `${'y/'.repeat(2048)}z`, 'relative']) {
      const target = name === 'relative' ? name : `/work/${name}`
      expect((await refusal(world.call('fs.open', target, READ, 0))).code).toBe('E_CONFLICT')
    }
    expect(world.gate.asked).toEqual([])
  })

  it('a host name that is not UTF-8 or holds a newline is not listed, and a folder with one does not move', async () => {
    fs.mkdirSync(host('d'))
    fs.writeFileSync(Buffer.concat([Buffer.from(`${host('d')}/`), Buffer.from([0xff, 0xfe])]), '')
    fs.writeFileSync(host('d', 'new\nline'), '')
    fs.writeFileSync(host('d', 'fine'), '')
    const [entries] = await world.call('fs.readdir', '/work/d', 0, 10)
    expect(entries).toEqual([['fine', 'file']])
    expect((await refusal(world.call('fs.rename', '/work/d', '/work/e', 0))).errno).toBe('EILSEQ')
  })

  it('deep trees and the longest names work, and beyond PATH_MAX it is an error', async () => {
    const deep = Array.from({ length: 100 }, (_, i) => `d${i}`)
    fs.mkdirSync(host(...deep), { recursive: true })
    await world.call('fs.open', `/work/${deep.join('/')}/${'n'.repeat(255)}`, WRITE | CREATE, 0o600)
    expect((await refusal(world.call('fs.rename', '/work/d0', '/work/moved', 3))).errno).toBe('EINVAL')
    await world.call('fs.rename', '/work/d0', '/work/moved', 0)
  })

  it('/proc/self/root and other magic links below a mount: NO_MAGICLINKS and NO_XDEV', async () => {
    await again({
      mounts: ({ inside }) => [
        { guest: '/work', host: inside, readonly: false },
        { guest: '/p', host: '/proc/self', readonly: false },
      ],
    })
    for (const target of [`/p/root${world.secret}`, `/p/cwd/package.json`, '/p/exe', '/p/fd/0']) {
      expect((await refusal(world.call('fs.open', target, READ, 0))).errno).toMatch(/ELOOP|EACCES|ENOENT/)
    }
  })
})

describe('links', () => {
  it('planted links to the outside, absolute and relative, at the end and on the way: BENEATH', async () => {
    fs.symlinkSync(world.secret, host('abs'))
    fs.symlinkSync('../out/secret.txt', host('rel'))
    fs.symlinkSync('../out', host('dir'))
    fs.symlinkSync('/proc/self/root', host('proc'))
    for (const target of ['/work/abs', '/work/rel', '/work/dir/secret.txt', `/work/proc${world.secret}`]) {
      for (const attempt of [
        () => world.call('fs.open', target, READ, 0),
        () => world.call('fs.open', target, WRITE, 0),
        () => world.call('fs.open', target, WRITE | CREATE, 0o600),
        () => world.call('fs.truncate', target, 0),
        () => world.call('fs.chmod', target, 0o777),
      ]) {
        expect((await refusal(attempt())).errno).toMatch(/EACCES|ELOOP|EOPNOTSUPP|EINVAL/)
      }
    }
    expect((await world.call('fs.stat', '/work/abs'))[0]).toBe('symlink')
  })

  it('a link inside the mount does not carry a right to where it leads, nor tell what is there', async () => {
    await again({ allow: (q) => !q.object.startsWith('/work/closed') })
    fs.mkdirSync(host('closed'))
    fs.writeFileSync(host('closed/there'), 'x')
    fs.symlinkSync('closed', host('open'))
    const [there, absent] = [
      await refusal(world.call('fs.open', '/work/open/there', READ, 0)),
      await refusal(world.call('fs.open', '/work/open/absent', READ, 0)),
    ]
    expect([there.code, there.errno, absent.code, absent.errno]).toEqual(['E_POLICY_DENY', 'EACCES', 'E_POLICY_DENY', 'EACCES'])
    fs.symlinkSync('closed/absent', host('dangling'))
    expect((await refusal(world.call('fs.open', '/work/dangling', READ, 0))).code).toBe('E_POLICY_DENY')
  })

  it('changes follow no link at all: NO_SYMLINKS', async () => {
    fs.mkdirSync(host('real'))
    fs.symlinkSync('real', host('link'))
    for (const attempt of [
      () => world.call('fs.open', '/work/link/new', WRITE | CREATE, 0o600),
      () => world.call('fs.mkdir', '/work/link/d', 0o755),
      () => world.call('fs.symlink', '/work/link/s', 'x'),
    ]) {
      expect((await refusal(attempt())).errno).toBe('ELOOP')
    }
    expect(fs.readdirSync(host('real'))).toEqual([])
    fs.writeFileSync(host('real/f'), 'f')
    for (const attempt of [
      () => world.call('fs.open', '/work/link/f', WRITE, 0),
      () => world.call('fs.truncate', '/work/link/f', 0),
      () => world.call('fs.chmod', '/work/link/f', 0o600),
      () => world.call('fs.unlink', '/work/link/f'),
    ]) {
      expect((await refusal(attempt())).errno).toBe('ELOOP')
    }
  })

  it('links that would escape are not made, nor moved to where they would', async () => {
    fs.mkdirSync(host('a/b'), { recursive: true })
    for (const target of ['/etc/passwd', '../../x', 'b/../../../x', '..//../x', ''])
      expect((await refusal(world.call('fs.symlink', '/work/a/s', target))).code).toBe('E_POLICY_DENY')
    await world.call('fs.symlink', '/work/a/b/ok', '../../x')
    expect((await refusal(world.call('fs.rename', '/work/a/b/ok', '/work/ok', 0))).code).toBe('E_POLICY_DENY')
    expect((await refusal(world.call('fs.rename', '/work/a/b', '/work/b', 0))).code).toBe('E_POLICY_DENY')
  })

  it('an absolute link is made, and moved, within a folder that is mounted where it is, and leads nowhere else', async () => {
    await again({ mounts: ({ inside }) => [{ guest: inside, host: inside, readonly: false }] })
    const at = (name: string): string => path.join(world.inside, name)
    for (const target of [
      '/etc/passwd',
      '/',
      world.outside,
      `${world.inside}2/x`,
      `${world.inside}/../out/secret.txt`,
      `${world.inside}/a/..`,
      `/.${world.inside}/a`,
    ])
      expect((await refusal(world.call('fs.symlink', at('s'), target))).code, target).toBe('E_POLICY_DENY')
    await world.call('fs.symlink', at('s'), at('f'))
    await world.call('fs.rename', at('s'), at('t'), 0)
    expect(fs.readlinkSync(at('t'))).toBe(at('f'))
    await again({ mounts: ({ inside }) => [{ guest: `${inside}/elsewhere`, host: inside, readonly: false }] })
    expect((await refusal(world.call('fs.symlink', `${world.inside}/elsewhere/s`, `${world.inside}/elsewhere/f`))).code).toBe(
      'E_POLICY_DENY',
    )
  })

  it('a file with another name outside is not written, truncated or given another mode', async () => {
    fs.linkSync(world.secret, host('hard'))
    for (const attempt of [
      () => world.call('fs.open', '/work/hard', WRITE, 0),
      () => world.call('fs.open', '/work/hard', WRITE | CREATE | TRUNCATE, 0o600),
      () => world.call('fs.truncate', '/work/hard', 0),
      () => world.call('fs.chmod', '/work/hard', 0o777),
      () => world.call('fs.utimens', '/work/hard', 0, 0),
    ]) {
      expect((await refusal(attempt())).code).toBe('E_POLICY_DENY')
    }
  })
})

describe('races', () => {
  it('a folder swapped for a link to the outside, between every two system calls, by another process', async () => {
    fs.mkdirSync(host('d'))
    fs.writeFileSync(host('d/secret.txt'), 'inside')
    fs.symlinkSync('../out', host('l'))
    const script = host('swap.cjs')
    fs.writeFileSync(
      script,
      "const fs=require('fs');process.send('on');let run=true;process.on('disconnect',()=>{run=false});(function loop(){for(let i=0;i<50;i++){fs.renameSync('d','t');fs.renameSync('l','d');fs.renameSync('d','l');fs.renameSync('t','d')}if(run)setImmediate(loop)})()",
    )
    const child = fork(script, [], { cwd: world.inside, execArgv: [] })
    const ended = new Promise((resolve) => child.once('exit', resolve))
    await new Promise((resolve) => child.once('message', resolve))
    const seen = new Set<string>()
    for (let i = 0; i < 400; i++) {
      const outcome = await world.call('fs.open', '/work/d/secret.txt', i % 2 === 0 ? READ : READ | WRITE, 0).then(
        async ([file]) => {
          const [data] = await world.call('fs.read', file as number, 0, 100)
          await world.call('fs.close', file as number)
          return Buffer.from(data as Uint8Array).toString()
        },
        (error: { errno: string }) => error.errno,
      )
      seen.add(outcome)
      await world.call('fs.open', '/work/d/new', WRITE | CREATE, 0o600).catch(() => undefined)
      await world.call('fs.unlink', '/work/d/secret.txt.none').catch(() => undefined)
    }
    child.disconnect()
    await ended
    expect(seen.has(SECRET)).toBe(false)
    // Whether the folder itself was met in between is chance; now it stands there.
    const [file] = await world.call('fs.open', '/work/d/secret.txt', READ, 0)
    const [data] = await world.call('fs.read', file as number, 0, 100)
    expect(Buffer.from(data as Uint8Array).toString()).toBe('inside')
  })

  it('what is put under the name between decision and creation is not opened in its place: O_EXCL, O_NOFOLLOW', async () => {
    let act = (): void => undefined
    await again({ between: () => act() })
    act = () => fs.symlinkSync(world.secret, host('f'))
    expect((await refusal(world.call('fs.open', '/work/f', WRITE | CREATE, 0o600))).errno).toBe('ELOOP')
    act = () => fs.linkSync(world.secret, host('g'))
    expect((await refusal(world.call('fs.open', '/work/g', WRITE | CREATE, 0o600))).code).toBe('E_POLICY_DENY')
    fs.writeFileSync(host('h'), 'mine')
    act = () => {
      fs.unlinkSync(host('h'))
      fs.symlinkSync(world.secret, host('h'))
    }
    const [file] = await world.call('fs.open', '/work/h', READ | WRITE, 0)
    await world.call('fs.write', file as number, 0, new Uint8Array(4))
  })

  it('a parent moved between decision and change is noticed: looked at again under the lock', async () => {
    let act = (): void => undefined
    await again({ between: () => act(), allow: (q) => !q.object.startsWith('/work/closed') })
    fs.mkdirSync(host('a'))
    fs.mkdirSync(host('closed'))
    act = () => {
      act = () => undefined
      fs.renameSync(host('a'), host('closed/a'))
    }
    expect((await refusal(world.call('fs.mkdir', '/work/a/new', 0o755))).errno).toBe('EAGAIN')
    expect(fs.readdirSync(host('closed/a'))).toEqual([])
  })

  it('a folder filled between the decision to move it and the move stays', async () => {
    let act = (): void => undefined
    await again({ between: () => act(), allow: (q) => q.object !== '/work/.git/hooks/pre-commit' })
    fs.mkdirSync(host('x/hooks'), { recursive: true })
    act = () => fs.writeFileSync(host('x/hooks/pre-commit'), 'evil')
    expect((await refusal(world.call('fs.rename', '/work/x', '/work/.git', 0))).errno).toBe('EAGAIN')
    expect(fs.existsSync(host('.git'))).toBe(false)
  })

  it('a rename race is retried a bounded number of times', async () => {
    let calls = 0
    await again({
      wrap: (sys) => ({
        ...sys,
        openat2: (dir, name, flags, mode, resolve) => {
          if (name !== 'race') return sys.openat2(dir, name, flags, mode, resolve)
          calls++
          return { ok: false, errno: 'EAGAIN' }
        },
      }),
    })
    expect((await refusal(world.call('fs.stat', '/work/race'))).errno).toBe('EAGAIN')
    expect(calls).toBeLessThanOrEqual(RESOLVE_TRIES * 2)
  })
})

describe('each fence alone', () => {
  const { BENEATH, NO_MAGICLINKS, NO_XDEV, NO_SYMLINKS } = RESOLVE
  const recorded = async (act: () => Promise<unknown>): Promise<number[]> => {
    const seen: number[] = []
    await again({
      wrap: (inner) => ({
        ...inner,
        openat2: (dir, name, flags, mode, resolve) => {
          if (dir >= 0) seen.push(resolve)
          return inner.openat2(dir, name, flags, mode, resolve)
        },
      }),
    })
    await act()
    return seen
  }

  it('every open below a mount cannot leave it; every one for a change follows no link', async () => {
    const look = (): Promise<unknown> => {
      fs.writeFileSync(host('f'), '')
      return world.call('fs.open', '/work/f', READ, 0)
    }
    const change = async (): Promise<void> => {
      fs.writeFileSync(host('g'), '')
      await world.call('fs.open', '/work/new', WRITE | CREATE, 0o600)
      await world.call('fs.rename', '/work/g', '/work/h', 0)
      await world.call('fs.truncate', '/work/h', 0)
    }
    const inside = BENEATH | NO_MAGICLINKS | NO_XDEV
    for (const resolve of await recorded(look)) expect(resolve & inside).toBe(inside)
    const all = await recorded(change)
    expect(all.length).toBeGreaterThan(5)
    for (const resolve of all) expect(resolve).toBe(inside | NO_SYMLINKS)
  })

  it('a descriptor outside the mount is refused by its own path, were openat2 to give one', async () => {
    await again({
      wrap: (sys) => ({
        ...sys,
        openat2: (dir, name, flags, mode, resolve) => sys.openat2(dir, name, flags, mode, dir < 0 ? resolve : resolve & NO_SYMLINKS),
      }),
    })
    fs.symlinkSync(world.secret, host('abs'))
    expect((await refusal(world.call('fs.open', '/work/abs', READ, 0))).code).toBe('E_POLICY_DENY')
    expect((await refusal(world.call('fs.open', '/work/d/../../out/secret.txt', READ, 0))).errno).not.toBe('it succeeded')
  })

  it('another file system below the mount is not part of it, though the path to it is inside', async () => {
    await again({ mounts: () => [{ guest: '/h', host: '/', readonly: true }] })
    expect((await refusal(world.call('fs.open', '/h/proc/version', READ, 0))).code).toBe('E_POLICY_DENY')
    // Not the world's own folder: where /tmp is a file system of its own, that is below the mount as well.
    expect((await world.call('fs.stat', '/h/etc'))[0]).toBe('directory')
  })
})

describe('mounts and kinds', () => {
  it('renames and links do not cross mounts, read-only mounts do not change, hidden ground is out of reach', async () => {
    await again({
      mounts: ({ inside, outside }) => [
        { guest: '/work', host: inside, readonly: false },
        { guest: '/ro', host: outside, readonly: true },
        { guest: '/work/sub', host: outside, readonly: true },
      ],
    })
    fs.writeFileSync(host('f'), 'f')
    fs.mkdirSync(host('sub'))
    fs.writeFileSync(host('sub/secret.txt'), 'hidden')
    fs.symlinkSync('sub', host('link'))
    expect((await refusal(world.call('fs.rename', '/work/f', '/ro/f', 0))).errno).toMatch(/EXDEV|EROFS/)
    expect((await refusal(world.call('fs.link', '/work/f', '/ro/f'))).errno).toMatch(/EXDEV|EROFS/)
    for (const errno of await everyWay('/ro/secret.txt').catch((error: Error) => [error.message]))
      expect(['it succeeded', 'EROFS', 'EXDEV']).toContain(errno)
    expect((await refusal(world.call('fs.open', '/work/link/secret.txt', READ, 0))).code).toBe('E_POLICY_DENY')
    const [file] = await world.call('fs.open', '/work/sub/secret.txt', READ, 0)
    const [data] = await world.call('fs.read', file as number, 0, 100)
    expect(Buffer.from(data as Uint8Array).toString()).toBe(SECRET)
    expect((await refusal(world.call('fs.rename', '/work/sub', '/work/other', 0))).errno).toMatch(/EBUSY|EROFS/)
  })

  it('setuid bits are never set, nor files that have them written; sockets and fifos are not opened', async () => {
    expect((await refusal(world.call('fs.open', '/work/s', WRITE | CREATE, 0o4755))).errno).toBe('EPERM')
    fs.writeFileSync(host('s'), '')
    expect((await refusal(world.call('fs.chmod', '/work/s', 0o2755))).errno).toBe('EPERM')
    fs.chmodSync(host('s'), 0o4755)
    expect((await refusal(world.call('fs.open', '/work/s', WRITE, 0))).code).toBe('E_POLICY_DENY')
  })

  it('policy files in use are neither written, replaced nor removed', async () => {
    await again({ protect: (dir) => [path.join(dir, 'in/policy.json'), path.join(dir, 'missing')] })
    await world.close()
    world = makeWorld({
      protect: (dir) => {
        fs.writeFileSync(path.join(dir, 'in/policy.json'), '{}')
        return [path.join(dir, 'in/policy.json')]
      },
    })
    fs.writeFileSync(host('mine'), 'x')
    for (const attempt of [
      () => world.call('fs.open', '/work/policy.json', WRITE, 0),
      () => world.call('fs.unlink', '/work/policy.json'),
      () => world.call('fs.rename', '/work/mine', '/work/policy.json', 0),
      () => world.call('fs.rename', '/work/policy.json', '/work/p', 0),
    ]) {
      expect((await refusal(attempt())).code).toBe('E_POLICY_DENY')
    }
    expect(fs.readFileSync(host('policy.json'), 'utf8')).toBe('{}')
  })

  it('write does not become read by renaming: the source must be readable where the target is', async () => {
    await again({ allow: (q) => q.action === 'fs.write' || q.action === 'fs.look' || !q.object.startsWith('/work/closed') })
    fs.mkdirSync(host('closed'))
    fs.writeFileSync(host('closed/f'), 'x')
    expect((await refusal(world.call('fs.rename', '/work/closed/f', '/work/f', 0))).code).toBe('E_POLICY_DENY')
    expect((await refusal(world.call('fs.link', '/work/closed/f', '/work/f'))).code).toBe('E_POLICY_DENY')
    await world.call('fs.rename', '/work/closed/f', '/work/closed/g', 0)
  })
})
