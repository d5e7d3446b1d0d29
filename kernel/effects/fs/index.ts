/** Host mounts: the effects index of `fs.*`. */
import type { BytesOperation, EffectClass } from '../contract.ts'
import type { FsContext } from './object.ts'
import { fileBytes, fileClasses } from './operations.ts'

export type FsDependencies = FsContext

export interface FsEffects {
  readonly classes: EffectClass[]
  readonly bytes: BytesOperation[]
}

export function fsEffects(dependencies: FsDependencies): FsEffects {
  return { classes: fileClasses(dependencies), bytes: fileBytes() }
}

export { FuseServer, type FuseServerOptions, type HostChanges } from './fuse/server.ts'
export { linuxSyscalls } from './linux.ts'
export { followFolders } from './linux-inotify.ts'
export { type Mount, type MountOptions, type MountRequest, Mounts, openMounts } from './mounts.ts'
export type { Syscalls } from './syscalls.ts'
