import type { ErofsReader } from '../image/index.ts'

/**
 * Guest folders that become tmpfs: those the policy lets be written and that no mount covers. The folder of a pattern is what stands before its first wildcard
 * (of a literal file: its parent). Never one that holds files of the image, which a tmpfs would hide, nor one that touches a mount.
 */
export function scratchFolders(writePatterns: readonly string[], mounts: readonly string[], image: ErofsReader): string[] {
  const folders = new Set<string>()
  for (const pattern of writePatterns) {
    const folder = fixedFolder(pattern)
    if (folder === null || mounts.some((mount) => overlaps(folder, mount)) || holdsFiles(image, folder)) continue
    folders.add(folder)
  }
  return [...folders].filter((folder) => ![...folders].some((other) => other !== folder && isBelow(folder, other))).sort()
}

/** `/tmp/**` → `/tmp`; `/out/report.md` → `/out`; null where no folder below `/` is fixed. */
export function fixedFolder(pattern: string): string | null {
  const parts = pattern.split('/').slice(1)
  const wild = parts.findIndex((part) => /[*?[{]/.test(part))
  const fixed = wild === -1 ? parts.slice(0, -1) : parts.slice(0, wild)
  return fixed.length === 0 || fixed.includes('') ? null : `/${fixed.join('/')}`
}

function overlaps(a: string, b: string): boolean {
  return a === b || isBelow(a, b) || isBelow(b, a)
}

function isBelow(path: string, folder: string): boolean {
  return path.startsWith(`${folder}/`)
}

function holdsFiles(image: ErofsReader, folder: string): boolean {
  const stat = image.stat(folder)
  return stat !== undefined && (stat.kind !== 'dir' || image.list(folder).length > 0)
}
