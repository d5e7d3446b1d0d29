/** The folder around a mounted file, by a guest that asks it for anything. */
import fs from 'node:fs'
import path from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { makeWorld, type World } from '../testing/pipeline.ts'
import { fields, message, RawGuest } from '../testing/raw-fuse.ts'
import { FILE_NODE, MOUNTED_FILE } from './file-root.ts'
import { OPCODE } from './messages.ts'
import { ROOT_NODE } from './nodes.ts'

const ENOENT = 2
const EACCES = 13
const ESTALE = 116

let world: World
afterEach(() => world.close())

async function guest(): Promise<RawGuest> {
  world = makeWorld({
    mounts: ({ inside }) => {
      fs.writeFileSync(path.join(inside, 'notes'), 'text')
      return [{ guest: '/notes', host: path.join(inside, 'notes'), readonly: false }]
    },
  })
  const raw = new RawGuest(world)
  await raw.start()
  return raw
}

test('holds the one file, and tells nothing of it: its size and times come from its own node, asked for at once', async () => {
  const raw = await guest()
  const { errno, body } = await raw.ask(OPCODE.LOOKUP, ROOT_NODE, fields(MOUNTED_FILE))
  expect([errno, Number(body.readBigUInt64LE(0))]).toEqual([0, FILE_NODE])
  // Kept for no time, and without a size.
  expect([body.readBigUInt64LE(16), body.readBigUInt64LE(24), body.readBigUInt64LE(48)]).toEqual([0n, 0n, 0n])
  const looked = await raw.ask(OPCODE.GETATTR, FILE_NODE, fields(0, 0, 0n))
  expect([looked.errno, Number(looked.body.readBigUInt64LE(24))]).toEqual([0, 4])
  await raw.server.close()
})

test('holds no other name, is not listed, and nothing is made, moved or removed in it', async () => {
  const raw = await guest()
  for (const name of ['notes', '.', '..', 'other']) expect((await raw.ask(OPCODE.LOOKUP, ROOT_NODE, fields(name))).errno).toBe(ENOENT)
  const refused: [number, Buffer][] = [
    [OPCODE.OPENDIR, fields(0, 0)],
    [OPCODE.MKDIR, fields(0o755, 0, 'd')],
    [OPCODE.CREATE, fields(1, 0o644, 0, 0, 'f')],
    [OPCODE.UNLINK, fields(MOUNTED_FILE)],
    [OPCODE.RENAME2, fields(BigInt(ROOT_NODE), 0, 0, MOUNTED_FILE, 'moved')],
    [OPCODE.LINK, fields(BigInt(FILE_NODE), 'second')],
    [OPCODE.SYMLINK, fields('s', '/etc')],
  ]
  for (const [opcode, body] of refused) expect([opcode, (await raw.ask(opcode, ROOT_NODE, body)).errno]).toEqual([opcode, EACCES])
  expect(fs.readdirSync(world.inside)).toEqual(['notes'])
  await raw.server.close()
})

test('other numbers stand for nothing, and the file stays when the guest forgets it more often than it was told', async () => {
  const raw = await guest()
  for (const node of [0, FILE_NODE + 1, 77]) expect((await raw.ask(OPCODE.GETATTR, node, fields(0, 0, 0n))).errno).toBe(ESTALE)
  raw.server.handle(0, message(OPCODE.FORGET, 0, FILE_NODE, fields(1_000_000n)))
  expect((await raw.ask(OPCODE.GETATTR, FILE_NODE, fields(0, 0, 0n))).errno).toBe(0)
  await raw.server.close()
})
