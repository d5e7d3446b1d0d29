"""Makes the homes of fixtures/vectors/audit/logs.json and asks this verifier of each."""

import base64
import zlib

from authority.audit import verify


def unpack(text):
    return zlib.decompress(base64.b64decode(text))


def apply_edit(files, edit, logs):
    name, op = edit["file"], edit["op"]
    data = files.get(name, b"")
    if op == "remove":
        files.pop(name, None)
    elif op == "cut":
        files[name] = data[: edit["to"]]
    elif op == "flip":
        files[name] = data[: edit["at"]] + bytes([data[edit["at"]] ^ edit["mask"]]) + data[edit["at"] + 1 :]
    elif op == "append":
        files[name] = data + unpack(edit["zlib"])
    elif op == "write":
        files[name] = unpack(edit["zlib"])
    elif op == "copy":
        files[name] = logs[edit["log"]].get(edit["from"], b"")
    else:
        raise ValueError(op)


def lay_out(home, files):
    for name, data in files.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def ask(home, case):
    anchors = []
    for number, text in enumerate(case.get("anchors", ())):
        path = home / ("anchor-%d" % number)
        path.write_bytes(text.encode())
        anchors.append(str(path))
    known = case.get("installation") is not False
    return verify(
        str(home / case["run"]),
        installation=str(home / "installation") if known else None,
        run=case["run"] if known else None,
        keys=[case["key"]] if "key" in case else [],
        anchors=anchors,
        require=case.get("require", "self-attested"),
    )
