import { spawn, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import type { HostChanges } from '../index.ts'
import { type KernelMount, mountWithKernel } from '../testing/kernel-client.ts'
import { makeWorld, SECRET, type World, type WorldOptions } from '../testing/pipeline.ts'
import { OPCODE } from './messages.ts'

const able = (() => {
  const world = makeWorld()
  const mounted = mountWithKernel(world)
  if (mounted === null) return world.close().then(() => false)
  return mounted
    .close()
    .then(() => world.close())
    .then(() => true)
})()
const possible = await able

let world: World
let mounted: KernelMount
async function start(options: WorldOptions = {}, limits = {}, host?: HostChanges): Promise<void> {
  world = makeWorld(options)
  fs.chmodSync(world.inside, 0o777)
  const made = mountWithKernel(world, limits, host)
  if (made === null) throw new Error('could mount a moment ago')
  mounted = made
}
afterEach(async () => {
  if (!possible) return
  await mounted.close()
  await world.close()
})

/** Runs a shell script as the agent in the mount. The script changes into it itself: with `cwd` the spawning thread, which is the server's, would wait for its own answer. */
function agent(script: string): Promise<{ code: number | null; out: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn('/bin/bash', ['-c', `exec 2>&1 && cd "$MOUNT" && ${script}`], {
      uid: 1000,
      gid: 1000,
      env: { MOUNT: mounted.point, PATH: '/usr/bin:/bin', HOME: '/nonexistent', LC_ALL: 'C' },
    })
    let out = ''
    child.stdout.on('data', (data) => (out += data))
    child.stderr.on('data', (data) => (out += data))
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, out }))
  })
}

const FALLOCATE = `import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def fallocate(fd, mode, at, length):
    if libc.fallocate(fd, mode, ctypes.c_long(at), ctypes.c_long(length)) != 0: return errno.errorcode[ctypes.get_errno()]
    return 'ok'
`

describe.skipIf(!possible)('a real kernel as the guest', () => {
  it('reads, writes, lists, renames, links, truncates, syncs and removes as on a plain folder', async () => {
    await start()
    const { code, out } = await agent(`set -e
      mkdir -p a/b; echo hello > a/b/f; cat a/b/f; echo more >> a/b/f; wc -l < a/b/f
      mv a/b/f a/g; ls -A a; stat -c '%U %u %g %a' a/g 2>/dev/null | cut -d' ' -f2-
      ln -s g a/s; cat a/s; readlink a/s; ln a/g a/h; stat -c %h a/g; rm a/h
      truncate -s 3 a/g; cat a/g; echo; touch -d @1500000000 a/g; stat -c %Y a/g; chmod 600 a/g; stat -c %a a/g
      sync a/g; dd if=/dev/zero of=big bs=1M count=3 conv=fsync status=none; stat -c %s big; cmp -n 3145728 big /dev/zero && echo same
      rm -r a; ls; df . >/dev/null; rmdir nothing 2>&1 || true`)
    expect(out).toBe(
      "hello\n2\nb\ng\n1000 1000 644\nhello\nmore\ng\n2\nhel\n1500000000\n600\n3145728\nsame\nbig\nrmdir: failed to remove 'nothing': No such file or directory\n",
    )
    expect(code).toBe(0)
    expect(fs.readdirSync(world.inside)).toEqual(['big'])
  })

  it('what the policy denies is EACCES, also under a folder that is allowed', async () => {
    await start({ allow: (q) => !q.object.includes('secret') && (q.action !== 'fs.write' || q.object.startsWith('/work/out')) })
    fs.mkdirSync(path.join(world.inside, 'out'), { mode: 0o777 })
    fs.chmodSync(path.join(world.inside, 'out'), 0o777)
    for (const name of ['secret', 'plain']) fs.writeFileSync(path.join(world.inside, name), name)
    const { out } = await agent('cat secret plain; echo; echo x > new; echo y > out/new; cat out/new; ls -l | wc -l; mv plain out/')
    expect(out).toContain('cat: secret: Permission denied\nplain')
    expect(out).toContain('new: Permission denied')
    expect(out).toContain('y\n')
    expect(out).toContain("cannot move 'plain'")
    expect(fs.readdirSync(world.inside).sort()).toEqual(['out', 'plain', 'secret'])
  })

  it('an open file without a name keeps its contents, attributes and length', async () => {
    await start()
    const { out } = await agent(`python3 -c "
import os
f = open('t', 'w+b'); f.write(b'abc'); f.flush(); os.unlink('t')
print(os.fstat(f.fileno()).st_size, os.fstat(f.fileno()).st_nlink); f.truncate(1); f.seek(0); print(f.read()); os.fsync(f.fileno())
import mmap
g = open('m', 'w+b'); g.truncate(8192); m = mmap.mmap(g.fileno(), 8192); m[4096:4099] = b'xyz'; m.flush(); print(open('m','rb').read()[4096:4099])
import fcntl; fcntl.flock(g, fcntl.LOCK_EX); fcntl.lockf(g, fcntl.LOCK_EX); print('locked')
"`)
    expect(out).toBe("3 0\nb'a'\nb'xyz'\nlocked\n")
    expect(world.gate.closes.length).toBeGreaterThanOrEqual(2)
  })

  it('holes, room, copies inside the kernel, appending beside a mapping, and what is not there is said so', async () => {
    await start()
    const { out } = await agent(`python3 -c "
import os, mmap, errno
f = os.open('s', os.O_RDWR | os.O_CREAT)
os.pwrite(f, b'x' * 4096, 1 << 20)
print(os.lseek(f, 0, os.SEEK_DATA), os.lseek(f, 1 << 20, os.SEEK_HOLE), os.lseek(f, 0, os.SEEK_HOLE))
try: os.lseek(f, 1 << 21, os.SEEK_DATA)
except OSError as e: print(errno.errorcode[e.errno])
os.posix_fallocate(f, 0, 2 << 20); print(os.fstat(f).st_size, os.fstat(f).st_blocks >= 4096)
g = os.open('copy', os.O_RDWR | os.O_CREAT)
n = 0
while True:
    got = os.copy_file_range(f, g, 3 << 20)
    if got == 0: break
    n += got
print(n, open('copy', 'rb').read() == open('s', 'rb').read())
def name(work):
    try: return work()
    except OSError as e: return errno.errorcode[e.errno]
print(name(lambda: os.getxattr('s', 'user.a')), name(lambda: os.setxattr('s', 'user.a', b'1')), name(lambda: os.listxattr('s')))
print(name(lambda: os.open('.', os.O_TMPFILE | os.O_RDWR)))
a = os.open('app', os.O_RDWR | os.O_CREAT | os.O_APPEND)
os.write(a, b'a' * 8192)
m = mmap.mmap(a, 8192); m[0:3] = b'map'; m.flush(); m.close()
os.write(a, b'end'); print(os.fstat(a).st_size, open('app', 'rb').read()[:4], open('app', 'rb').read()[-3:])
${FALLOCATE}h = os.open('h', os.O_RDWR | os.O_CREAT); os.pwrite(h, b'x' * 65536, 0); os.pread(h, 65536, 0)
print(fallocate(h, 3, 4096, 8192), fallocate(h, 8, 0, 4096), fallocate(h, 2, 0, 4096))
print(os.pread(h, 65536, 0) == b'x' * 4096 + bytes(8192) + b'x' * 53248, os.fstat(h).st_size, os.lseek(h, 0, os.SEEK_HOLE), os.lseek(h, 4096, os.SEEK_DATA))
print(fallocate(os.open('h', os.O_RDONLY), 3, 0, 4096))
os.utime('s'); print(abs(os.stat('s').st_mtime - __import__('time').time()) < 60)
"`)
    expect(out).toBe(
      "1048576 1052672 0\nENXIO\n2097152 True\n2097152 True\nENOTSUP ENOTSUP ENOTSUP\nENOTSUP\n8195 b'mapa' b'end'\nok ENOTSUP ENOTSUP\nTrue 65536 4096 12288\nEBADF\nTrue\n",
    )
    await mounted.close()
    expect(world.gate.closes).toContainEqual(expect.objectContaining({ cleared: 8192, written: { bytes: 65_536, sha256: null } }))
  })

  it('zeroing a range gives what the host file system gives for it', async () => {
    await start()
    const zero = `import os, errno
${FALLOCATE}
f = os.open('z', os.O_RDWR | os.O_CREAT | os.O_TRUNC); os.pwrite(f, b'x' * 65536, 0); os.pread(f, 65536, 0)
print(fallocate(f, 0x10, 32768, 4096), fallocate(f, 0x11, 65536, 4096), os.fstat(f).st_size, os.pread(f, 65536, 0).count(0))`
    const onTheHost = spawnSync('python3', ['-c', zero], { cwd: world.inside, encoding: 'utf8' }).stdout
    expect(onTheHost).toMatch(/^(ok ok 65536 4096|ENOTSUP ENOTSUP 65536 0)$/m)
    fs.rmSync(path.join(world.inside, 'z'))
    expect((await agent(`python3 -c "${zero}"`)).out).toBe(onTheHost)
    await mounted.close()
    const cleared = onTheHost.startsWith('ok') ? { cleared: 8192 } : {}
    expect(world.gate.closes).toContainEqual(expect.objectContaining({ ...cleared, written: expect.objectContaining({ bytes: 65_536 }) }))
  })

  it('git works: init, commit, log, gc, clone, fsck', async () => {
    await start()
    const { out, code } =
      await agent(`set -e; export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b GIT_CONFIG_GLOBAL=/dev/null
      command -v git >/dev/null || { echo 2; exit 0; }
      git init -q r; cd r; seq 200 > f; git add f; git commit -qm one; seq 300 > f; git commit -qam two; git gc -q; git fsck --strict >/dev/null 2>&1
      cd ..; git clone -q r c; cd c; git log --oneline | wc -l`)
    expect(out.trim()).toBe('2')
    expect(code).toBe(0)
  })

  it('a tree larger than the descriptors kept is walked, and found again after a rename', async () => {
    await start({}, { descriptors: 64 })
    for (let i = 0; i < 300; i++) {
      fs.mkdirSync(path.join(world.inside, `d${i % 20}`), { recursive: true })
      fs.writeFileSync(path.join(world.inside, `d${i % 20}`, `f${i}`), String(i))
    }
    fs.chmodSync(path.join(world.inside, 'd3'), 0o777)
    const { out } = await agent(
      'find . -type f | wc -l; cat d*/f* | wc -c; mv d3/f3 d3/g; cat d3/g; find . -type f -exec cat {} + | wc -c; ls | wc -l',
    )
    expect(out.trim().split(/\s+/)).toEqual(['300', '790', '3790', '20'])
  })

  it('what a mount with cache=60s has told is not asked again: a second walk of 500 files asks nothing', async () => {
    await start({ mounts: ({ inside }) => [{ guest: '/work', host: inside, readonly: false, cacheSeconds: 60 }] })
    for (let i = 0; i < 500; i++) {
      fs.mkdirSync(path.join(world.inside, `d${i % 10}`), { recursive: true })
      fs.writeFileSync(path.join(world.inside, `d${i % 10}`, `f${i}`), '')
    }
    // -I: a Python that looks for modules where it stands would list the folder.
    const walk = `python3 -I -c "
import os
print(sum(os.lstat(f'd{i % 10}/f{i}').st_nlink + (not os.path.exists(f'd{i % 10}/none')) for i in range(500)))"`
    const looks = () => [OPCODE.LOOKUP, OPCODE.GETATTR].map((opcode) => mounted.asked.get(opcode) ?? 0).reduce((a, b) => a + b)
    expect((await agent(walk)).out).toBe('1000\n')
    const before = looks()
    expect(before).toBeGreaterThanOrEqual(520)
    expect((await agent(walk)).out).toBe('1000\n')
    expect(looks() - before).toBe(0)
  })

  it('a folder of 100,000 files is listed whole, and looked at without a question for each', async () => {
    await start({ mounts: ({ inside }) => [{ guest: '/work', host: inside, readonly: false, cacheSeconds: 60 }] })
    const files = 100_000
    fs.mkdirSync(path.join(world.inside, 'many'))
    for (let i = 0; i < files; i++) fs.closeSync(fs.openSync(path.join(world.inside, 'many', `file-${i}`), 'w'))
    const { out } = await agent(`python3 -c "
import os
names = os.listdir('many')
print(len(names), set(names) == {f'file-{i}' for i in range(${files})})
print(sum(entry.stat(follow_symlinks=False).st_nlink for entry in os.scandir('many')))"`)
    expect(out).toBe(`${files} True\n${files}\n`)
    const asked = [OPCODE.LOOKUP, OPCODE.GETATTR].map((opcode) => mounted.asked.get(opcode) ?? 0).reduce((a, b) => a + b)
    expect(asked).toBeLessThan(files / 100)
  }, 120_000)

  it('a change on the host is seen when what was told is a second old: length and contents, a name that went and one that came', async () => {
    await start()
    for (const name of ['grown', 'gone']) fs.writeFileSync(path.join(world.inside, name), 'before')
    const look = 'cat grown; stat -c %s grown; test -e gone && echo there; test -e came && echo come; true'
    // The agent keeps its shell: what it was told is in its kernel, not in a program.
    const seen = agent(`{ ${look}; } && mkdir told && sleep 1.1 && { ${look}; }`)
    while (!fs.existsSync(path.join(world.inside, 'told'))) await new Promise((resolve) => setImmediate(resolve))
    fs.writeFileSync(path.join(world.inside, 'grown'), 'after the change')
    fs.rmSync(path.join(world.inside, 'gone'))
    fs.writeFileSync(path.join(world.inside, 'came'), '')
    expect((await seen).out).toBe('before6\nthere\nafter the change16\ncome\n')
  })

  it('one name of a file removed or replaced: the other one tells at once', async () => {
    await start()
    const { out } = await agent('touch f g h; ln f f2; ln g g2; sleep 1.1; stat -c %h f f2 g g2; rm f; mv h g; stat -c %h f2 g2')
    expect(out).toBe('2\n2\n2\n2\n1\n1\n')
  })

  it('links out of the mount lead nowhere', async () => {
    await start()
    fs.symlinkSync(world.secret, path.join(world.inside, 'abs'))
    fs.symlinkSync('../out/secret.txt', path.join(world.inside, 'rel'))
    const { out } = await agent(
      'ln -s ../../x esc; ln -s /etc/passwd esc2; mknod dev c 1 3; mkfifo fifo; chmod u+s abs 2>&1; touch f; chmod 4755 f; chown 0 f; ls',
    )
    expect(out).not.toContain(SECRET)
    for (const word of ['esc', 'esc2', 'dev', 'fifo', 'changing permissions', 'changing ownership']) expect(out).toContain(word)
    expect(fs.readdirSync(world.inside).sort()).toEqual(['abs', 'f', 'rel'])
    expect(fs.statSync(path.join(world.inside, 'f')).mode & 0o7000).toBe(0)
  })
})
