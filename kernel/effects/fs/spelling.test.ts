/** Names on a host file system that takes other spellings for the same: what the folder lists decides, however it is asked for. */
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { OPEN_FLAGS } from '@authority/protocol'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { policyFrom } from '../../policy/testing.ts'
import { ERRNO } from './errno.ts'
import { OPCODE } from './fuse/messages.ts'
import { openMounts } from './index.ts'
import { type ChildMount, mountByChild } from './testing/child-mount.ts'
import { makeWorld, refusal, type World } from './testing/pipeline.ts'
import { fields, RawGuest } from './testing/raw-fuse.ts'

const { READ, WRITE, CREATE } = OPEN_FLAGS
/** A folder on an ordinary file system, and the same through one that folds names. */
const plain = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'authority-spelling-')))
const folded: ChildMount | null = await mountByChild('folding-process', plain)
afterAll(async () => {
  await folded?.close()
  fs.rmSync(plain, { recursive: true })
})

let world: World
function start(rules: Record<string, unknown>): void {
  const policy = policyFrom({ fs: rules })
  world = makeWorld({
    allow: (question) => policy.decide(question).allow,
    mounts: () => [{ guest: '/src', host: folded?.point ?? plain, readonly: false }],
  })
}
const open = (name: string, flags: number): Promise<unknown> => world.call('fs.open', `/src/${name}`, flags, 0o600)
const denied = async (what: Promise<unknown>): Promise<string> =>
  what.then(
    () => 'it succeeded',
    () => refusal(what).then((error) => error.errno),
  )
const all = (): string[] => fs.readdirSync(plain, { recursive: true }).map(String).sort()

beforeEach(() => {
  for (const name of fs.readdirSync(plain)) fs.rmSync(path.join(plain, name), { recursive: true })
  for (const name of ['private', '.git/hooks', 'Straße']) fs.mkdirSync(path.join(plain, name), { recursive: true })
  for (const name of ['secret', 'asked', 'kept', 'README', 'private/key', 'é'.normalize('NFD'), 'mine'])
    fs.writeFileSync(path.join(plain, name), name)
})
afterEach(() => world.close())

describe.skipIf(folded === null)('a file system that folds names', () => {
  it('is one: the test says nothing otherwise', () => {
    start({ read: ['/src/**'] })
    for (const name of ['SECRET', 'secret.', 'se\u034fcret', 'PRIVATE/Key', 'É'])
      expect(fs.statSync(path.join(folded?.point ?? '', name)).isFile()).toBe(true)
  })

  it('what is denied, asked about or not allowed is reached by no other spelling, neither read nor written', async () => {
    start({
      read: ['/src/**'],
      write: ['/src/[A-Z]*', '/src/mine'],
      deny: { read: ['/src/secret', '/src/private/**', '/src/é'] },
      ask: { read: ['/src/asked'] },
    })
    const before = all().map((name) =>
      fs.statSync(path.join(plain, name)).isFile() ? fs.readFileSync(path.join(plain, name), 'utf8') : name,
    )
    for (const name of [
      'secret',
      'SECRET',
      'ſecret',
      'se\u034fcret',
      'secret.',
      'secret..',
      'PRIVATE/key',
      'private./KEY',
      'é',
      'É'.normalize('NFD'),
    ])
      expect(await denied(open(name, READ)), name).toBe('EACCES')
    for (const name of ['asked', 'ASKED', 'ask\u200ded', 'asked.', 'AsKeD. ']) expect(await denied(open(name, READ)), name).toBe('EACCES')
    for (const name of ['KEPT', 'Kept', 'KEPT.']) {
      expect(await denied(open(name, WRITE)), name).toBe('EACCES')
      expect(await denied(open(name, WRITE | CREATE)), name).toBe('EACCES')
      expect(await denied(world.call('fs.unlink', `/src/${name}`)), name).toBe('EACCES')
      expect(await denied(world.call('fs.truncate', `/src/${name}`, 0)), name).toBe('EACCES')
      expect(await denied(world.call('fs.rename', '/src/mine', `/src/${name}`, 0)), name).toBe('EACCES')
      expect(await denied(world.call('fs.rename', `/src/${name}`, '/src/mine', 0)), name).toBe('EACCES')
    }
    expect(
      all().map((name) => (fs.statSync(path.join(plain, name)).isFile() ? fs.readFileSync(path.join(plain, name), 'utf8') : name)),
    ).toEqual(before)
  })

  it('what is always denied stays so in every spelling, made anew, moved there or linked', async () => {
    start({ read: ['/src/**'], write: ['/src/**'] })
    const before = all()
    const names = [
      '.GIT/hooks/pre-commit',
      '.git./hooks/x',
      '.g\u034fit/HOOKS/x',
      '.git/\u200bhooks/x',
      '.git\u{e0020}/hooks/x',
      '.Envrc',
      '.ENVRC',
      '.envrc.',
      '.envrc ',
      '.en\ufeffvrc',
      '.BashRC',
      '.envrc::$DATA',
    ]
    for (const name of names) {
      expect(await denied(open(name, WRITE | CREATE)), name).toMatch(/EACCES|EINVAL/)
      expect(await denied(world.call('fs.rename', '/src/mine', `/src/${name}`, 0)), name).toMatch(/EACCES|EINVAL/)
      expect(await denied(world.call('fs.link', '/src/mine', `/src/${name}`)), name).toMatch(/EACCES|EINVAL/)
      expect(await denied(world.call('fs.symlink', `/src/${name}`, 'mine')), name).toMatch(/EACCES|EINVAL/)
    }
    expect(all()).toEqual(before)
  })

  it('the guest’s kernel is answered likewise: looked up by another spelling, decided by the one that is listed', async () => {
    start({ read: ['/src/**'], write: ['/src/[A-Z]*'], deny: { look: ['/src/private'] }, ask: { read: ['/src/asked'] } })
    const guest = new RawGuest(world)
    await guest.start()
    const lookup = async (name: string) => guest.ask(OPCODE.LOOKUP, 1, fields(name))
    for (const name of ['private', 'PRIVATE', 'private.']) expect((await lookup(name)).errno, name).toBe(ERRNO.EACCES)
    for (const [name, flags] of [
      ['ASKED', 0],
      ['KEPT', 1],
      ['kePt', 1],
    ] as const) {
      const { errno, body } = await lookup(name)
      expect(errno).toBe(0)
      expect((await guest.ask(OPCODE.OPEN, body.readBigUInt64LE(0), fields(flags, 0))).errno, name).toBe(ERRNO.EACCES)
    }
    for (const name of ['KEPT', 'KEPT.']) expect((await guest.ask(OPCODE.UNLINK, 1, fields(name))).errno, name).toBe(ERRNO.EACCES)
    expect((await guest.ask(OPCODE.CREATE, 1, fields(0o102, 0o644, 0, 0, 'KEPT'))).errno).toBe(ERRNO.EACCES)
    await guest.server.close()
  })

  it('what is allowed by both spellings works, and is recorded as it is listed', async () => {
    start({ read: ['/src/**'], write: ['/src/**'] })
    await open('readme', READ)
    await open('STRASSE/new', WRITE | CREATE)
    await world.call('fs.rename', '/src/MINE', '/src/Yours', 0)
    expect(world.gate.objects).toEqual(['fs.open /src/README', 'fs.open /src/Straße/new', 'fs.rename /src/mine -> /src/Yours'])
    expect(all().filter((name) => /yours|new/i.test(name))).toEqual(['Straße/new', 'Yours'])
  })
})

describe.skipIf(folded === null)('$AUTHORITY_HOME on a file system that folds names', () => {
  it.each([
    ['the folder', 'MINE'],
    ['one above it', 'ABOVE'],
    ['one in it', 'ABOVE/mine/RUNS'],
  ])('overlaps a mount by what they are: %s in another spelling', (_, name) => {
    start({ read: ['/src/**'] })
    const point = folded?.point ?? ''
    fs.mkdirSync(path.join(plain, 'above/mine/runs'), { recursive: true })
    const home = path.join(point, name === 'MINE' ? 'mine' : 'above/mine')
    if (name === 'MINE') fs.rmSync(path.join(plain, 'mine'))
    fs.mkdirSync(home, { recursive: true })
    const requests = [{ guest: '/src', host: path.join(point, name), readonly: false }]
    expect(() => openMounts(world.context.sys, requests, { home })).toThrow('overlaps $AUTHORITY_HOME')
  })
})

describe('an ordinary file system', () => {
  it('takes each name as it is, and is asked about a folder once', async () => {
    world = makeWorld()
    for (const name of ['a', 'A', 'a.', 'a\u200cb', 'GIT~1']) fs.writeFileSync(path.join(world.inside, name), name)
    for (const name of ['a', 'A', 'a.', 'a\u200cb', 'GIT~1']) await world.call('fs.open', `/work/${name}`, READ, 0)
    expect(world.gate.objects).toEqual(['a', 'A', 'a.', 'a\u200cb', 'GIT~1'].map((name) => `fs.open /work/${name}`))
  })
})
