/**
 * A host file system that takes other spellings of a name for the same, for tests: a plain folder behind FUSE, where a name that is not there as it is leads to what
 * differs in case, Unicode form or invisible characters, or in dots at its end, as on ext4 with casefold, APFS, NTFS or FAT. `folding-process.ts FOLDER` mounts it with
 * this host's kernel, says where (or `cannot`), and ends with its standard input.
 */
import { fold } from '../../../policy/fold.ts'
import { entriesOf } from '../execute/look.ts'
import { O, type Syscalls } from '../syscalls.ts'
import { mountWithKernel } from './kernel-client.ts'
import { makeWorld } from './pipeline.ts'

const [, , host = ''] = process.argv
const world = makeWorld({ mounts: () => [{ guest: '/work', host, readonly: false, cacheSeconds: 0 }], wrap: folding })
const mounted = mountWithKernel(world)
process.stdout.write(`${mounted?.point ?? 'cannot'}\n`)
for await (const _ of process.stdin) {
  // nothing is said; the end is what counts
}
await mounted?.close()
await world.close()
process.exit(0)

function folding(sys: Syscalls): Syscalls {
  const alike = (name: string): string => fold(name).replace(/[. ]+$/, '')
  /** A name that is new is stored without its dots, as FAT does. */
  const stored = (dir: number, name: string): string => {
    if (name === '' || name === '.' || name.includes('/') || dir < 0) return name
    const list = sys.openat2(dir, '.', O.RDONLY | sys.flags.DIRECTORY | O.CLOEXEC, 0, 0)
    if (!list.ok) return name
    const names = [...entriesOf(sys, list.value, 0n, '')].map((entry) => entry.name)
    sys.close(list.value)
    return names.find((one) => one === name) ?? names.find((one) => alike(one) === alike(name)) ?? name.replace(/[. ]+$/, '')
  }
  return {
    ...sys,
    openat2: (dir, name, flags, mode, resolve) => sys.openat2(dir, stored(dir, name), flags, mode, resolve),
    stat: (dir, name) => sys.stat(dir, stored(dir, name)),
    mkdirat: (dir, name, mode) => sys.mkdirat(dir, stored(dir, name), mode),
    unlinkat: (dir, name, directory) => sys.unlinkat(dir, stored(dir, name), directory),
    linkat: (fd, dir, name) => sys.linkat(fd, dir, stored(dir, name)),
    symlinkat: (target, dir, name) => sys.symlinkat(target, dir, stored(dir, name)),
    renameat2: (fromDir, from, toDir, to, flags) => {
      const [source, target] = [stored(fromDir, from), stored(toDir, to)]
      return sys.renameat2(fromDir, source, toDir, source === target ? to : target, flags)
    },
  }
}
