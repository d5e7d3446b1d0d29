/** The SDK's file operations: from checked wire arguments to the effects of execute/. FUSE has its own translation in fuse/. */
import { MAX_CHUNK_BYTES, OPEN_FLAGS, type WireValue } from '@authority/protocol'
import type { BytesOperation, EffectClass, EffectSession, PreparedEffect } from '../contract.ts'
import { chmod, truncate, utimens } from './execute/attributes.ts'
import { fsyncdir, readdir, readlink, stat } from './execute/look.ts'
import { link, mkdir, rmdir, symlink, unlink } from './execute/names.ts'
import { openName, openObject } from './execute/open.ts'
import { rename } from './execute/rename.ts'
import type { FileHandle } from './handle.ts'
import type { FsContext } from './object.ts'
import { writes } from './object.ts'
import { nameAt, objectAt } from './refs.ts'
import type { TimeChange } from './syscalls.ts'

/** Arguments were checked against the operations table: these only tell the compiler. */
const text = (value: WireValue | undefined): string => value as string
const uint = (value: WireValue | undefined): number => value as number
const bytes = (value: WireValue | undefined): Uint8Array => value as Uint8Array
const time = (value: WireValue | undefined): TimeChange =>
  value === null || value === undefined ? 'keep' : { s: Math.floor(uint(value) / 1e6), ns: (uint(value) % 1e6) * 1000 }

export function fileClasses(context: FsContext): EffectClass[] {
  const of = (
    operation: EffectClass['operation'],
    prepare: (args: readonly WireValue[], session: EffectSession) => PreparedEffect,
  ): EffectClass => ({ operation, prepare })
  return [
    of('fs.open', (args, session) => open(context, text(args[0]), uint(args[1]), uint(args[2]), session)),
    of('fs.stat', (args) => stat(context, objectAt(context, text(args[0]), false))),
    of('fs.readdir', (args) => readdir(context, objectAt(context, text(args[0]), true), uint(args[1]), uint(args[2]))),
    of('fs.readlink', (args) => readlink(context, objectAt(context, text(args[0]), false))),
    of('fs.fsyncdir', (args) => fsyncdir(context, objectAt(context, text(args[0]), true))),
    of('fs.mkdir', (args) => mkdir(context, nameAt(context, text(args[0])), uint(args[1]))),
    of('fs.rmdir', (args) => rmdir(context, nameAt(context, text(args[0])))),
    of('fs.unlink', (args) => unlink(context, nameAt(context, text(args[0])))),
    of('fs.rename', (args) => rename(context, nameAt(context, text(args[0])), nameAt(context, text(args[1])), uint(args[2]))),
    of('fs.symlink', (args) => symlink(context, nameAt(context, text(args[0])), text(args[1]))),
    of('fs.link', (args) => link(context, objectAt(context, text(args[0]), false), nameAt(context, text(args[1])))),
    of('fs.truncate', (args) => truncate(context, objectAt(context, text(args[0]), false), uint(args[1]))),
    of('fs.chmod', (args) => chmod(context, objectAt(context, text(args[0]), false), uint(args[1]))),
    of('fs.utimens', (args) => utimens(context, objectAt(context, text(args[0]), false), time(args[1]), time(args[2]))),
  ]
}

function open(context: FsContext, path: string, flags: number, mode: number, session: EffectSession): PreparedEffect {
  const keep = (handle: FileHandle): number => session.hold(handle)
  const request = { flags, mode, keep }
  const object = objectAt(context, path, !writes(flags))
  // A mounted file is there already, and the name it is mounted at is nobody's to make.
  const creates = (flags & OPEN_FLAGS.CREATE) !== 0 && !context.mounts.isFile(object.object)
  return creates ? openName(context, nameAt(context, path), request) : openObject(context, object, request)
}

export function fileBytes(): BytesOperation[] {
  const file = (args: readonly WireValue[], session: EffectSession): FileHandle => session.held<FileHandle>(uint(args[0]), 'fs.file')
  return [
    {
      operation: 'fs.read',
      perform: async (args, session) => {
        const into = Buffer.allocUnsafeSlow(Math.min(uint(args[2]), MAX_CHUNK_BYTES))
        return [into.subarray(0, await file(args, session).read(into, 0, into.byteLength, uint(args[1])))]
      },
    },
    { operation: 'fs.write', perform: async (args, session) => [await file(args, session).write(bytes(args[2]), uint(args[1]))] },
    {
      operation: 'fs.fsync',
      perform: async (args, session) => {
        await file(args, session).fsync(false)
        return []
      },
    },
    {
      operation: 'fs.close',
      perform: async (args, session) => {
        const handle = file(args, session)
        session.drop(uint(args[0]))
        await handle.close()
        return []
      },
    },
  ]
}
