import { lstatSync, readdirSync, readFileSync, realpathSync } from 'node:fs'
import { dirname, isAbsolute, join } from 'node:path'
import type { Arch, Elf } from './elf.ts'
import { readElf } from './elf.ts'
import { type Content, type FileTime, hostFile } from './entries.ts'
import { ImageError } from './errors.ts'
import { MAX_LD_CONF_BYTES, MAX_LD_CONF_FILES } from './limits.ts'
import { withFile } from './program.ts'

/** A library as found: what it is, and its bytes. */
export interface FoundLibrary {
  readonly elf: Elf
  readonly content: Content
  readonly mtime: FileTime
}

/** Where a dynamic program's libraries come from: this host, or the files of Debian packages for another machine. */
export interface LibrarySource {
  /** For messages: `this host`. */
  readonly name: string
  /** Folders the loader searches after RPATH, in order. */
  searchDirs(interpreter: string): readonly string[]
  /** The library at an absolute path, symlinks followed; undefined when there is none or it is not ELF of this machine. */
  find(path: string, arch: Arch): FoundLibrary | undefined
}

/** Debian's names for the folders of one architecture. */
export const MULTIARCH: Readonly<Record<Arch, string>> = { x86_64: 'x86_64-linux-gnu', aarch64: 'aarch64-linux-gnu' }

/** Folders the guest's loader always searches, without a cache or configuration file. */
export function trustedDirs(interpreter: string, arch: Arch): readonly string[] {
  if (isMusl(interpreter)) return ['/usr/lib', '/lib', '/usr/local/lib']
  const multi = MULTIARCH[arch]
  return [`/lib/${multi}`, `/usr/lib/${multi}`, '/lib64', '/usr/lib64', '/lib', '/usr/lib']
}

export function isMusl(interpreter: string): boolean {
  return /\/ld-musl-[a-z0-9_]+\.so\.1$/.test(interpreter)
}

/** This host's own libraries. */
export function hostLibraries(arch: Arch): LibrarySource {
  return {
    name: 'this host',
    searchDirs: (interpreter) => {
      const musl = /\/ld-musl-([a-z0-9_]+)\.so\.1$/.exec(interpreter)
      if (musl !== null) return muslDirs(`/etc/ld-musl-${musl[1]}.path`)
      return [...new Set([...trustedDirs(interpreter, arch), ...ldConfDirs('/etc/ld.so.conf')])]
    },
    find: (path, machine) => {
      let real: string
      try {
        real = realpathSync(path)
        if (!lstatSync(real).isFile()) return undefined
      } catch {
        return undefined
      }
      const elf = withFile(real, elfOrNothing)
      if (elf === undefined || elf.machine !== machine) return undefined
      const file = hostFile(real)
      return { elf, content: file.content, mtime: file.mtime }
    },
  }
}

/** The loader skips files that are not libraries for it (linker scripts, 32-bit ones) and looks further. */
function elfOrNothing(source: Parameters<typeof readElf>[0]): Elf | undefined {
  try {
    return readElf(source)
  } catch (error) {
    if (error instanceof ImageError && error.fault === 'not-executable') return undefined
    throw error
  }
}

/** musl's default when its path file is missing. */
function muslDirs(file: string): readonly string[] {
  const text = readBounded(file)
  if (text === undefined) return ['/lib', '/usr/local/lib', '/usr/lib']
  return text.split(/[\n:]/).filter((dir) => isAbsolute(dir))
}

/** Folders named by ld.so.conf, its `include` patterns (`*` in the last component) followed. */
function ldConfDirs(file: string): readonly string[] {
  const dirs: string[] = []
  const queue = [file]
  for (let read = 0; read < MAX_LD_CONF_FILES; read++) {
    const next = queue.shift()
    if (next === undefined) break
    for (const raw of (readBounded(next) ?? '').split('\n')) {
      const line = raw.replace(/#.*/, '').trim()
      const include = /^include\s+(\S+)$/.exec(line)?.[1]
      if (include !== undefined) queue.push(...expand(isAbsolute(include) ? include : join(dirname(next), include)))
      else dirs.push(...line.split(/[\s:,]+/).filter((dir) => isAbsolute(dir)))
    }
  }
  return dirs
}

function expand(pattern: string): readonly string[] {
  const dir = dirname(pattern)
  const name = pattern.slice(dir.length + 1)
  const match = new RegExp(
    `^${name
      .split('*')
      .map((part) => part.replaceAll(/[^A-Za-z0-9_-]/g, '\\$&'))
      .join('[^/]*')}$`,
  )
  try {
    return readdirSync(dir)
      .filter((each) => match.test(each))
      .sort()
      .map((each) => join(dir, each))
  } catch {
    return []
  }
}

function readBounded(file: string): string | undefined {
  try {
    return lstatSync(realpathSync(file)).size > MAX_LD_CONF_BYTES ? undefined : readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
