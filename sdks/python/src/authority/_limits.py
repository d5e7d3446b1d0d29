"""Bounds of this client that are not the wire's own (those stand in _protocol.py)."""

VERSION = "0.1.0"
# What HELLO says of this client.
CLIENT_NAME = "authority-python " + VERSION
# Where the gate listens when neither `socket` nor AUTHORITY_SOCKET names another place.
DEFAULT_SOCKET = "/run/authority/gate.sock"
# ms to connect and be welcomed.
CONNECT_TIMEOUT_MS = 10_000
# ms one call waits when nobody says otherwise.
DEFAULT_TIMEOUT_MS = 60_000
# ms beyond the deadline a gate was told of, before its silence counts as its answer: it may take 2 s to settle an aborted effect.
ANSWER_GRACE_MS = 3_000
# ms a closing connection has to hand on what it has written.
CLOSE_TIMEOUT_MS = 2_000
# Bytes read_file, read and a response body hold when the caller names no other bound.
DEFAULT_MAX_BYTES = 64 << 20
# Bytes of a request body that goes with its request; a larger one is streamed.
MAX_WHOLE_BODY_BYTES = 512 * 1024
# Redirects net.fetch follows when the caller names no number.
DEFAULT_REDIRECTS = 10
# Entries one fs.readdir asks for.
DIRECTORY_PAGE = 1024
# Names of one directory.
MAX_DIRECTORY_ENTRIES = 1_000_000
# Pages in a row that bring no entry: what a gate may filter away, not a way to keep a client busy for ever.
MAX_EMPTY_PAGES = 1_000
# Bytes of a token file.
MAX_TOKEN_FILE_BYTES = 8 * 1024
# Bytes asked of the socket at once.
RECEIVE_BYTES = 256 * 1024
MAX_SAFE_INTEGER = (1 << 53) - 1
