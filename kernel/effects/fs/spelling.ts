/**
 * The name an object has, on file systems where other names lead to it too: without case (ext4 with casefold, FAT, NTFS, APFS, SMB), in another Unicode form, without a
 * dot at the end, by a short name (`GIT~1`). The kernel then knows a descriptor by the name it was asked for; what decides is the name the folder lists.
 */
import { hostError } from './errno.ts'
import { entriesOf } from './execute/look.ts'
import { MAX_EXACT_FOLDERS } from './limits.ts'
import { openBeneath } from './resolve.ts'
import { O, RESOLVE, type Stat, type Syscalls } from './syscalls.ts'

/**
 * Linux's own file systems (statfs(2) f_type): a folder of theirs either folds case or takes every name as it is. Others, network file systems and FUSE among them,
 * may have more ways to take one name for another.
 */
const OWN = new Set([
  0xef53, // ext4
  0x58465342, // XFS
  0x9123683e, // Btrfs
  0x01021994, // tmpfs
  0x794c7630, // overlayfs
  0xf2f52010, // F2FS
  0xca451a4e, // bcachefs
  0x858458f6, // ramfs
])
/** Names that FAT, NTFS and servers of theirs may take for another one: dots and spaces at the end are dropped, `name:stream` is the file, `SHORT~1` is made up. */
const ODD = /[. ](?:\/|$)|:|~\d/
/** What is left out when names are compared, by all that leave anything out. */
const IGNORED = '\u200c'
const INVISIBLE = /\p{Default_Ignorable_Code_Point}/gu

/** The names of one mount's objects. Paths are below its root, which is the empty one. */
export class Spelling {
  readonly #sys: Syscalls
  readonly #root: number
  readonly #own: boolean
  /** Folders that were found to take a name as it is, as all above them do. */
  readonly #exact = new Set<string>()

  constructor(sys: Syscalls, root: number) {
    const found = sys.statfs(root)
    this.#sys = sys
    this.#root = root
    this.#own = found.ok && OWN.has(found.value.type)
  }

  /** A folder may have moved: what was found out by its path holds no longer. */
  forget(): void {
    this.#exact.clear()
  }

  /** Whether its folder was found to take no other name for it. */
  isExact(path: string): boolean {
    return this.#own && this.#exact.has(folderOf(path))
  }

  /** Whether a file system of this machine, whose changes its kernel tells of. */
  get own(): boolean {
    return this.#own
  }

  /** The path as the folders on it list it. Throws AuthorityError when they are not there meanwhile. */
  path(path: string, place: string): string {
    if (path === '' || this.#takes(folderOf(path), path)) return path
    let real = ''
    for (const name of path.split('/')) real = below(real, this.name(real, name, place))
    return real
  }

  /**
   * How the folder lists what has this name; the name itself where nothing has. Throws AuthorityError EINVAL for a new name that might be stored as another one.
   */
  name(folder: string, name: string, place: string): string {
    if (this.#takes(folder, name)) return name
    const opened = openBeneath(this.#sys, this.#root, folder, this.#sys.flags.DIRECTORY, RESOLVE.NO_SYMLINKS)
    if (!opened.ok) throw hostError(opened.errno, place)
    try {
      const there = this.#sys.stat(opened.value, name)
      if (!there.ok && !this.#own && /[. ]$|:/.test(name))
        throw hostError('EINVAL', place, 'The file system might store this name as another one.')
      if (!there.ok || !this.#hasTwin(folder, opened.value, name, there.value)) return name
      return this.#listed(opened.value, name, there.value, place)
    } finally {
      this.#sys.close(opened.value)
    }
  }

  #takes(folder: string, name: string): boolean {
    return this.#exact.has(folder) && (this.#own || (isAscii(name) && !ODD.test(name)))
  }

  /** Whether the object can be reached by another spelling too: then this one may be the other one. */
  #hasTwin(folder: string, dir: number, name: string, there: Stat): boolean {
    const cased = otherCase(name)
    const twins = new Set([cased, `${name}${IGNORED}`, name.replace(INVISIBLE, ''), name.normalize('NFC'), name.normalize('NFD')])
    twins.delete(name)
    twins.delete('')
    for (const twin of twins) if (isAt(this.#sys, dir, twin, there)) return true
    if (!this.#own && ODD.test(name)) return true
    // Which names a folder takes for the same is the same for all of them: this one need not be asked again.
    if (cased !== name && (folder === '' || this.#exact.has(folderOf(folder)))) this.#remember(folder)
    return false
  }

  #remember(folder: string): void {
    if (this.#exact.size >= MAX_EXACT_FOLDERS) this.#exact.clear()
    this.#exact.add(folder)
  }

  /** The name itself before another one of the same object; a hard link is told from another spelling by its letters. */
  #listed(dir: number, name: string, there: Stat, place: string): string {
    const list = this.#sys.reopen(dir, O.RDONLY | this.#sys.flags.DIRECTORY)
    if (!list.ok) throw hostError(list.errno, place)
    try {
      const twins: string[] = []
      for (const entry of entriesOf(this.#sys, list.value, 0n, place)) {
        if (entry.name === name) return name
        if (entry.ino === there.ino || isAlike(entry.name, name)) twins.push(entry.name)
      }
      const same = twins.filter((twin) => isAt(this.#sys, dir, twin, there))
      const [only] = same
      const real = same.length === 1 ? only : same.find((twin) => isAlike(twin, name))
      if (real !== undefined) return real
    } finally {
      this.#sys.close(list.value)
    }
    throw hostError('EACCES', place, 'Name it as its folder lists it.')
  }
}

function isAt(sys: Syscalls, dir: number, name: string, there: Stat): boolean {
  const found = sys.stat(dir, name)
  return found.ok && found.value.ino === there.ino && found.value.dev === there.dev
}

function folderOf(path: string): string {
  const slash = path.lastIndexOf('/')
  return slash < 0 ? '' : path.slice(0, slash)
}

function below(folder: string, name: string): string {
  return folder === '' ? name : `${folder}/${name}`
}

function isAscii(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII
  return /^[\u0000-\u007f]*$/.test(text)
}

/** Every letter in its other case; the same text where there is none. */
function otherCase(name: string): string {
  return Array.from(name, (char) => {
    const lower = char.toLowerCase()
    return lower === char ? char.toUpperCase() : lower
  }).join('')
}

function isAlike(one: string, other: string): boolean {
  const plain = (name: string): string => name.replace(INVISIBLE, '').normalize('NFD').toLowerCase().toUpperCase().normalize('NFC')
  return plain(one) === plain(other)
}
