"""Runs fixtures/vectors/audit/logs.json: what this verifier says of each log must be what stands there."""

from __future__ import annotations

import base64
import json
import os
import tempfile
import zlib
from typing import Any

from ._verify import verify

Files = dict[str, bytes]


def _unpack(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text))


def _apply(files: Files, edit: dict[str, Any], logs: dict[str, Files]) -> None:
    name, op = edit["file"], edit["op"]
    data = files.get(name, b"")
    if op == "remove":
        files.pop(name, None)
    elif op == "cut":
        files[name] = data[: edit["to"]]
    elif op == "flip":
        files[name] = data[: edit["at"]] + bytes([data[edit["at"]] ^ edit["mask"]]) + data[edit["at"] + 1 :]
    elif op == "append":
        files[name] = data + _unpack(edit["zlib"])
    elif op == "write":
        files[name] = _unpack(edit["zlib"])
    elif op == "copy":
        files[name] = logs[edit["log"]].get(edit["from"], b"")
    else:
        raise ValueError(op)


def _answer(files: Files, case: dict[str, Any]) -> tuple[str, int]:
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files.items():
            path = os.path.join(folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(data)
        known = case.get("installation") is not False
        verdict = verify(
            os.path.join(folder, case["run"]),
            installation=os.path.join(folder, "installation") if known else None,
            run=case["run"] if known else None,
            key=case.get("key"),
            anchors=tuple(case.get("anchors", ())),
            require=case.get("require", "self-attested"),
        )
        return verdict.status, verdict.exit_code


def run(path: str) -> int:
    """Prints a line for each case that disagrees, then a count. 0 when none does."""
    with open(path, encoding="utf-8") as file:
        vectors = json.load(file)
    logs = {name: {file: _unpack(text) for file, text in files.items()} for name, files in vectors["logs"].items()}
    wrong = 0
    for case in vectors["cases"]:
        files = dict(logs[case["log"]])
        for edit in case["edits"]:
            _apply(files, edit, logs)
        said = _answer(files, case)
        if said != (case["status"], case["exit"]):
            wrong += 1
            print(f"{case['name']}: {said}, expected {(case['status'], case['exit'])}")
    print(f"{len(vectors['cases'])} cases, {wrong} disagree")
    return 1 if wrong else 0
