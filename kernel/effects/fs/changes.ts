/** What happened in a host folder that is followed. */

export interface FolderChange {
  /** The folder, by the number it was given. -1: changes of any folder may have been missed. */
  readonly watch: number
  /** `ended`: the folder is followed no longer. */
  readonly what: 'contents' | 'name' | 'ended' | 'missed'
  /** Of what changed in the folder; '' where it is the folder itself. */
  readonly name: string
}

/** Follows folders; every call answers at once. */
export interface Followed {
  /** Of the folder a descriptor holds; the same number for the same folder. null where the host follows no more. */
  add(folder: number): number | null
  remove(watch: number): void
  /** What happened since, in order; bounded, the rest comes with the next call. */
  take(): readonly FolderChange[]
  close(): void
}

/** struct inotify_event: watch, mask, cookie, length of the name with its zeros. */
const HEAD_BYTES = 16
const IN_MOVED = 0xc0
const IN_CREATE = 0x100
const IN_DELETE = 0x200
const IN_UNMOUNT = 0x2000
const IN_Q_OVERFLOW = 0x4000
const IN_IGNORED = 0x8000

/** Pure. What is cut off counts as missed. */
export function parseChanges(bytes: Uint8Array): FolderChange[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const changes: FolderChange[] = []
  for (let at = 0; at < bytes.byteLength; ) {
    const end = at + HEAD_BYTES
    const length = end <= bytes.byteLength ? view.getUint32(at + 12, true) : 0
    if (end + length > bytes.byteLength) return [...changes, MISSED]
    const [watch, mask] = [view.getInt32(at, true), view.getUint32(at + 4, true)]
    const name = bytes.subarray(end, end + length)
    changes.push(changeOf(watch, mask, new TextDecoder().decode(name.subarray(0, name.includes(0) ? name.indexOf(0) : length))))
    at = end + length
  }
  return changes
}

const MISSED: FolderChange = { watch: -1, what: 'missed', name: '' }

function changeOf(watch: number, mask: number, name: string): FolderChange {
  if ((mask & IN_Q_OVERFLOW) !== 0) return MISSED
  if ((mask & (IN_IGNORED | IN_UNMOUNT)) !== 0) return { watch, what: 'ended', name: '' }
  return { watch, what: (mask & (IN_MOVED | IN_CREATE | IN_DELETE)) !== 0 ? 'name' : 'contents', name }
}
