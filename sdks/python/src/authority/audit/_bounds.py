"""The numbers of FORMAT.md, and what this verifier holds in memory at most."""

# --- FORMAT.md
FORMAT_VERSION = 1
MAX_SEGMENT_BYTES = 64 << 20
HEADER_BYTES = 4096
FRAME_HEAD_BYTES = 48
MAX_ORIGIN_BYTES = 262
MIN_PAYLOAD_BYTES = 2
MAX_PAYLOAD_BYTES = 61_440
SECTOR_BYTES = 512
# The longest write a crash may leave unfinished.
MAX_TORN_BYTES = (4 << 20) + (64 << 10)
# A note with the empty line behind it, and so what a crash may leave of one.
MAX_NOTE_BYTES = 4096
MAX_KEY_LINE_BYTES = 1024
MAX_KEY_CHAIN_BYTES = 64 << 10
MAX_INTEGER = 2**53 - 1
MAX_DEPTH = 64
MAX_OPEN_EFFECTS = 131_072
MAX_ACCOUNTS = 16_384
MAX_LEASING_RUNS = 16_384
# Runs that ended last, of which what they spent of the shared budget can be adjusted.
MAX_ADJUSTABLE_RUNS = 16_384
# Of one run.
MAX_ADJUSTMENTS = 4096
MAX_CPUS = 1024
# Accounts without a limit that are remembered as charged; beyond them no further account may get limits.
MAX_UNLIMITED_ACCOUNTS = 131_072
# Records one flush may hold.
MAX_FLUSH_RECORDS = 65_535
# ms of wall_time_ms and cpu_ms a TIME record may be over, for each CPU.
TIME_SLICE_MS = 250
COMMITMENT_KEY_BYTES = 32

# --- ours: beyond these a log is refused, not believed.
# Entries of one log folder.
MAX_FOLDER_ENTRIES = 1 << 20
# Runs one installation log may name, and sizes it may note of one run.
MAX_RUNS = 1 << 20
MAX_NOTED_SIZES = 1 << 20
# One read of a file.
CHUNK_BYTES = 1 << 20
