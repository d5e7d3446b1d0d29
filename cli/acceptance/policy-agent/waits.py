"""Does what its words say, one after the other: `write PATH`, `keep PATH` (open and write until it is refused), `until PATH` (try to write until it is allowed),
`idle HOST:PORT` (connect, say nothing, wait for the end of it)."""

import sys
import time

sys.path.insert(0, sys.argv[1])
import authority  # noqa: E402

DEADLINE_S = 40


def attempt(gate, path):
    try:
        gate.fs.write_file(path, b"x")
        return "ok"
    except authority.AuthorityError as error:
        return error.code


def keep(gate, path):
    file = gate.fs.open(path, "w")
    print("opened", flush=True)
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        try:
            file.write(b"x")
        except authority.AuthorityError as error:
            return error.code
        time.sleep(0.05)
    return "late"


def idle(gate, place):
    host, port = place.split(":")
    stream = gate.net.connect(host, int(port))
    print("connected", flush=True)
    try:
        return f"ended after {stream.read()!r}"
    except authority.AuthorityError as error:
        return error.code


def until(gate, path):
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        if attempt(gate, path) == "ok":
            return "ok"
        time.sleep(0.05)
    return "late"


with authority.connect() as gate:
    for what, path in zip(sys.argv[2::2], sys.argv[3::2]):
        print(what, path, {"write": attempt, "keep": keep, "until": until, "idle": idle}[what](gate, path), flush=True)
