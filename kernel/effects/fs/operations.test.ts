import { createHash } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { AuthorityError, OPEN_FLAGS } from '@authority/protocol'
import { afterEach, describe, expect, it } from 'vitest'
import { makeWorld, refusal, type World, type WorldOptions } from './testing/pipeline.ts'
import { openingCharges } from './worst-case.ts'

const { READ, WRITE, CREATE, EXCLUSIVE, TRUNCATE, APPEND } = OPEN_FLAGS
let worlds: World[] = []
const world = (options?: WorldOptions): World => {
  const made = makeWorld(options)
  worlds.push(made)
  return made
}
afterEach(async () => {
  for (const w of worlds) await w.close()
  worlds = []
})
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const read = (w: World, name: string): string => fs.readFileSync(path.join(w.inside, name), 'utf8')

describe('reading and writing through the SDK path', () => {
  it('creates, writes, reads back, syncs and closes with totals and a digest', async () => {
    const w = world()
    const [file, size] = await w.call('fs.open', '/work/a.txt', WRITE | READ | CREATE, 0o640)
    expect(size).toBe(0)
    expect(await w.call('fs.write', file as number, 0, bytes('hello'))).toEqual([5])
    expect(await w.call('fs.fsync', file as number)).toEqual([])
    const [data] = await w.call('fs.read', file as number, 1, 100)
    expect(Buffer.from(data as Uint8Array).toString()).toBe('ello')
    await w.call('fs.close', file as number)
    expect(read(w, 'a.txt')).toBe('hello')
    expect(fs.statSync(path.join(w.inside, 'a.txt')).mode & 0o7777).toBe(0o640)
    expect(w.gate.closes).toEqual([
      {
        read: { bytes: 4, sha256: null },
        written: { bytes: 5, sha256: '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824' },
      },
    ])
    expect((await refusal(w.call('fs.read', file as number, 0, 1))).code).toBe('E_CAP_INVALID')
  })

  it('the digest is of every byte written in order, hashed in a later turn or at the close; written out of order there is none', async () => {
    const w = world()
    const parts = [bytes('one'), new Uint8Array(70_000).fill(7), bytes('three')]
    const sha256 = createHash('sha256').update(Buffer.concat(parts)).digest('hex')
    const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
    for (const between of [turn, () => Promise.resolve()]) {
      const [file] = await w.call('fs.open', '/work/a.txt', WRITE | CREATE | TRUNCATE, 0o640)
      let at = 0
      for (const part of parts) {
        await w.call('fs.write', file as number, at, part)
        at += part.length
        await between()
      }
      await w.call('fs.close', file as number)
      expect(w.gate.closes.pop()).toEqual({ written: { bytes: at, sha256 } })
    }
    const [file] = await w.call('fs.open', '/work/a.txt', WRITE, 0)
    for (const [at, part] of [
      [0, 'ab'],
      [1, 'b'],
      [3, 'd'],
    ] as const)
      await w.call('fs.write', file as number, at, bytes(part))
    await w.call('fs.close', file as number)
    expect(w.gate.closes.pop()).toEqual({ written: { bytes: 4, sha256: null } })
  })

  it('a file whose permission is taken away is closed on the host at once, and everything on its handle says why', async () => {
    const w = world()
    const [number] = await w.call('fs.open', '/work/a.txt', WRITE | READ | CREATE, 0o640)
    const file = number as number
    await w.call('fs.write', file, 0, bytes('hello'))
    const open = (): number => fs.readdirSync('/proc/self/fd').length
    const before = open()
    for (const end of w.gate.withdraw) end(new AuthorityError('E_POLICY_DENY', 'not any more', { errno: 'EACCES' }))
    await Promise.resolve()
    expect([open(), w.gate.closes.length]).toEqual([before - 1, 1])
    for (const attempt of [w.call('fs.read', file, 0, 1), w.call('fs.write', file, 0, bytes('x')), w.call('fs.fsync', file)])
      expect(await refusal(attempt)).toMatchObject({ code: 'E_POLICY_DENY', errno: 'EACCES' })
    expect(await w.call('fs.close', file)).toEqual([])
    expect(read(w, 'a.txt')).toBe('hello')
  })

  it('asks fs.read for READ and fs.write for everything else, of the requested and of the canonical path', async () => {
    const w = world()
    fs.mkdirSync(path.join(w.inside, 'd'))
    fs.writeFileSync(path.join(w.inside, 'd/real'), 'x')
    fs.symlinkSync('d/real', path.join(w.inside, 'link'))
    await w.call('fs.open', '/work/link', READ, 0)
    expect(w.gate.asked).toEqual([
      { action: 'fs.read', object: '/work/link' },
      { action: 'fs.read', object: '/work/d/real' },
    ])
    w.gate.asked.length = 0
    await w.call('fs.open', '/work/d/real', READ | WRITE | TRUNCATE, 0)
    expect(w.gate.asked.map((q) => q.action)).toEqual(['fs.read', 'fs.write', 'fs.read', 'fs.write'])
    expect((await refusal(w.call('fs.open', '/work/d/real', TRUNCATE | READ, 0))).errno).toBe('EINVAL')
    expect((await refusal(w.call('fs.open', '/work/d/real', CREATE | EXCLUSIVE | WRITE, 0o600))).code).toBe('E_EXISTS')
  })

  it('a mount point may be looked at without a rule; nothing below it, and it is not listed', async () => {
    const w = world({ allow: () => false })
    expect((await w.call('fs.stat', '/work'))[0]).toBe('directory')
    expect((await refusal(w.call('fs.stat', '/work/a'))).code).toBe('E_POLICY_DENY')
    expect((await refusal(w.call('fs.readdir', '/work', 0, 10))).code).toBe('E_POLICY_DENY')
  })

  it('a denied path is denied alike whether it exists or not, and nothing was looked at', async () => {
    const w = world({ allow: (q) => !q.object.startsWith('/work/no') })
    fs.writeFileSync(path.join(w.inside, 'no-there'), 'x')
    const [there, absent] = [await refusal(w.call('fs.stat', '/work/no-there')), await refusal(w.call('fs.stat', '/work/no-absent'))]
    expect([there.code, there.errno]).toEqual([absent.code, absent.errno])
    expect(w.gate.objects).toEqual([])
  })

  it('APPEND writes at the end whatever the offset says, and budget stops the bytes before they move', async () => {
    const w = world()
    fs.writeFileSync(path.join(w.inside, 'log'), '1')
    const [file] = await w.call('fs.open', '/work/log', WRITE | APPEND, 0)
    await w.call('fs.write', file as number, 0, bytes('2'))
    w.gate.limit = w.gate.spent + 2
    expect((await refusal(w.call('fs.write', file as number, 0, bytes('345')))).code).toBe('E_BUDGET_EXCEEDED')
    await w.call('fs.write', file as number, 0, bytes('34'))
    expect(read(w, 'log')).toBe('1234')
  })

  it('looks, lists in pages, and makes, renames and removes names', async () => {
    const w = world()
    await w.call('fs.mkdir', '/work/dir', 0o755)
    for (const name of ['a', 'b', 'c']) fs.writeFileSync(path.join(w.inside, 'dir', name), name)
    const names: string[] = []
    for (let cursor = 0, first = true; first || cursor !== 0; first = false) {
      const [entries, next] = (await w.call('fs.readdir', '/work/dir', cursor, 2)) as unknown as [[string, string][], number]
      names.push(...entries.map(([name]) => name))
      cursor = next
    }
    expect(names.sort()).toEqual(['a', 'b', 'c'])
    expect((await w.call('fs.stat', '/work/dir/a')).slice(0, 2)).toEqual(['file', 1])
    await w.call('fs.rename', '/work/dir/a', '/work/dir/b', 0)
    expect((await refusal(w.call('fs.rename', '/work/dir/b', '/work/dir/c', 1))).errno).toBe('EEXIST')
    await w.call('fs.rename', '/work/dir/b', '/work/dir/c', 2)
    expect(read(w, 'dir/c')).toBe('a')
    expect((await refusal(w.call('fs.rmdir', '/work/dir'))).errno).toBe('ENOTEMPTY')
    for (const name of ['b', 'c']) await w.call('fs.unlink', `/work/dir/${name}`)
    await w.call('fs.fsyncdir', '/work/dir')
    await w.call('fs.rmdir', '/work/dir')
    expect((await refusal(w.call('fs.stat', '/work/dir'))).code).toBe('E_NOT_FOUND')
  })

  it('truncates, sets modes and times, links and reads links inside the mount', async () => {
    const w = world()
    const file = path.join(w.inside, 'f')
    fs.writeFileSync(file, '12345')
    await w.call('fs.truncate', '/work/f', 2)
    await w.call('fs.chmod', '/work/f', 0o600)
    await w.call('fs.utimens', '/work/f', null, 1_500_000_000_123_456)
    expect([read(w, 'f'), fs.statSync(file).mode & 0o7777, fs.statSync(file).mtimeMs]).toEqual(['12', 0o600, 1_500_000_000_123.456])
    await w.call('fs.symlink', '/work/l', './f')
    expect(await w.call('fs.readlink', '/work/l')).toEqual(['./f'])
    await w.call('fs.link', '/work/f', '/work/g')
    expect(fs.statSync(file).nlink).toBe(2)
  })

  it('a directory is renamed with everything below it decided, under old and new names', async () => {
    const w = world({ allow: (q) => q.object !== '/work/.git/hooks/pre-commit' })
    fs.mkdirSync(path.join(w.inside, 'x/hooks'), { recursive: true })
    await w.call('fs.rename', '/work/x', '/work/y', 0)
    fs.writeFileSync(path.join(w.inside, 'y/hooks/pre-commit'), '#!/bin/sh')
    expect((await refusal(w.call('fs.rename', '/work/y', '/work/.git', 0))).code).toBe('E_POLICY_DENY')
    expect(fs.existsSync(path.join(w.inside, '.git'))).toBe(false)
  })

  it('a lease never takes all of a small budget', () => {
    expect(openingCharges(true, true, 1 << 30, () => 1_000_000)).toEqual({ bytes: 250_000, bytes_in: 250_000, bytes_written: 250_000 })
    expect(openingCharges(true, false, 10, () => 0)).toEqual({ bytes: 0, bytes_in: 0 })
    expect(openingCharges(true, false, 10, () => Number.POSITIVE_INFINITY)).toEqual({ bytes: 65_536, bytes_in: 65_536 })
  })
})
