import { randomBytes } from 'node:crypto'
import { existsSync, lstatSync, readdirSync, readFileSync, renameSync, rmdirSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { errnoOf, ImageError } from './errors.ts'
import { type ImageFile, type OpenImage, openChecked, writeAtomically, writeImageFile } from './image-file.ts'
import { MAX_MANIFEST_BYTES } from './limits.ts'
import { checkImageName, isImageName } from './names.ts'
import type { TreeNode } from './tree.ts'

const META_VERSION = 1
const META = 'meta.json'

/** What this installation remembers of an image it stored. */
export interface ImageMeta extends ImageFile {
  readonly name: string
  /** Id of the installation that built it: its own policy holds only where this is ours. */
  readonly builtBy: string
  /** Policy id (SHA-256 of the file) of its /ak/policy.json, or null. */
  readonly policyId: string | null
  /** RFC 3339 UTC. */
  readonly builtAt: string
}

/**
 * Named images: HOME/images/NAME/ with `meta.json`, which names the image file beside it. Building again writes the new file under a new
 * name, then replaces meta.json, then removes the old one: at every moment one whole image has the name.
 */
export class ImageStore {
  private readonly dir: string

  /** `dir`: HOME/images. */
  constructor(dir: string) {
    this.dir = dir
  }

  put(name: string, root: TreeNode, facts: Pick<ImageMeta, 'builtBy' | 'policyId' | 'builtAt'>): ImageMeta {
    checkImageName(name)
    const dir = join(this.dir, name)
    const before = this.oldFile(name)
    const staged = join(dir, `staged-${randomBytes(6).toString('hex')}`)
    const { sha256, size } = this.stage(dir, staged, root)
    const file = `image-${sha256.slice(0, 16)}.erofs`
    renameSync(staged, join(dir, file))
    const meta: ImageMeta = { path: join(dir, file), name, sha256, size, ...facts }
    const { path: _, ...stored } = meta
    const json = `${JSON.stringify({ version: META_VERSION, file, ...stored }, null, 2)}\n`
    writeAtomically(join(dir, META), (fd) => writeSync(fd, json))
    if (before !== undefined && before !== meta.path) rmSync(before, { force: true })
    return meta
  }

  /** Undefined when there is no image of that name. Throws `corrupt` when what is there cannot be read. */
  get(name: string): ImageMeta | undefined {
    if (!isImageName(name)) return undefined
    const dir = join(this.dir, name)
    let text: string
    try {
      text = readFileSync(join(dir, META), 'utf8')
    } catch (error) {
      if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined
      throw new ImageError('host-io', `the image ${name} cannot be read: ${errnoOf(error)}`, { cause: error })
    }
    return parseMeta(text, name, dir)
  }

  /** Opens an image by name with its digest checked. Throws `not-found` with the names there are. */
  open(name: string): OpenImage & { readonly meta: ImageMeta } {
    const meta = this.get(name)
    if (meta === undefined) throw this.missing(name)
    return { ...openChecked(meta), meta }
  }

  /** All images by name. One that cannot be read is in the list, with why. */
  list(): readonly ({ readonly name: string; readonly meta: ImageMeta } | { readonly name: string; readonly problem: string })[] {
    return this.names().map((name) => {
      try {
        const meta = this.get(name)
        return meta === undefined ? { name, problem: 'incomplete' } : { name, meta }
      } catch (error) {
        return { name, problem: error instanceof Error ? error.message : String(error) }
      }
    })
  }

  /** Removes an image; a VM that runs from it keeps its descriptor. Throws `not-found`. */
  remove(name: string): void {
    const dir = join(this.dir, name)
    if (!isImageName(name) || !lstatSync(dir, { throwIfNoEntry: false })?.isDirectory()) throw this.missing(name)
    rmSync(join(dir, META), { force: true })
    rmSync(dir, { recursive: true, force: true })
  }

  private names(): readonly string[] {
    try {
      return readdirSync(this.dir).filter(isImageName).sort()
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return []
      throw new ImageError('host-io', `${this.dir} cannot be read: ${errnoOf(error)}`, { cause: error })
    }
  }

  private missing(name: string): ImageError {
    const names = this.names()
    const near =
      names.length === 0
        ? 'build one with `authority build PATH`'
        : `there are: ${names.slice(0, 10).join(', ')}${names.length > 10 ? ', …' : ''}`
    return new ImageError('not-found', `there is no image ${JSON.stringify(name)}`, { hint: `${near}; a program is given as ./${name}` })
  }

  /** A build that fails leaves no empty folder that would look like an image. */
  private stage(dir: string, staged: string, root: TreeNode): ImageFile {
    try {
      return writeImageFile(staged, root)
    } catch (error) {
      if (existsSync(dir) && readdirSync(dir).length === 0) rmdirSync(dir)
      throw error
    }
  }

  /** What a damaged meta.json pointed to is left for `images rm`: replacing an image must work all the same. */
  private oldFile(name: string): string | undefined {
    try {
      return this.get(name)?.path
    } catch {
      return undefined
    }
  }
}

function parseMeta(text: string, name: string, dir: string): ImageMeta {
  const bad = (why: string) =>
    new ImageError('corrupt', `the image ${name} is damaged: ${join(dir, META)} ${why}`, {
      hint: `build it again, or remove it: authority images rm ${name}`,
    })
  if (text.length > MAX_MANIFEST_BYTES) throw bad('is too large')
  let value: Record<string, unknown>
  try {
    value = JSON.parse(text) as Record<string, unknown>
  } catch {
    throw bad('is not JSON')
  }
  if (value === null || typeof value !== 'object') throw bad('is not an object')
  if (value.version !== META_VERSION)
    throw new ImageError('bad-input', `the image ${name} was stored by another version of authority (format ${String(value.version)})`, {
      hint: 'use that version, or build it again',
    })
  const { file, sha256, size, builtBy, policyId, builtAt } = value
  if (typeof file !== 'string' || !/^image-[0-9a-f]{16}\.erofs$/.test(file)) throw bad('names no image file')
  if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256) || typeof size !== 'number' || !Number.isSafeInteger(size))
    throw bad('has no valid digest')
  if (
    value.name !== name ||
    typeof builtBy !== 'string' ||
    typeof builtAt !== 'string' ||
    !(policyId === null || typeof policyId === 'string')
  )
    throw bad('misses a key')
  return { path: join(dir, file), name, sha256, size, builtBy, policyId, builtAt }
}
