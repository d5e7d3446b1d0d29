/** Bounds of the file effects. What a peer may send at most stands in protocol/src/limits.ts; these are the gate's own. */

/** Tries of one openat2 that answers EAGAIN because a rename raced with a `..` on its way. */
export const RESOLVE_TRIES = 32
/** Symbolic links followed when finding out where a dangling path leads, as Linux's own 40. */
export const MAX_LINKS = 40
/** ms to wait for another run's name change on the same mount root. */
export const NAME_LOCK_DEADLINE_MS = 5_000
/** ms between two looks at a taken name lock. */
export const NAME_LOCK_STEP_MS = 2
/** Folders of a mount remembered as taking every name as it is. */
export const MAX_EXACT_FOLDERS = 16_384
/** Entries below a directory that is renamed: each one's old and new name is decided. Above it EXDEV, on which programs copy file by file. */
export const MAX_MOVED_ENTRIES = 1024
/** Bytes a handle opened for reading leases at first, at most: the file's size up to this. */
export const READ_LEASE_BYTES = 8 << 20
/** Bytes a handle opened for writing leases at first. */
export const WRITE_LEASE_BYTES = 4 << 20
/** Bytes any handle leases at least, when there are that many left. */
export const MIN_LEASE_BYTES = 64 << 10
/** Bytes of names in one fs.readdir answer: fits a frame with room for what surrounds each name. */
export const MAX_LISTING_BYTES = 512 << 10
/** Bytes of the buffer for getdents64. */
export const DIRENT_BYTES = 64 << 10
/** Largest file size or offset: u64 on the wire, exact as a number here. */
export const MAX_OFFSET = Number.MAX_SAFE_INTEGER

/** ms between two looks at who waits long: what an interrupted or killed program waits at most for its end. */
export const INTERRUPTION_STEP_MS = 100
/** Waiting requests asked after at one look. */
export const MAX_INTERRUPTION_QUESTIONS = 64

/** fallocate(2) modes: room beyond the end does not lengthen the file; a hole is made; a range reads as zeros. */
export const FALLOC = { KEEP_SIZE: 0x01, PUNCH_HOLE: 0x02, ZERO_RANGE: 0x10 } as const

/** FUSE: nodes one mount may have; beyond it a lookup answers ENFILE. */
export const MAX_NODES = 262_144
/** FUSE: nodes that keep their O_PATH descriptor; the longest unused give theirs up and are found again by parent, name and identity. */
export const MAX_NODE_DESCRIPTORS = 4_096
/** FUSE: open files and directories of one mount; beyond it an open answers ENFILE. */
export const MAX_FUSE_HANDLES = 4_096
/** FUSE: requests of one mount being worked on; beyond it a request answers EAGAIN. */
export const MAX_FUSE_IN_FLIGHT = 512
/** FUSE: bytes of requests being worked on and of their answers, all mounts of a run; beyond it a request answers EAGAIN. */
export const MAX_FUSE_PENDING_BYTES = 64 << 20
/** FUSE: bytes of one message: the largest write with its headers. */
export const MAX_FUSE_MESSAGE_BYTES = (512 << 10) + 4096
/** FUSE: entries of one BATCH_FORGET: as many as fit a message. */
export const FORGET_ENTRY_BYTES = 16
/** FUSE: owners of POSIX locks on one mount, each a descriptor; beyond it a lock answers ENOLCK. */
export const MAX_LOCK_OWNERS = 1_024
/** FUSE: byte ranges locked on one mount, which the host's kernel keeps in mind; beyond it ENOLCK. */
export const MAX_LOCK_RANGES = 2_048
/** FUSE: programs of one mount that wait for a lock; beyond it ENOLCK. Fewer than requests under way, or nothing else would get through. */
export const MAX_LOCK_WAITERS = 128
/** ms between two tries for a lock somebody else holds, at first and at most. */
export const LOCK_STEP_MS = 1
export const MAX_LOCK_STEP_MS = 32
/** FUSE: seconds the guest may keep names and attributes of files in a folder that is followed; what changed is taken back within FUSE_VALID_SECONDS. */
export const FOLLOWED_VALID_SECONDS = 300
/** FUSE: ms between two looks at what changed in followed folders: with what else takes time, well within FUSE_VALID_SECONDS. */
export const FOLLOW_STEP_MS = 250
/** FUSE: folders of one mount that are followed, each an inotify watch of the user: beyond it nothing is kept long. */
export const MAX_FOLLOWED_FOLDERS = 4_096
/** FUSE: files of one mount whose change is taken back from the guest; others are kept briefly. */
export const MAX_KEPT_FILES = 65_536
/** FUSE: ms without a change before a file is kept long: what is written at now is not worth a message for each write. */
export const QUIET_MS = 5_000
/** FUSE: ms within which a guest may not have taken in what it was told. */
export const YOUNG_MS = 1_000
/** Bytes of changes read at once, and reads for one look: as many as the host's kernel keeps. */
export const FOLLOW_BYTES = 64 << 10
export const FOLLOW_READS = 64
/** FUSE: seconds the guest may keep, where a mount says nothing else, attributes and names, present or absent: the bound on staleness after a change on the host. */
export const FUSE_VALID_SECONDS = 1
