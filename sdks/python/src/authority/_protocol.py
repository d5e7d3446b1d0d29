# Generated from protocol/src by `bun protocol/generate.ts`; do not edit.
"""Numbers and names of the wire. protocol/SPEC.md says what they mean."""

from typing import Any, Dict, NamedTuple, Tuple

# A type is a tuple: ("text" | "bytes" | "uint", greatest, least), ("int",), ("bool",), ("values", greatest),
# ("list", type, greatest), ("tuple", names, types), ("optional", type). Bounds of texts and byte strings count bytes.
FieldType = Tuple[Any, ...]


class Operation(NamedTuple):
    code: int
    args: Tuple[str, ...]
    result: Tuple[str, ...]
    arg_types: Tuple[FieldType, ...]
    result_types: Tuple[FieldType, ...]


class Message(NamedTuple):
    number: int
    fields: Tuple[str, ...]
    types: Tuple[FieldType, ...]


class ErrorCode(NamedTuple):
    number: int
    errno: str
    meaning: str


PROTOCOL_VERSION = 1
GENERATION = 1
MAX_FRAME_BYTES = 1048576
LINK_HEADER_BYTES = 8
MAX_ITEM_BYTES = 1048572
MAX_CHUNK_BYTES = 65536
MAX_CBOR_DEPTH = 8
MAX_CBOR_VALUES = 32768
MAX_CBOR_ARRAY = 4096
MAX_PATH_BYTES = 4096
MAX_NAME_BYTES = 255
MAX_HOST_BYTES = 253
MAX_TOKEN_BYTES = 6144
MAX_DEADLINE_MS = 600000
INITIAL_STREAM_CREDIT = 262144

MESSAGE_HELLO = 1
MESSAGE_WELCOME = 2
MESSAGE_REQUEST = 3
MESSAGE_RESULT = 4
MESSAGE_ERROR = 5
MESSAGE_CANCEL = 6
MESSAGE_STREAM_DATA = 7
MESSAGE_STREAM_END = 8
MESSAGE_STREAM_CREDIT = 9
MESSAGE_STREAM_RESET = 10
MESSAGE_GOODBYE = 11

OPEN_READ = 1
OPEN_WRITE = 2
OPEN_APPEND = 4
OPEN_CREATE = 8
OPEN_EXCLUSIVE = 16
OPEN_TRUNCATE = 32

RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2

ERRORS: Dict[str, ErrorCode] = {
    "E_PROTOCOL": ErrorCode(
        1,
        "EPROTO",
        "the peer broke the protocol",
    ),
    "E_FRAME_TOO_LARGE": ErrorCode(
        2,
        "EMSGSIZE",
        "a frame or field exceeds its limit",
    ),
    "E_UNSUPPORTED": ErrorCode(
        3,
        "EOPNOTSUPP",
        "the operation is known but not available here",
    ),
    "E_CAP_MISSING": ErrorCode(
        10,
        "EACCES",
        "no capability covers the request",
    ),
    "E_CAP_INVALID": ErrorCode(
        11,
        "EACCES",
        "the token or handle is not genuine",
    ),
    "E_CAP_EXPIRED": ErrorCode(
        12,
        "EACCES",
        "the token is outside its time",
    ),
    "E_CAP_SCOPE": ErrorCode(
        13,
        "EACCES",
        "a block of the token does not allow this",
    ),
    "E_CAP_REVOKED": ErrorCode(
        14,
        "EACCES",
        "the token or an ancestor was revoked",
    ),
    "E_CAP_RATE": ErrorCode(
        15,
        "EAGAIN",
        "the token is used too often",
    ),
    "E_CAP_RUN": ErrorCode(
        16,
        "EACCES",
        "the token belongs to another run, installation or channel",
    ),
    "E_POLICY_DENY": ErrorCode(
        20,
        "EACCES",
        "no policy rule allows this, or one denies it",
    ),
    "E_APPROVAL_REQUIRED": ErrorCode(
        21,
        "EACCES",
        "a person must approve this first",
    ),
    "E_APPROVAL_DENIED": ErrorCode(
        22,
        "EACCES",
        "a person refused this",
    ),
    "E_BUDGET_EXCEEDED": ErrorCode(
        30,
        "EDQUOT",
        "the worst case does not fit what is left of a budget",
    ),
    "E_RATE_LIMIT": ErrorCode(
        31,
        "EAGAIN",
        "too many requests for now",
    ),
    "E_AUDIT": ErrorCode(
        40,
        "EIO",
        "the audit log cannot be written, so nothing is allowed",
    ),
    "E_NOT_FOUND": ErrorCode(
        50,
        "ENOENT",
        "no such object",
    ),
    "E_EXISTS": ErrorCode(
        51,
        "EEXIST",
        "the object exists already",
    ),
    "E_CONFLICT": ErrorCode(
        52,
        "EINVAL",
        "the object is of another kind or state than the request needs",
    ),
    "E_IO": ErrorCode(
        53,
        "EIO",
        "the host refused the system call",
    ),
    "E_TIMEOUT": ErrorCode(
        54,
        "ETIMEDOUT",
        "the deadline passed",
    ),
    "E_CANCELLED": ErrorCode(
        55,
        "ECANCELED",
        "the caller or the end of the run cancelled it",
    ),
    "E_UPSTREAM": ErrorCode(
        56,
        "ECONNREFUSED",
        "the remote end failed",
    ),
    "E_INTERNAL": ErrorCode(
        57,
        "EIO",
        "a fault in the gate; nothing was allowed by it, and what had begun is told by its record",
    ),
}

ERROR_NAMES: Dict[int, str] = {row.number: name for name, row in ERRORS.items()}

MESSAGES: Dict[str, Message] = {
    "HELLO": Message(
        1,
        ("version", "generation", "client", "token"),
        (("uint", 4294967295, 0), ("uint", 4294967295, 1), ("text", 256, 0), ("optional", ("text", 6144, 0))),
    ),
    "WELCOME": Message(
        2,
        ("version", "generation", "run", "max_in_flight", "max_streams", "stream_credit", "handle"),
        (("uint", 4294967295, 0), ("uint", 4294967295, 1), ("text", 64, 0), ("uint", 256, 1), ("uint", 256, 1), ("uint", 4294967295, 0), ("uint", 4294967295, 0)),
    ),
    "REQUEST": Message(
        3,
        ("id", "operation", "deadline_ms", "handle", "args"),
        (("uint", 9007199254740991, 1), ("uint", 65535, 0), ("uint", 600000, 0), ("uint", 4294967295, 0), ("values", 4096)),
    ),
    "RESULT": Message(
        4,
        ("id", "result"),
        (("uint", 9007199254740991, 1), ("values", 4096)),
    ),
    "ERROR": Message(
        5,
        ("id", "code", "message", "errno", "denial"),
        (("uint", 9007199254740991, 1), ("uint", 65535, 0), ("text", 4096, 0), ("text", 32, 0), ("optional", ("tuple", ("permission", "object", "fix", "seq"), (("text", 64, 0), ("text", 8192, 0), ("text", 65536, 0), ("uint", 9007199254740991, 0))))),
    ),
    "CANCEL": Message(
        6,
        ("id",),
        (("uint", 9007199254740991, 1),),
    ),
    "STREAM_DATA": Message(
        7,
        ("stream", "data"),
        (("uint", 4294967295, 1), ("bytes", 65536, 1)),
    ),
    "STREAM_END": Message(
        8,
        ("stream",),
        (("uint", 4294967295, 1),),
    ),
    "STREAM_CREDIT": Message(
        9,
        ("stream", "bytes"),
        (("uint", 4294967295, 1), ("uint", 4294967295, 1)),
    ),
    "STREAM_RESET": Message(
        10,
        ("stream", "code", "message"),
        (("uint", 4294967295, 1), ("uint", 65535, 0), ("text", 4096, 0)),
    ),
    "GOODBYE": Message(
        11,
        ("code", "message"),
        (("uint", 65535, 0), ("text", 4096, 0)),
    ),
}

OPERATIONS: Dict[str, Operation] = {
    "session.ping": Operation(
        0x0001,
        ("payload",),
        ("payload",),
        (("bytes", 1024, 0),),
        (("bytes", 1024, 0),),
    ),
    "session.approvals": Operation(
        0x0030,
        ("mode",),
        (),
        (("text", 8, 0),),
        (),
    ),
    "cap.bind": Operation(
        0x0010,
        ("token",),
        ("handle",),
        (("text", 6144, 0),),
        (("uint", 4294967295, 0),),
    ),
    "cap.release": Operation(
        0x0011,
        ("handle",),
        (),
        (("uint", 4294967295, 0),),
        (),
    ),
    "cap.self": Operation(
        0x0012,
        (),
        ("token",),
        (),
        (("text", 6144, 0),),
    ),
    "budget.status": Operation(
        0x0020,
        (),
        ("rows",),
        (),
        (("list", ("tuple", ("account", "dimension", "limit", "captured", "reserved"), (("text", 128, 0), ("text", 32, 0), ("optional", ("uint", 9007199254740991, 0)), ("uint", 9007199254740991, 0), ("uint", 9007199254740991, 0))), 512),),
    ),
    "budget.history": Operation(
        0x0021,
        ("account",),
        ("rows",),
        (("text", 128, 0),),
        (("list", ("tuple", ("dimension", "points"), (("text", 32, 0), ("list", ("tuple", ("time_ms", "captured"), (("uint", 9007199254740991, 0), ("uint", 9007199254740991, 0))), 64))), 32),),
    ),
    "budget.marks": Operation(
        0x0022,
        ("after",),
        ("rows",),
        (("uint", 9007199254740991, 0),),
        (("list", ("tuple", ("number", "account", "dimension", "percent", "captured", "limit"), (("uint", 9007199254740991, 0), ("text", 128, 0), ("text", 32, 0), ("uint", 100, 0), ("uint", 9007199254740991, 0), ("uint", 9007199254740991, 0))), 64),),
    ),
    "fs.open": Operation(
        0x0100,
        ("path", "flags", "mode"),
        ("file", "size"),
        (("text", 4096, 0), ("uint", 63, 0), ("uint", 4095, 0)),
        (("uint", 4294967295, 0), ("uint", 9007199254740991, 0)),
    ),
    "fs.read": Operation(
        0x0101,
        ("file", "offset", "length"),
        ("data",),
        (("uint", 4294967295, 0), ("uint", 9007199254740991, 0), ("uint", 65536, 0)),
        (("bytes", 65536, 0),),
    ),
    "fs.write": Operation(
        0x0102,
        ("file", "offset", "data"),
        ("written",),
        (("uint", 4294967295, 0), ("uint", 9007199254740991, 0), ("bytes", 65536, 0)),
        (("uint", 9007199254740991, 0),),
    ),
    "fs.fsync": Operation(
        0x0103,
        ("file",),
        (),
        (("uint", 4294967295, 0),),
        (),
    ),
    "fs.close": Operation(
        0x0104,
        ("file",),
        (),
        (("uint", 4294967295, 0),),
        (),
    ),
    "fs.stat": Operation(
        0x0105,
        ("path",),
        ("kind", "size", "mode", "mtime_us", "nlink"),
        (("text", 4096, 0),),
        (("text", 16, 0), ("uint", 9007199254740991, 0), ("uint", 4095, 0), ("uint", 9007199254740991, 0), ("uint", 9007199254740991, 0)),
    ),
    "fs.readdir": Operation(
        0x0106,
        ("path", "cursor", "max"),
        ("entries", "next"),
        (("text", 4096, 0), ("uint", 9007199254740991, 0), ("uint", 4096, 0)),
        (("list", ("tuple", ("name", "kind"), (("text", 255, 0), ("text", 16, 0))), 4096), ("uint", 9007199254740991, 0)),
    ),
    "fs.mkdir": Operation(
        0x0107,
        ("path", "mode"),
        (),
        (("text", 4096, 0), ("uint", 4095, 0)),
        (),
    ),
    "fs.rmdir": Operation(
        0x0108,
        ("path",),
        (),
        (("text", 4096, 0),),
        (),
    ),
    "fs.unlink": Operation(
        0x0109,
        ("path",),
        (),
        (("text", 4096, 0),),
        (),
    ),
    "fs.rename": Operation(
        0x010a,
        ("from", "to", "flags"),
        (),
        (("text", 4096, 0), ("text", 4096, 0), ("uint", 3, 0)),
        (),
    ),
    "fs.truncate": Operation(
        0x010b,
        ("path", "size"),
        (),
        (("text", 4096, 0), ("uint", 9007199254740991, 0)),
        (),
    ),
    "fs.chmod": Operation(
        0x010c,
        ("path", "mode"),
        (),
        (("text", 4096, 0), ("uint", 4095, 0)),
        (),
    ),
    "fs.utimens": Operation(
        0x010d,
        ("path", "atime_us", "mtime_us"),
        (),
        (("text", 4096, 0), ("optional", ("uint", 9007199254740991, 0)), ("optional", ("uint", 9007199254740991, 0))),
        (),
    ),
    "fs.symlink": Operation(
        0x010e,
        ("path", "target"),
        (),
        (("text", 4096, 0), ("text", 4096, 0)),
        (),
    ),
    "fs.link": Operation(
        0x010f,
        ("from", "to"),
        (),
        (("text", 4096, 0), ("text", 4096, 0)),
        (),
    ),
    "fs.readlink": Operation(
        0x0110,
        ("path",),
        ("target",),
        (("text", 4096, 0),),
        (("text", 4096, 0),),
    ),
    "fs.fsyncdir": Operation(
        0x0111,
        ("path",),
        (),
        (("text", 4096, 0),),
        (),
    ),
    "net.dns": Operation(
        0x0200,
        ("name",),
        ("addresses",),
        (("text", 253, 0),),
        (("list", ("text", 45, 0), 16),),
    ),
    "net.connect": Operation(
        0x0201,
        ("host", "port"),
        ("stream", "address"),
        (("text", 253, 0), ("uint", 65535, 1)),
        (("uint", 4294967295, 0), ("text", 64, 0)),
    ),
    "net.fetch": Operation(
        0x0202,
        ("method", "url", "headers", "body", "max_bytes", "timeout_ms", "redirects", "body_stream", "body_bytes"),
        ("status", "url", "headers", "stream"),
        (("text", 16, 0), ("text", 8192, 0), ("list", ("tuple", ("name", "value"), (("text", 256, 0), ("text", 8192, 0))), 128), ("optional", ("bytes", 524288, 0)), ("uint", 9007199254740991, 0), ("uint", 600000, 0), ("uint", 10, 0), ("uint", 4294967295, 0), ("optional", ("uint", 9007199254740991, 0))),
        (("uint", 999, 0), ("text", 8192, 0), ("list", ("tuple", ("name", "value"), (("text", 256, 0), ("text", 8192, 0))), 256), ("uint", 4294967295, 0)),
    ),
    "net.listen": Operation(
        0x0203,
        ("port",),
        ("listener", "address"),
        (("uint", 65535, 1),),
        (("uint", 4294967295, 0), ("text", 64, 0)),
    ),
    "net.query": Operation(
        0x0204,
        ("packet", "tcp"),
        ("packet",),
        (("bytes", 1232, 0), ("bool",)),
        (("bytes", 1232, 0),),
    ),
    "net.accept": Operation(
        0x0205,
        ("listener",),
        ("port", "stream", "peer"),
        (("uint", 4294967295, 0),),
        (("uint", 65535, 1), ("uint", 4294967295, 0), ("text", 64, 0)),
    ),
    "net.close": Operation(
        0x0206,
        ("listener",),
        (),
        (("uint", 4294967295, 0),),
        (),
    ),
    "net.body": Operation(
        0x0207,
        (),
        ("body", "stream"),
        (),
        (("uint", 4294967295, 0), ("uint", 4294967295, 0)),
    ),
    "tool.call": Operation(
        0x0300,
        ("name", "arguments"),
        ("result",),
        (("text", 256, 0), ("bytes", 524288, 0)),
        (("bytes", 524288, 0),),
    ),
    "tool.list": Operation(
        0x0301,
        (),
        ("names",),
        (),
        (("list", ("text", 256, 0), 1024),),
    ),
    "infer.chat": Operation(
        0x0400,
        ("model", "body"),
        ("status", "stream"),
        (("text", 256, 0), ("bytes", 524288, 0)),
        (("uint", 999, 0), ("uint", 4294967295, 0)),
    ),
    "infer.models": Operation(
        0x0401,
        (),
        ("names",),
        (),
        (("list", ("text", 256, 0), 1024),),
    ),
    "state.get": Operation(
        0x0500,
        ("key",),
        ("value",),
        (("text", 1024, 0),),
        (("optional", ("bytes", 524288, 0)),),
    ),
    "state.put": Operation(
        0x0501,
        ("key", "value"),
        (),
        (("text", 1024, 0), ("bytes", 524288, 0)),
        (),
    ),
    "agent.spawn": Operation(
        0x0600,
        ("image", "arguments"),
        ("run",),
        (("text", 256, 0), ("bytes", 65536, 0)),
        (("text", 64, 0),),
    ),
    "image.open": Operation(
        0x0700,
        ("path", "exec"),
        (),
        (("text", 4096, 0), ("bool",)),
        (),
    ),
    "scratch.mount": Operation(
        0x0701,
        ("path",),
        (),
        (("text", 4096, 0),),
        (),
    ),
    "run.status": Operation(
        0x0800,
        (),
        ("json",),
        (),
        (("text", 65536, 0),),
    ),
    "run.stop": Operation(
        0x0801,
        ("reason",),
        (),
        (("text", 256, 0),),
        (),
    ),
    "cap.revoke": Operation(
        0x0802,
        ("block",),
        (),
        (("bytes", 16, 16),),
        (),
    ),
    "cap.mint": Operation(
        0x0803,
        ("grant", "not_before", "expires"),
        ("token",),
        (("text", 65536, 0), ("uint", 9007199254740991, 0), ("uint", 9007199254740991, 0)),
        (("text", 6144, 0),),
    ),
    "approvals.list": Operation(
        0x0804,
        (),
        ("json",),
        (),
        (("text", 524288, 0),),
    ),
    "approvals.decide": Operation(
        0x0805,
        ("id", "decision", "by"),
        ("json",),
        (("text", 64, 0), ("text", 8, 0), ("text", 128, 0)),
        (("text", 65536, 0),),
    ),
    "policy.reload": Operation(
        0x0806,
        ("source", "files", "by"),
        ("policy", "changes"),
        (("text", 4096, 0), ("list", ("tuple", ("name", "content"), (("text", 255, 0), ("bytes", 1048576, 0))), 64), ("text", 128, 0)),
        (("text", 64, 0), ("text", 65536, 0)),
    ),
    "policy.part": Operation(
        0x0807,
        ("source", "name", "offset", "content"),
        (),
        (("text", 4096, 0), ("text", 255, 0), ("uint", 9007199254740991, 0), ("bytes", 524288, 0)),
        (),
    ),
}
