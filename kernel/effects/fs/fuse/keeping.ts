/**
 * How long the guest may keep what it is told. A folder on the host that is followed tells of each change in it, and the guest is then told to ask again: what has
 * not changed for a while may be kept long, so that a second `git status` is not a question for each file. Everything else is kept briefly.
 *
 * It is taken back by the node, not by the name: of a name that leads elsewhere since, the node answers ESTALE, on which the guest's kernel looks the name up again.
 */
import type { Followed } from '../changes.ts'
import { FOLLOWED_VALID_SECONDS, MAX_FOLLOWED_FOLDERS, MAX_KEPT_FILES, QUIET_MS, YOUNG_MS } from '../limits.ts'
import type { Mount } from '../mounts.ts'
import type { Stat, Syscalls } from '../syscalls.ts'
import { tell } from './believing.ts'
import type { Node, Nodes } from './nodes.ts'

/** Seconds. */
export interface Validity {
  readonly name: number
  readonly attributes: number
}

export interface Following {
  readonly followed: Followed
  wallMs(): number
  steadyMs(): number
  /** Changes with what decides about looks. */
  rules(): string
}

/** A file the guest may keep for long. */
export interface KeptFile {
  readonly node: Node
  readonly folder: Folder
  readonly name: string
  /** Steady ms. */
  toldAt: number
  nameUntil: number
  attributesUntil: number
}
interface Folder {
  readonly node: Node
  readonly watch: number
  readonly files: Map<string, KeptFile>
}

export class Keeping {
  readonly briefly: Validity
  readonly #mount: Mount
  readonly #sys: Syscalls
  readonly #nodes: Nodes
  readonly #takeBackFrom: (node: Node) => void
  #following: Following | null
  readonly #folders = new Map<Node, Folder>()
  readonly #byWatch = new Map<number, Folder>()
  /** Told away from a guest that may not have heard of them yet, with the time; told again. */
  readonly #again: { readonly node: Node; readonly at: number }[] = []
  #files = 0
  #rules: string

  constructor(mount: Mount, sys: Syscalls, nodes: Nodes, takeBack: (node: Node) => void, following: Following | null) {
    this.briefly = { name: mount.cacheSeconds, attributes: mount.cacheSeconds }
    this.#mount = mount
    this.#sys = sys
    this.#nodes = nodes
    this.#takeBackFrom = takeBack
    this.#following = following
    this.#rules = following?.rules() ?? ''
    nodes.onDropped((node) => this.#dropped(node))
  }

  /** Before something in it is measured: a change after that is told. */
  follow(folder: Node): void {
    if (this.#following === null || this.#folders.has(folder) || this.#folders.size >= MAX_FOLLOWED_FOLDERS) return
    const watch = this.#following.followed.add(this.#nodes.descriptor(folder))
    if (watch === null || this.#byWatch.has(watch)) return
    const made = { node: folder, watch, files: new Map() }
    this.#folders.set(folder, made)
    this.#byWatch.set(watch, made)
  }

  /** How long the guest may keep this name in this folder, and what it leads to, as just measured. `guest`: its canonical path. */
  named(folder: Node, name: string, node: Node, stat: Stat, guest: string): Validity {
    tell(node, stat)
    const followed = this.#folders.get(folder)
    if (followed === undefined || !this.#mayKeep(stat) || !this.#isOnlyName(guest)) return this.briefly
    const file = this.#keep(followed, name, node)
    if (file === null) return this.briefly
    file.toldAt = this.#now()
    file.nameUntil = file.toldAt + LONG.name * 1000
    file.attributesUntil = file.nameUntil
    return LONG
  }

  /** The same of attributes alone. */
  attributes(node: Node, stat: Stat): number {
    tell(node, stat)
    const file = node.kept
    if (file === null || !this.#mayKeep(stat)) return this.briefly.attributes
    file.toldAt = this.#now()
    file.attributesUntil = file.toldAt + LONG.attributes * 1000
    return LONG.attributes
  }

  /** The same of what the guest just changed, and likely changes again. */
  changed(node: Node, stat: Stat): Validity {
    tell(node, stat)
    return this.briefly
  }

  /** After a removal through the gate, which the guest knows of. */
  removed(folder: Node, name: string): void {
    const file = this.#folders.get(folder)?.files.get(name)
    if (file !== undefined) this.#letGo(file)
  }

  /** After a rename through the gate: the guest takes along how long it keeps the name. */
  renamed(node: Node, folder: Node, name: string): void {
    const { kept } = node
    if (kept === null) return
    const { toldAt, nameUntil, attributesUntil } = kept
    this.#letGo(kept)
    const followed = this.#folders.get(folder)
    const file = followed === undefined ? null : this.#keep(followed, name, node)
    if (file !== null) Object.assign(file, { toldAt, nameUntil, attributesUntil })
    else this.#lose({ ...kept, nameUntil })
  }

  /** Tells the guest what changed since. */
  poll(): void {
    if (this.#following === null) return
    for (const { watch, what, name } of this.#following.followed.take()) {
      if (what === 'missed') this.#forgetAll()
      const folder = this.#byWatch.get(watch)
      if (folder === undefined) continue
      if (what === 'ended') this.#ended(folder)
      const file = folder.files.get(name)
      if (file !== undefined) this.#changed(file, what === 'name')
    }
    const rules = this.#following.rules()
    if (rules !== this.#rules) this.#forgetAll()
    this.#rules = rules
    while ((this.#again[0]?.at ?? Number.POSITIVE_INFINITY) <= this.#now()) this.#tellAway(this.#again.shift()?.node)
  }

  close(): void {
    this.#following?.followed.close()
    this.#following = null
  }

  /** A file with other names may change through those, and what just changed likely does so again. */
  #mayKeep(stat: Stat): boolean {
    if (this.#following === null || stat.kind === 'directory' || stat.nlink !== 1) return false
    const changed = Math.max(stat.mtime.s, stat.ctime.s) * 1000
    return this.#following.wallMs() - changed > QUIET_MS
  }

  #isOnlyName(guest: string): boolean {
    return this.#mount.spelling.isExact(guest.slice(this.#mount.guest.length + 1))
  }

  #keep(folder: Folder, name: string, node: Node): KeptFile | null {
    const known = folder.files.get(name)
    if (known?.node === node) return known
    if (known !== undefined) this.#letGo(known)
    if (node.kept !== null) this.#letGo(node.kept)
    if (this.#files >= MAX_KEPT_FILES) return null
    const file = { node, folder, name, toldAt: 0, nameUntil: 0, attributesUntil: 0 }
    folder.files.set(name, file)
    node.kept = file
    this.#files += 1
    return file
  }

  #letGo(file: KeptFile): void {
    if (file.folder.files.get(file.name) === file) {
      file.folder.files.delete(file.name)
      this.#files -= 1
    }
    file.node.kept = null
  }

  #changed(file: KeptFile, name: boolean): void {
    if (name && !this.#isThere(file)) {
      this.#letGo(file)
      this.#lose(file)
    } else if (this.#isLong(file.attributesUntil)) {
      file.attributesUntil = 0
      this.#takeBack(file)
    }
  }

  #isThere({ folder, name, node }: KeptFile): boolean {
    const there = this.#sys.stat(this.#nodes.descriptor(folder.node), name)
    return there.ok && there.value.ino === node.ino && there.value.dev === node.dev
  }

  /** The name leads elsewhere: the node is not found by what it stands for any more, and the guest asks for its attributes, in vain. What is open stays itself. */
  #lose(file: KeptFile): void {
    if (!this.#isLong(Math.max(file.nameUntil, file.attributesUntil))) return
    this.#nodes.lose(file.node)
    this.#takeBack(file)
  }

  /** A guest that was told a moment ago may hear this before it has made a file of that: then once more. */
  #takeBack({ node, toldAt }: KeptFile): void {
    this.#tellAway(node)
    if (this.#now() - toldAt < YOUNG_MS) this.#again.push({ node, at: this.#now() + YOUNG_MS })
  }

  #tellAway(node: Node | undefined): void {
    if (node !== undefined) this.#takeBackFrom(node)
  }

  #ended(folder: Folder): void {
    this.#folders.delete(folder.node)
    this.#byWatch.delete(folder.watch)
    for (const file of [...folder.files.values()]) {
      this.#letGo(file)
      this.#lose(file)
    }
  }

  #forgetAll(): void {
    for (const { files } of this.#folders.values()) for (const file of [...files.values()]) this.#changed(file, true)
  }

  #dropped(node: Node): void {
    if (node.kept !== null) this.#letGo(node.kept)
    const folder = this.#folders.get(node)
    if (folder === undefined) return
    this.#folders.delete(node)
    this.#byWatch.delete(folder.watch)
    this.#following?.followed.remove(folder.watch)
    for (const file of [...folder.files.values()]) this.#letGo(file)
  }

  #now(): number {
    return this.#following?.steadyMs() ?? 0
  }

  /** What the guest forgets by itself within the time of everything else need not be taken back. */
  #isLong(until: number): boolean {
    return until - this.#now() > this.briefly.name * 1000
  }
}

const LONG: Validity = { name: FOLLOWED_VALID_SECONDS, attributes: FOLLOWED_VALID_SECONDS }
