import { checkEntry, type DirEntry, dirEntry, type Entry } from './entries.ts'
import { ImageError } from './errors.ts'
import { MAX_IMAGE_BYTES, MAX_IMAGE_ENTRIES } from './limits.ts'

/** A named stream of entries. Layers are merged in order: later files and symlinks win, directories merge. */
export interface Layer {
  /** For messages and the manifest: `base`, `python3`, `app`. */
  readonly name: string
  readonly entries: Iterable<Entry>
}

export interface TreeNode {
  entry: Entry
  /** By name, in byte order of the names; only directories have some. */
  children: Map<string, TreeNode>
}

/**
 * One tree out of layers. Missing parents become plain 0755 directories. Through a symlink that an earlier layer made of a
 * directory (`/lib` → `usr/lib`) later entries land where it points, as unpacking on a real system would put them.
 * A directory in the place of a file, or the reverse, is an error: layers that disagree so are a mistake, not a choice.
 */
export function mergeLayers(layers: Iterable<Layer>): TreeNode {
  const root: TreeNode = { entry: dirEntry('/'), children: new Map() }
  let count = 1
  let bytes = 0
  for (const layer of layers) {
    for (const entry of layer.entries) {
      checkEntry(entry, layer.name)
      if (entry.path === '/') {
        root.entry = entry
        continue
      }
      count += place(root, entry, layer.name)
      if (count > MAX_IMAGE_ENTRIES) throw new ImageError('too-big', `${layer.name}: the image holds more than ${MAX_IMAGE_ENTRIES} files`)
      if (entry.kind === 'file') bytes += entry.content.size
      if (bytes > MAX_IMAGE_BYTES) throw new ImageError('too-big', `${layer.name}: the image holds more than ${MAX_IMAGE_BYTES} bytes`)
    }
  }
  sortChildren(root)
  return root
}

/** Puts one entry into the tree; returns how many nodes were added. */
function place(root: TreeNode, entry: Entry, layer: string): number {
  const parts = entry.path.slice(1).split('/')
  const name = parts.pop() ?? ''
  let added = 0
  const parent = descend(
    root,
    parts,
    (node, part, path) => {
      const made: TreeNode = { entry: dirEntry(path), children: new Map() }
      node.children.set(part, made)
      added += 1
      return made
    },
    `${layer}: ${entry.path}`,
  )
  const path = joinPath(parent.entry.path, name)
  const placed = path === entry.path ? entry : { ...entry, path }
  const existing = parent.children.get(name)
  if (existing === undefined) {
    parent.children.set(name, { entry: placed, children: new Map() })
    return added + 1
  }
  if (existing.entry.kind === 'dir' && placed.kind === 'dir') existing.entry = placed
  else if (existing.entry.kind === 'dir' || (placed.kind === 'dir' && existing.entry.kind === 'file'))
    throw conflict(layer, placed, existing.entry)
  else if (placed.kind === 'dir') {
    // a directory where an earlier layer has a symlink to one: keep the link, as dpkg does (/lib on a merged /usr)
    descend(root, path.slice(1).split('/'), () => undefined, `${layer}: ${path}`)
  } else existing.entry = placed
  return added
}

function conflict(layer: string, entry: Entry, existing: Entry): ImageError {
  return new ImageError('bad-input', `${layer}: ${entry.path} is a ${entry.kind} here and a ${existing.kind} in an earlier layer`, {
    hint: 'rename it in the program folder, or map it to another place',
  })
}

/** Walks down directories and through symlinks; `make` is asked for what is missing (undefined: an error). */
function descend(
  root: TreeNode,
  path: readonly string[],
  make: (node: TreeNode, part: string, path: string) => TreeNode | undefined,
  where: string,
): TreeNode {
  const rest = [...path].reverse()
  const above: TreeNode[] = [root]
  let hops = 0
  while (rest.length > 0) {
    const part = rest.pop() ?? ''
    if (part === '' || part === '.') continue
    if (part === '..') {
      if (above.length > 1) above.pop()
      continue
    }
    const here = above[above.length - 1] ?? root
    const next = here.children.get(part) ?? make(here, part, joinPath(here.entry.path, part))
    if (next === undefined) throw new ImageError('bad-input', `${where}: the symlink at ${joinPath(here.entry.path, part)} points nowhere`)
    if (next.entry.kind === 'file')
      throw new ImageError('bad-input', `${where}: ${next.entry.path} is a file in an earlier layer, not a directory`)
    if (next.entry.kind === 'symlink') {
      // 40 as in Linux: a loop of symlinks ends here
      if (++hops > 40) throw new ImageError('bad-input', `${where}: too many symlinks on the way`)
      if (next.entry.target.startsWith('/')) above.length = 1
      rest.push(...next.entry.target.split('/').reverse())
      continue
    }
    above.push(next)
  }
  return above[above.length - 1] ?? root
}

/** The node at an absolute path, symlinks on the way and at the end followed; undefined when there is none. */
export function lookup(root: TreeNode, path: string): TreeNode | undefined {
  const parts = path.split('/').filter((part) => part !== '')
  const name = parts.pop()
  if (name === undefined) return root
  try {
    const parent = descend(root, parts, () => undefined, path)
    const node = parent.children.get(name)
    if (node?.entry.kind !== 'symlink') return node
    const target = node.entry.target.startsWith('/') ? node.entry.target : joinPath(parent.entry.path, node.entry.target)
    return target === path ? undefined : lookupDepth(root, target, 40)
  } catch (error) {
    if (error instanceof ImageError) return undefined
    throw error
  }
}

function lookupDepth(root: TreeNode, path: string, left: number): TreeNode | undefined {
  if (left === 0) return undefined
  const parts = path.split('/').filter((part) => part !== '' && part !== '.')
  const name = parts.pop()
  if (name === undefined) return root
  if (name === '..') return descend(root, [...parts, name], () => undefined, path)
  const parent = descend(root, parts, () => undefined, path)
  const node = parent.children.get(name)
  if (node?.entry.kind !== 'symlink') return node
  return lookupDepth(root, node.entry.target.startsWith('/') ? node.entry.target : joinPath(parent.entry.path, node.entry.target), left - 1)
}

function sortChildren(root: TreeNode): void {
  const stack = [root]
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    node.children = new Map([...node.children].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b))))
    stack.push(...node.children.values())
  }
}

/** All entries of a tree, parents first, siblings in byte order. */
export function* treeEntries(node: TreeNode): Generator<Entry> {
  yield node.entry
  for (const child of node.children.values()) yield* treeEntries(child)
}

export function isDir(entry: Entry): entry is DirEntry {
  return entry.kind === 'dir'
}

export function joinPath(dir: string, name: string): string {
  return dir === '/' ? `/${name}` : `${dir}/${name}`
}
