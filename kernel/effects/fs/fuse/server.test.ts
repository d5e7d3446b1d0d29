import fs from 'node:fs'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ERRNO } from '../errno.ts'
import { makeWorld, SECRET, type World, type WorldOptions } from '../testing/pipeline.ts'
import { corpus, fields, fuzzServer, INIT, message, RawGuest, random, spoil } from '../testing/raw-fuse.ts'
import { OPCODE } from './messages.ts'
import { isMalformed, parseFuse } from './protocol.ts'

let world: World
let guest: RawGuest
async function start(options: WorldOptions = {}, limits = {}): Promise<void> {
  world = makeWorld(options)
  guest = new RawGuest(world, limits)
  await guest.start()
}
beforeEach(() => start())
afterEach(async () => {
  await guest.server.close()
  expect(fs.readFileSync(world.secret, 'utf8')).toBe(SECRET)
  await world.close()
})
const host = (...parts: string[]): string => path.join(world.inside, ...parts)
const lookup = (name: string, node: number | bigint = 1) => guest.ask(OPCODE.LOOKUP, node, fields(name))
const openCount = (): number => fs.readdirSync('/proc/self/fd').length

describe('parser', () => {
  it('takes every well-formed message, and no shortened, lengthened or wrongly sized one', () => {
    for (const good of corpus()) {
      const parsed = parseFuse(good)
      expect(isMalformed(parsed), `opcode ${good.readUInt32LE(4)}`).toBe(false)
      for (let cut = 0; cut < good.length; cut++) {
        const short = Buffer.from(good.subarray(0, cut))
        if (cut >= 4) short.writeUInt32LE(cut, 0)
        // INIT has grown at its end over the versions; a cut within the first form is still refused.
        expect(isMalformed(parseFuse(short))).toBe(true)
      }
      if (good.readUInt32LE(4) === OPCODE.INIT) continue
      const long = Buffer.concat([good, Buffer.from([0])])
      long.writeUInt32LE(long.length, 0)
      expect(isMalformed(parseFuse(long))).toBe(true)
      expect(isMalformed(parseFuse(Buffer.concat([good, Buffer.from([0])])))).toBe(true)
    }
  })

  it('never throws on spoiled messages', () => {
    const next = random(7)
    const messages = corpus()
    for (let i = 0; i < 5000; i++) parseFuse(spoil(messages[i % messages.length] ?? INIT, next))
  })

  it('names that are not UTF-8 are EILSEQ, unknown operations ENOSYS', () => {
    expect(parseFuse(message(OPCODE.LOOKUP, 5, 1, Buffer.from([0xff, 0xfe, 0])))).toEqual({ unique: 5n, errno: 'EILSEQ' })
    for (const opcode of [21, 22, 23, 24, 39, 40, 48, 49, 50, 51, 4096])
      expect(parseFuse(message(opcode, 5, 1))).toEqual({ unique: 5n, errno: 'ENOSYS' })
  })
})

describe('the bound on staleness', () => {
  it.each([
    [undefined, 1n],
    [60, 60n],
  ])(
    'a mount with cache=%s: every answer may be kept that long and no longer, and an opening is always asked',
    async (cacheSeconds, seconds) => {
      const other = makeWorld({
        mounts: ({ inside }) => [
          { guest: '/work', host: inside, readonly: false, ...(cacheSeconds === undefined ? {} : { cacheSeconds }) },
        ],
      })
      try {
        fs.writeFileSync(path.join(other.inside, 'f'), 'text')
        const guest = new RawGuest(other)
        await guest.start()
        const u64 = async (at: number[], ...ask: Parameters<RawGuest['ask']>): Promise<bigint[]> => {
          const { body, errno } = await guest.ask(...ask)
          expect(errno).toBe(0)
          return at.map((one) => body.readBigUInt64LE(one))
        }
        const entry = [16, 24]
        const [node = 0n] = await u64([0], OPCODE.LOOKUP, 1, fields('f'))
        const [dir = 0n] = await u64([0], OPCODE.OPENDIR, 1, fields(0, 0))
        const kept = [
          ...(await u64(entry, OPCODE.LOOKUP, 1, fields('f'))),
          ...(await u64([16], OPCODE.LOOKUP, 1, fields('none'))),
          ...(await u64([0], OPCODE.GETATTR, node, fields(0, 0, 0n))),
          ...(await u64([0], OPCODE.SETATTR, node, fields(8, 0, 0n, 2n, 0n, 0n, 0n, 0n, 0, 0, 0, 0, 0, 0, 0, 0))),
          ...(await u64(entry, OPCODE.CREATE, 1, fields(0o102, 0o644, 0, 0, 'made'))),
          ...(await u64(entry, OPCODE.MKNOD, 1, fields(0o100644, 0, 0, 0, 'node'))),
          ...(await u64(entry, OPCODE.MKDIR, 1, fields(0o755, 0, 'dir'))),
          ...(await u64(entry, OPCODE.SYMLINK, 1, fields('link', 'f'))),
          ...(await u64(entry, OPCODE.LINK, 1, fields(node, 'second'))),
        ]
        expect(new Set(kept)).toEqual(new Set([seconds]))
        const { body } = await guest.ask(OPCODE.READDIRPLUS, 1, fields(dir, 0n, 4096, 0, 0n, 0, 0))
        for (let at = 0; at < body.length; ) {
          const name = body.readUInt32LE(at + 128 + 16)
          // Of `.` and `..` nothing is told but the name.
          if (body.readBigUInt64LE(at) !== 0n)
            expect([body.readBigUInt64LE(at + 16), body.readBigUInt64LE(at + 24)]).toEqual([seconds, seconds])
          at += 128 + ((24 + name + 7) & ~7)
        }
        const opened = other.gate.objects.length
        for (let i = 0; i < 2; i++) await guest.ask(OPCODE.OPEN, node, fields(0, 0))
        expect(other.gate.objects.slice(opened)).toEqual(['fs.open /work/f', 'fs.open /work/f'])
        await guest.server.close()
      } finally {
        await other.close()
      }
    },
  )
})

describe('a hostile guest', () => {
  it('nothing is answered before INIT, and not two INITs', async () => {
    const fresh = new RawGuest(world)
    expect((await fresh.ask(OPCODE.GETATTR, 1, fields(0, 0, 0n))).errno).toBe(ERRNO.EIO)
    await fresh.start()
    fresh.answers.clear()
    fresh.server.handle(0, INIT)
    expect(fresh.answers.get(1n)?.errno).toBe(ERRNO.EIO)
    await fresh.server.close()
  })

  it('forged nodes, handles and mounts reach nothing', async () => {
    for (const node of [0, 2, 99, 1n << 53n, 0xffffffffffffffffn]) expect((await lookup('x', node)).errno).toBe(ERRNO.ESTALE)
    for (const handle of [0n, 1n, 7n, 0xffffffffffffffffn]) {
      expect((await guest.ask(OPCODE.READ, 1, fields(handle, 0n, 10, 0, 0n, 0, 0))).errno).toBe(ERRNO.EBADF)
      expect((await guest.ask(OPCODE.RELEASE, 1, fields(handle, 0, 0, 0n))).errno).toBe(ERRNO.EBADF)
    }
    guest.server.handle(9, message(OPCODE.LOOKUP, 77, 1, fields('x')))
    expect(guest.answers.has(77n)).toBe(false)
  })

  it('names that walk: `..`, `.`, a slash, the empty name', async () => {
    fs.mkdirSync(host('d'))
    for (const name of ['..', '.', '', '../out/secret.txt', '/etc/passwd', 'd/../../out', 'a\nb'])
      expect((await lookup(name)).errno).toBe(ERRNO.EINVAL)
    expect((await guest.ask(OPCODE.MKDIR, 1, fields(0o755, 0, '../x'))).errno).toBe(ERRNO.EINVAL)
    expect((await guest.ask(OPCODE.RENAME, 1, fields(1n, 'd', '../out/d'))).errno).toBe(ERRNO.EINVAL)
    expect((await lookup('x'.repeat(300))).errno).toBe(ERRNO.ENAMETOOLONG)
  })

  it('a link to the outside is a node that can be read as a link and never opened', async () => {
    fs.symlinkSync(world.secret, host('l'))
    const node = (await lookup('l')).body.readBigUInt64LE(0)
    expect((await guest.ask(OPCODE.OPEN, node, fields(0, 0))).errno).toBe(ERRNO.ELOOP)
    expect((await lookup('secret.txt', node)).errno).toBe(ERRNO.ENOTDIR)
    expect((await guest.ask(OPCODE.SETATTR, node, fields(8, 0, 0n, 0n, 0n, 0n, 0n, 0n, 0, 0, 0, 0, 0, 0, 0, 0))).errno).toBe(ERRNO.EINVAL)
  })

  it('a file replaced between lookup and open: the node is what was looked up, never what has its name', async () => {
    fs.writeFileSync(host('f'), 'mine')
    const node = (await lookup('f')).body.readBigUInt64LE(0)
    fs.renameSync(host('f'), host('g'))
    fs.symlinkSync(world.secret, host('f'))
    const opened = await guest.ask(OPCODE.OPEN, node, fields(0, 0))
    const read = await guest.ask(OPCODE.READ, node, fields(opened.body.readBigUInt64LE(0), 0n, 100, 0, 0n, 0, 0))
    expect(read.body.toString()).toBe('mine')
    expect(world.gate.objects.at(-1)).toBe('fs.open /work/g')
  })

  it('the guest is told to flush at close(2) what may have been written, and nothing else', async () => {
    fs.writeFileSync(host('f'), 'mine')
    const node = (await lookup('f')).body.readBigUInt64LE(0)
    const flagsOf = async (flags: number): Promise<number> => (await guest.ask(OPCODE.OPEN, node, fields(flags, 0))).body.readUInt32LE(8)
    const noFlush = 1 << 5
    expect((await flagsOf(fs.constants.O_RDONLY)) & noFlush).toBe(noFlush)
    for (const flags of [fs.constants.O_WRONLY, fs.constants.O_RDWR, fs.constants.O_RDONLY | fs.constants.O_TRUNC])
      expect((await flagsOf(flags)) & noFlush).toBe(0)
  })

  it('a node whose descriptor was given up is never another file that took its name', async () => {
    await guest.server.close()
    guest = new RawGuest(world, { descriptors: 1 })
    await guest.start()
    for (const name of ['a', 'b', 'c']) fs.writeFileSync(host(name), name)
    const a = (await lookup('a')).body.readBigUInt64LE(0)
    await lookup('b')
    expect((await guest.ask(OPCODE.OPEN, a, fields(0, 0))).errno).toBe(0)
    const c = (await lookup('c')).body.readBigUInt64LE(0)
    await lookup('b')
    fs.writeFileSync(host('other'), 'other')
    fs.renameSync(host('other'), host('c'))
    expect((await guest.ask(OPCODE.OPEN, c, fields(0, 0))).errno).toBe(ERRNO.ESTALE)
  })

  it('descriptors, nodes, handles and requests under way are bounded', async () => {
    await guest.server.close()
    guest = new RawGuest(world, { nodes: 50, descriptors: 10, handles: 5, inFlight: 20 })
    await guest.start()
    for (let i = 0; i < 100; i++) fs.writeFileSync(host(`f${i}`), '')
    const before = openCount()
    const errors = new Set<number>()
    for (let i = 0; i < 100; i++) errors.add((await lookup(`f${i}`)).errno)
    expect([...errors]).toEqual([0, ERRNO.ENFILE])
    expect(openCount() - before).toBeLessThanOrEqual(11)
    const opened = []
    for (let i = 0; i < 10; i++) opened.push((await guest.ask(OPCODE.OPENDIR, 1, fields(0, 0))).errno)
    expect(opened).toEqual([0, 0, 0, 0, 0, ERRNO.ENFILE, ERRNO.ENFILE, ERRNO.ENFILE, ERRNO.ENFILE, ERRNO.ENFILE])
    await guest.server.close()
    guest = new RawGuest(world, { inFlight: 20 })
    await guest.start()
    const flood = await Promise.all(Array.from({ length: 50 }, (_, i) => guest.ask(OPCODE.MKDIR, 1, fields(0o755, 0, `d${i}`))))
    expect(flood.filter((a) => a.errno === 0).length).toBe(20)
    expect(flood.filter((a) => a.errno === ERRNO.EAGAIN).length).toBe(30)
    for (let i = 0; i < 2000; i++) expect((await lookup(`none${i}`)).errno).toBe(0)
  })

  it('a million lookups forgotten at once, and more than were given, leave nothing', async () => {
    fs.writeFileSync(host('f'), '')
    const before = openCount()
    const node = (await lookup('f')).body.readBigUInt64LE(0)
    guest.server.handle(0, message(OPCODE.BATCH_FORGET, 0, 0, fields(2, 0, node, 0xffffffffffffffffn, 1n, 5n)))
    expect((await guest.ask(OPCODE.GETATTR, node, fields(0, 0, 0n))).errno).toBe(ERRNO.ESTALE)
    expect((await lookup('f')).errno).toBe(0)
    expect(openCount() - before).toBeLessThanOrEqual(1)
  })

  it('an open directory is listed no further than the present policy lets', async () => {
    fs.writeFileSync(host('f'), 'x')
    const handle = (await guest.ask(OPCODE.OPENDIR, 1, fields(0, 0))).body.readBigUInt64LE(0)
    const list = () => guest.ask(OPCODE.READDIR, 1, fields(handle, 0n, 4096, 0, 0n, 0, 0))
    expect((await list()).body.includes('f')).toBe(true)
    world.gate.allow = () => false
    const refused = await list()
    expect([refused.errno, refused.body.length]).toEqual([ERRNO.EACCES, 0])
  })

  it('unmounting under way: a change that was admitted keeps its own descriptors', async () => {
    fs.mkdirSync(host('d'))
    const node = (await lookup('d')).body.readBigUInt64LE(0)
    const before = openCount()
    const making = guest.ask(OPCODE.MKDIR, node, fields(0o755, 0, 'x'))
    expect((await guest.ask(OPCODE.DESTROY, 0)).errno).toBe(0)
    await making
    expect(fs.readdirSync(host())).toEqual(['d'])
    expect(fs.readdirSync(host('d'))).toEqual(['x'])
    expect(openCount()).toBeLessThan(before + 1)
  })

  it('an interrupted request that waits for the names of the mount ends with EINTR', async () => {
    const other = fs.openSync(world.inside, 'r')
    const { linuxSyscalls } = await import('../linux.ts')
    expect(linuxSyscalls().tryLock(other).ok).toBe(true)
    const waiting = guest.ask(OPCODE.MKDIR, 1, fields(0o755, 0, 'x'))
    guest.server.handle(0, message(OPCODE.INTERRUPT, 1, 0, fields(100n)))
    expect((await waiting).errno).toBe(ERRNO.EINTR)
    fs.closeSync(other)
    expect(fs.existsSync(host('x'))).toBe(false)
  })

  it.each([1, 2, 3])('spoiled messages, seed %i: no throw, nothing outside, nothing left open', async (seed) => {
    fs.writeFileSync(host('f'), 'f')
    fs.symlinkSync(world.secret, host('s'))
    const before = openCount()
    const { answered } = await fuzzServer(world, seed, 1500)
    expect(answered).toBeGreaterThan(100)
    expect(openCount()).toBeLessThanOrEqual(before)
  })

  it('a denied name is EACCES whether it exists or not', async () => {
    world.gate.allow = (q) => !q.object.startsWith('/work/no')
    fs.writeFileSync(host('no-there'), '')
    expect([(await lookup('no-there')).errno, (await lookup('no-absent')).errno, (await lookup('absent')).errno]).toEqual([
      ERRNO.EACCES,
      ERRNO.EACCES,
      0,
    ])
  })
})
