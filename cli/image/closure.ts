import { posix } from 'node:path'
import type { Arch, Elf } from './elf.ts'
import { type Entry, fileEntry } from './entries.ts'
import { ImageError } from './errors.ts'
import { type FoundLibrary, isMusl, type LibrarySource, trustedDirs } from './libraries.ts'
import { MAX_LIBRARIES } from './limits.ts'

export interface Closure {
  readonly entries: readonly Entry[]
  /** Paths in the image, sorted: for the manifest. */
  readonly libraries: readonly string[]
}

interface Item {
  readonly elf: Elf
  /** Folder on the host, and the folder it has in the image: what $ORIGIN means there. */
  readonly hostDir: string
  readonly guestDir: string
  /** Library names on the way here, for messages. */
  readonly chain: readonly string[]
  readonly rpathAbove: readonly { readonly host: string; readonly guest: string }[]
}

/**
 * Everything a dynamic program needs to start: its loader at the path it names, and its libraries, transitively, where the guest's loader
 * finds them without a cache (ld.so(8) search order; RPATH inherited, RUNPATH not). Libraries loaded later with dlopen are not seen here,
 * except libgcc_s, which glibc loads to cancel threads. Throws ImageError `not-found` naming the missing library and who wants it.
 */
export function libraryClosure(
  program: { readonly path: string; readonly elf: Elf; readonly guestDir: string },
  source: LibrarySource,
): Closure {
  const { elf } = program
  const arch = elf.machine
  const interpreter = elf.interpreter
  if (interpreter === undefined) return { entries: [], libraries: [] }
  const placed = new Map<string, FoundLibrary>()
  const loader = source.find(interpreter, arch)
  if (loader === undefined)
    throw new ImageError('not-found', `${program.path} needs the loader ${interpreter}, which ${source.name} does not have`, {
      hint: staticHint(arch),
    })
  placed.set(interpreter, loader)

  const dirs = source.searchDirs(interpreter)
  const fallback = fallbackDir(dirs, arch, source, interpreter)
  const trusted = new Set(trustedDirs(interpreter, arch))
  const byName = new Set<string>(ownNames(interpreter, loader))
  const queue: Item[] = [
    { elf, hostDir: posix.dirname(program.path), guestDir: program.guestDir, chain: [posix.basename(program.path)], rpathAbove: [] },
  ]
  if (source.find(posix.join(fallback, 'libgcc_s.so.1'), arch) !== undefined && !isMusl(interpreter))
    queue.push({
      elf: { ...elf, needed: ['libgcc_s.so.1'], rpath: [], runpath: [] },
      hostDir: '/',
      guestDir: '/',
      chain: ['glibc'],
      rpathAbove: [],
    })
  for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
    const own = expand(item.elf.runpath.length > 0 ? [] : item.elf.rpath, item)
    const inherited = [...own, ...item.rpathAbove]
    const runpath = expand(item.elf.runpath, item)
    for (const name of item.elf.needed) {
      if (byName.has(name)) continue
      if (placed.size >= MAX_LIBRARIES) throw new ImageError('too-big', `${program.path} needs more than ${MAX_LIBRARIES} libraries`)
      const found = locate(
        name,
        item,
        [...(item.elf.runpath.length > 0 ? [] : inherited), ...runpath],
        dirs,
        fallback,
        trusted,
        source,
        arch,
      )
      if (found === undefined)
        throw new ImageError(
          'not-found',
          `${program.path} needs ${name}, which ${source.name} does not have (${[...item.chain, name].join(' → ')})`,
          { hint: staticHint(arch) },
        )
      byName.add(name)
      placed.set(found.guest, found.library)
      queue.push({
        elf: found.library.elf,
        hostDir: posix.dirname(found.host),
        guestDir: posix.dirname(found.guest),
        chain: [...item.chain, name],
        rpathAbove: inherited,
      })
    }
  }
  const libraries = [...placed.keys()].sort()
  const entries = libraries.flatMap((path) => {
    const library = placed.get(path)
    return library === undefined ? [] : [fileEntry(path, library.content, 0o755, library.mtime)]
  })
  return { entries, libraries }
}

function staticHint(arch: Arch): string {
  return `install the library, or link the program statically for ${arch}`
}

/** Names the loader itself answers to: musl's loader is its C library. */
function ownNames(interpreter: string, loader: FoundLibrary): readonly string[] {
  const base = posix.basename(interpreter)
  const musl = /^ld-musl-([a-z0-9_]+)\.so\.1$/.exec(base)
  return [
    base,
    ...(loader.elf.soname === undefined ? [] : [loader.elf.soname]),
    ...(musl === null ? [] : ['libc.so', `libc.musl-${musl[1]}.so.1`]),
  ]
}

/** Libraries from folders only ld.so.conf names go beside the C library: the guest has no cache, but always searches that folder. */
function fallbackDir(dirs: readonly string[], arch: Arch, source: LibrarySource, interpreter: string): string {
  const trusted = trustedDirs(interpreter, arch)
  const holds = isMusl(interpreter) ? undefined : dirs.find((dir) => source.find(posix.join(dir, 'libc.so.6'), arch) !== undefined)
  return trusted.find((dir) => dir === holds) ?? trusted[0] ?? '/lib'
}

function expand(paths: readonly string[], item: Item): { host: string; guest: string }[] {
  return paths.flatMap((path) => {
    // $LIB and $PLATFORM have no fixed meaning across machines; relative folders would depend on where the agent stands
    const at = (dir: string) => posix.normalize(path.replaceAll(/\$ORIGIN|\$\{ORIGIN\}/g, dir))
    const host = at(item.hostDir)
    return host.includes('$') || !host.startsWith('/') ? [] : [{ host, guest: at(item.guestDir) }]
  })
}

function locate(
  name: string,
  item: Item,
  rpath: readonly { host: string; guest: string }[],
  dirs: readonly string[],
  fallback: string,
  trusted: ReadonlySet<string>,
  source: LibrarySource,
  arch: Arch,
): { host: string; guest: string; library: FoundLibrary } | undefined {
  if (name.includes('/')) {
    const host = posix.resolve(item.hostDir, name)
    const library = name.startsWith('/') ? source.find(host, arch) : undefined
    return library === undefined ? undefined : { host, guest: host, library }
  }
  for (const dir of rpath) {
    const library = source.find(posix.join(dir.host, name), arch)
    if (library !== undefined) return { host: posix.join(dir.host, name), guest: posix.join(dir.guest, name), library }
  }
  for (const dir of dirs) {
    const host = posix.join(dir, name)
    const library = source.find(host, arch)
    if (library !== undefined) return { host, guest: trusted.has(dir) ? host : posix.join(fallback, name), library }
  }
  return undefined
}
