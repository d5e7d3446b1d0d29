import type { ErofsReader, Stat } from './erofs/reader.ts'
import { MAX_MANIFEST_BYTES, MAX_POLICY_BYTES } from './limits.ts'
import { MANIFEST_PATH, type Manifest, POLICY_PATH, parseManifest } from './manifest.ts'

/** What `authority inspect` shows. The image may be anybody's: everything here comes through the bounded reader. */
export function readManifest(reader: ErofsReader): Manifest {
  return parseManifest(reader.readFile(MANIFEST_PATH, MAX_MANIFEST_BYTES))
}

/** The policy the image asks for, as bytes, or undefined. */
export function readImagePolicy(reader: ErofsReader): Buffer | undefined {
  return reader.stat(POLICY_PATH) === undefined ? undefined : reader.readFile(POLICY_PATH, MAX_POLICY_BYTES)
}

export interface TreeLine {
  readonly path: string
  readonly kind: Stat['kind']
  readonly mode: number
  readonly size: number
  readonly mtime: Stat['mtime']
  /** Symlinks only. */
  readonly target?: string
}

/** Every file, parents first. */
export function* imageTree(reader: ErofsReader): Generator<TreeLine> {
  for (const { path, stat } of reader.walk()) {
    const line = { path, kind: stat.kind, mode: stat.mode, size: stat.size, mtime: stat.mtime }
    yield stat.kind === 'symlink' ? { ...line, target: reader.readlink(stat.nid) } : line
  }
}

/** Files, directories, symlinks and bytes of content. */
export function imageTotals(reader: ErofsReader): {
  readonly files: number
  readonly dirs: number
  readonly symlinks: number
  readonly bytes: number
} {
  const totals = { files: 0, dirs: 0, symlinks: 0, bytes: 0 }
  for (const { stat } of reader.walk()) {
    if (stat.kind === 'file') {
      totals.files += 1
      totals.bytes += stat.size
    } else if (stat.kind === 'dir') totals.dirs += 1
    else totals.symlinks += 1
  }
  return totals
}
