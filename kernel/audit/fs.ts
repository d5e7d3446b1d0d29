/**
 * All the log knows of a file system. Everything is synchronous: a flush blocks the gate on purpose (an asynchronous fdatasync costs 50 µs more and wins nothing in a gate-only process).
 * Every method throws the system's error, whose `code` is an errno name.
 */
export interface FileFacts {
  readonly kind: 'file' | 'folder' | 'symlink' | 'other'
  readonly size: number
  /** Permission bits. */
  readonly mode: number
  readonly uid: number
  readonly links: number
}

/** `create`: must not exist, read and write, 0600. `write`: exists, read and write. Symbolic links are never followed. */
export type OpenHow = 'read' | 'write' | 'create'

export interface AuditFs {
  /** Effective uid of this process. */
  readonly uid: number
  open(path: string, how: OpenHow): number
  /** Bytes read; 0 at the end. */
  read(fd: number, into: Uint8Array, position: number): number
  /** Writes bytes [from, to) at `position` of the file. Bytes written; may be fewer than asked. */
  write(fd: number, bytes: Uint8Array, from: number, to: number, position: number): number
  /** The device may begin with what was written there, while the caller does something else. Promises nothing, may do nothing, never throws. */
  startWriting(fd: number, position: number, bytes: number): void
  /** Data and the size are on stable storage when it returns. */
  datasync(fd: number): void
  truncate(fd: number, size: number): void
  close(fd: number): void
  stat(fd: number): FileFacts
  /** Facts of the name itself, null when there is none. */
  lstat(path: string): FileFacts | null
  realPath(path: string): string
  list(folder: string): readonly string[]
  /** One folder, 0700. */
  makeFolder(path: string): void
  rename(from: string, to: string): void
  remove(path: string): void
  /** An empty folder. */
  removeFolder(path: string): void
  /** Names in the folder are on stable storage when it returns. */
  syncFolder(path: string): void
  /** Takes the exclusive lock of an open file, or says false when another open file has it. Let go by close and by death. */
  tryLock(fd: number): boolean
}
