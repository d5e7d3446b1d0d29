import { hostError } from '../errno.ts'
import type { Mount } from '../mounts.ts'
import { guestPathOf, openBeneath } from '../resolve.ts'
import { RESOLVE, type Stat, type Syscalls, type Time } from '../syscalls.ts'
import type { KeptFile } from './keeping.ts'

export interface NodeLimits {
  readonly nodes: number
  /** Nodes that keep their descriptor; those with something open or under way are not counted out. */
  readonly descriptors: number
}

/** What a node number stands for: one object on the host, never a path. */
export interface Node {
  readonly id: number
  /** Under which it is found when the object is seen again. */
  readonly key: string
  readonly ino: bigint
  readonly dev: string
  readonly type: number
  readonly born: Time
  /** Where it was last seen: one step, to find it again and then to compare it with what it was. */
  parent: number
  name: string
  /** Times the guest was told this number, less those it forgot. */
  lookups: number
  /** O_PATH descriptor, or null when given up meanwhile. */
  fd: number | null
  /** Descriptors replaced while in use. */
  readonly retired: number[]
  /** Effects under way and open handles: the descriptor stays. */
  pins: number
  /** Guest path at the last opening: what decides about an open file whose name is gone. */
  openedAs: string | null
  /** Which version of its attributes the guest was told last and may believe, null: none; and whether it may believe an earlier one. believing.ts. */
  told: string | null
  toldOthers: boolean
  /** What of it the guest may keep for long; keeping.ts. */
  kept: KeptFile | null
  /** Its name leads elsewhere since: while it is not open it answers ESTALE, on which the guest looks the name up again. */
  lost: boolean
}

export const ROOT_NODE = 1
/** Descriptors an open node may have had replaced: one for each name it had and lost; beyond it the last one stays. */
const MAX_RETIRED = 8
const FILE_TYPE = 0o170000
const DIRECTORY = 0o040000

/** The nodes of one FUSE mount. Bounded; a number is never given out twice. */
export class Nodes {
  readonly #sys: Syscalls
  readonly #mount: Mount
  readonly #limits: NodeLimits
  readonly #byId = new Map<number, Node>()
  readonly #byKey = new Map<string, Node>()
  /** Nodes with a descriptor, the longest unused first. */
  readonly #open = new Map<number, Node>()
  #next = ROOT_NODE + 1
  #closed = false
  #dropped: (node: Node) => void = () => undefined

  constructor(sys: Syscalls, mount: Mount, limits: NodeLimits) {
    this.#sys = sys
    this.#mount = mount
    this.#limits = limits
    const root: Node = {
      id: ROOT_NODE,
      key: '',
      ino: 0n,
      dev: '',
      type: DIRECTORY,
      born: { s: 0, ns: 0 },
      parent: 0,
      name: '',
      lookups: 1,
      fd: mount.root,
      retired: [],
      pins: 1,
      openedAs: null,
      told: null,
      toldOthers: false,
      kept: null,
      lost: false,
    }
    this.#byId.set(ROOT_NODE, root)
  }

  get size(): number {
    return this.#byId.size
  }
  get descriptors(): number {
    return this.#open.size
  }

  /** Throws AuthorityError ESTALE for a number that stands for nothing. */
  get(id: number): Node {
    const node = this.#byId.get(id)
    if (node === undefined) throw hostError('ESTALE', `node ${id}`)
    return node
  }

  /** The node's descriptor, found again where it was last seen when it had been given up. Throws ESTALE when something else is there now. */
  descriptor(node: Node): number {
    if (node.fd === null) node.fd = this.#find(node)
    if (node.id !== ROOT_NODE) {
      this.#open.delete(node.id)
      this.#open.set(node.id, node)
      if (this.#open.size > this.#limits.descriptors) this.#giveUp(1, node)
    }
    return node.fd
  }

  /** Guest path of the node now, or of its last opening when it has no name any more but is open. Throws ESTALE. */
  guestPath(node: Node): string {
    const path = (): string => guestPathOf(this.#sys, this.#mount, this.descriptor(node), `node ${node.id}`)
    try {
      return path()
    } catch (error) {
      if (node.id === ROOT_NODE) throw error
      try {
        // The name behind the descriptor is gone; a hard link or rename since may have left the object another.
        this.#replace(node, this.#find(node))
        return path()
      } catch {
        if (node.openedAs !== null) return node.openedAs
        throw error
      }
    }
  }

  /** Throws ENFILE when no new node fits: asked before a change whose answer is a new node. */
  assertRoom(): void {
    if (this.#byId.size >= this.#limits.nodes) throw hostError('ENFILE', 'mount', 'The guest keeps too many files in mind.')
  }

  /**
   * The node of an object that has this name in this directory, told to the guest once more. Takes over `fd`. A regular file with several names is one node per
   * name, because each name is decided for itself. Throws ENFILE.
   */
  add(parent: Node, name: string, stat: Stat, fd: number | null): Node {
    if (this.#closed) {
      if (fd !== null) this.#sys.close(fd)
      throw hostError('ESTALE', name)
    }
    const found = this.#known(parent, name, stat)
    if (found === undefined && this.#byId.size >= this.#limits.nodes) {
      if (fd !== null) this.#sys.close(fd)
      throw hostError('ENFILE', name, 'The guest keeps too many files in mind.')
    }
    const node = found ?? this.#make(parent, name, stat)
    node.parent = parent.id
    node.name = name
    node.lookups += 1
    // The descriptor just opened knows the present name; an older one may remember a name that is gone.
    if (fd !== null && node.pins > 0 && this.#isNamed(node)) this.#sys.close(fd)
    else if (fd !== null) this.#replace(node, fd)
    if (node.fd !== null) this.descriptor(node)
    return node
  }

  /** The node of an object by whichever name it has, if the guest knows one. */
  of(stat: Stat): Node | undefined {
    const node = this.#byKey.get(`${stat.dev}:${stat.ino}`)
    return node !== undefined && isSame(node, stat) ? node : undefined
  }

  /** After a hard link through the gate: the guest knows the same object under one more name. */
  linked(node: Node, parent: Node, name: string): void {
    // Given up meanwhile: counted up again it would never be let go.
    if (this.#closed || this.#byId.get(node.id) !== node) throw hostError('ESTALE', name)
    node.lookups += 1
    node.parent = parent.id
    node.name = name
  }

  /** After a rename through the gate: the object is now found here. Its nodes. */
  moved(parent: Node, name: string, stat: Stat): readonly Node[] {
    const found: Node[] = []
    for (const key of keys(parent, name, stat)) {
      const node = this.#byKey.get(key)
      if (node === undefined || !isSame(node, stat)) continue
      node.parent = parent.id
      node.name = name
      found.push(node)
    }
    return found
  }

  /** Its name leads elsewhere. Once it is not open what it stands for gets another number when it is seen again. */
  lose(node: Node): void {
    node.lost = true
    if (node.pins === 0 && this.#byKey.get(node.key) === node) this.#byKey.delete(node.key)
  }

  /** Told of each node that is given up. */
  onDropped(told: (node: Node) => void): void {
    this.#dropped = told
  }

  forget(id: number, lookups: bigint): void {
    const node = this.#byId.get(id)
    if (node === undefined || id === ROOT_NODE) return
    node.lookups = lookups >= BigInt(node.lookups) ? 0 : node.lookups - Number(lookups)
    this.#drop(node)
  }

  pin(node: Node): void {
    node.pins += 1
  }

  unpin(node: Node): void {
    node.pins -= 1
    // The root is pinned for as long as it is mounted; of a mounted file it is what gets opened.
    if (node.pins === (node.id === ROOT_NODE ? 1 : 0)) {
      node.openedAs = null
      this.#closeRetired(node)
      if (node.lost) this.lose(node)
    }
    this.#drop(node)
  }

  /**
   * Lets go of everything; the root stays the mount's. A descriptor an effect still uses is closed when that is over: closed before, its number could come to
   * mean another file under the effect's hands.
   */
  close(): void {
    this.#closed = true
    for (const node of [...this.#byId.values()]) {
      if (node.id === ROOT_NODE) continue
      node.lookups = 0
      this.#drop(node)
    }
  }

  #known(parent: Node, name: string, stat: Stat): Node | undefined {
    for (const key of keys(parent, name, stat)) {
      const node = this.#byKey.get(key)
      if (node === undefined || !isSame(node, stat)) continue
      if (!hasNames(stat) || (node.parent === parent.id && node.name === name)) return node
    }
    return undefined
  }

  #make(parent: Node, name: string, stat: Stat): Node {
    const node: Node = {
      id: this.#next++,
      key: keys(parent, name, stat)[0],
      ino: stat.ino,
      dev: stat.dev,
      type: stat.mode & FILE_TYPE,
      born: stat.btime,
      parent: parent.id,
      name,
      lookups: 0,
      fd: null,
      retired: [],
      pins: 0,
      openedAs: null,
      told: null,
      toldOthers: false,
      kept: null,
      lost: false,
    }
    this.#byId.set(node.id, node)
    this.#byKey.set(node.key, node)
    return node
  }

  /** One step from the parent's descriptor, and only to the very object the number was given for. */
  #find(node: Node): number {
    // Forgotten while an effect was under way: opened again it would belong to nobody, and stay open.
    if (this.#byId.get(node.id) !== node) throw hostError('ESTALE', node.name)
    const parent = this.#byId.get(node.parent)
    if (parent === undefined) throw hostError('ESTALE', node.name)
    const dir = this.descriptor(parent)
    let opened = openBeneath(this.#sys, dir, node.name, this.#sys.flags.NOFOLLOW, RESOLVE.NO_SYMLINKS)
    if (!opened.ok && (opened.errno === 'EMFILE' || opened.errno === 'ENFILE')) {
      this.#giveUp(Math.ceil(this.#open.size / 2), parent)
      opened = openBeneath(this.#sys, dir, node.name, this.#sys.flags.NOFOLLOW, RESOLVE.NO_SYMLINKS)
    }
    if (!opened.ok) throw hostError(opened.errno === 'ENOENT' || opened.errno === 'ENOTDIR' ? 'ESTALE' : opened.errno, node.name)
    const stat = this.#sys.stat(opened.value, '')
    if (stat.ok && isSame(node, stat.value)) return opened.value
    this.#sys.close(opened.value)
    throw hostError('ESTALE', node.name)
  }

  #giveUp(count: number, except: Node): void {
    let left = count
    for (const node of this.#open.values()) {
      if (left === 0) return
      if (node.pins > 0 || node === except || node.fd === null) continue
      this.#close(node)
      left -= 1
    }
  }

  /** An effect under way keeps the descriptor it has: it is closed when nothing uses the node any more. */
  #replace(node: Node, fd: number): void {
    if (node.pins > 0 && node.retired.length >= MAX_RETIRED) {
      this.#sys.close(fd)
      return
    }
    if (node.fd !== null) node.retired.push(node.fd)
    node.fd = fd
    if (node.pins === 0) this.#closeRetired(node)
  }

  #isNamed(node: Node): boolean {
    try {
      return node.fd !== null && guestPathOf(this.#sys, this.#mount, node.fd, '') !== ''
    } catch {
      return false
    }
  }

  #closeRetired(node: Node): void {
    for (const fd of node.retired.splice(0)) this.#sys.close(fd)
  }

  #close(node: Node): void {
    if (node.fd !== null) this.#sys.close(node.fd)
    node.fd = null
    this.#open.delete(node.id)
  }

  #drop(node: Node): void {
    if (node.lookups > 0 || node.pins > 0 || node.id === ROOT_NODE) return
    this.#close(node)
    this.#byId.delete(node.id)
    if (this.#byKey.get(node.key) === node) this.#byKey.delete(node.key)
    this.#dropped(node)
  }
}

function hasNames(stat: Stat): boolean {
  return stat.nlink > 1 && (stat.mode & FILE_TYPE) !== DIRECTORY
}

function keys(parent: Node, name: string, stat: Stat): readonly [string, ...string[]] {
  const one = `${stat.dev}:${stat.ino}`
  const named = `${one}:${parent.id}/${name}`
  return hasNames(stat) ? [named, one] : [one, named]
}

/** An inode number is used again after a deletion; its birth tells the difference where the file system keeps it. */
function isSame(node: Node, stat: Stat): boolean {
  return (
    node.ino === stat.ino &&
    node.dev === stat.dev &&
    node.type === (stat.mode & FILE_TYPE) &&
    node.born.s === stat.btime.s &&
    node.born.ns === stat.btime.ns
  )
}
