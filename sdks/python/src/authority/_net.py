"""Names and connections, each decided by the gate, which alone has a network."""

from __future__ import annotations

import json
import math
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

from ._errors import invalid, make_error
from ._fs import decode_text
from ._limits import DEFAULT_MAX_BYTES, DEFAULT_REDIRECTS
from ._listener import Listener
from ._scope import Scope
from ._stream import ByteStream
from ._upload import Body, BodySource, Upload, body_of

Headers = Union[Mapping[str, str], Sequence[Tuple[str, str]]]


class Response:
    """The answer to a fetch. Its body is read once: by bytes(), text(), json(), or chunk by chunk by iterating."""

    def __init__(self, status: int, url: str, headers: List[Any], stream: ByteStream, max_bytes: int, timeout_ms: float) -> None:
        self.status = status
        # Where the answer came from, after redirects.
        self.url = url
        # As they came, in order.
        self.raw_headers: List[Tuple[str, str]] = [(name, value) for name, value in headers]
        # By lower-case name; values of a repeated one are joined with ", ".
        self.headers: Dict[str, str] = _joined(self.raw_headers)
        self._stream = stream
        self._max_bytes = max_bytes
        self._timeout_ms = timeout_ms
        self._taken = False

    @property
    def ok(self) -> bool:
        """Whether the status is 200 to 299."""
        return 200 <= self.status <= 299

    def bytes(self) -> bytes:
        return b"".join(self)

    def text(self) -> str:
        """As UTF-8. Raises E_CONFLICT when it is none."""
        return decode_text(self.bytes(), f"the body of {self.url}")

    def json(self) -> Any:
        """Raises E_CONFLICT when it is no JSON."""
        text = self.text()
        try:
            return json.loads(text)
        except ValueError:
            raise make_error("E_CONFLICT", f"the body of {self.url} is not JSON") from None

    def __iter__(self) -> "Iterator[bytes]":
        if self._taken:
            raise make_error("E_CONFLICT", f"the body of {self.url} was read already")
        self._taken = True
        return self._chunks()

    def _chunks(self) -> "Iterator[bytes]":
        left = self._max_bytes
        try:
            while True:
                part = self._stream.read(self._timeout_ms)
                if part is None:
                    return
                left -= len(part)
                # The gate enforces this too; a client that believed it would trust its memory to the peer.
                if left < 0:
                    raise make_error("E_FRAME_TOO_LARGE", f"the body of {self.url} is larger than {self._max_bytes} bytes")
                yield part
        finally:
            self.close()

    def close(self) -> None:
        """Gives the rest of the body up."""
        self._taken = True
        self._stream.close()

    def __enter__(self) -> "Response":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


class Net:
    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def fetch(
        self,
        url: str,
        method: str = "GET",
        headers: Optional[Headers] = None,
        body: Optional[Body] = None,
        body_bytes: Optional[int] = None,
        max_bytes: int = DEFAULT_MAX_BYTES,
        redirects: int = DEFAULT_REDIRECTS,
        timeout_ms: Optional[float] = None,
    ) -> Response:
        """HTTP(S) by the gate. `timeout_ms` bounds the whole exchange. Any status is a response; refusals and failures raise.

        `body`: text (as UTF-8) or bytes, sent with the request up to 512 KiB; anything larger, a file, an iterable or an async iterable is streamed from a
        thread of its own, as fast as the server takes it, and so cannot be sent again for a redirect with 307 or 308: that is E_UPSTREAM. `body_bytes`: of an
        iterable, where you know: sent as Content-Length. `max_bytes`: of the response body; E_FRAME_TOO_LARGE beyond. `redirects`: each is decided again;
        0 hands one to you.
        """
        if isinstance(max_bytes, bool) or not isinstance(max_bytes, int) or max_bytes < 1:
            raise invalid(f"max_bytes must be a whole number above 0, not {max_bytes!r}")
        pairs = list(headers.items() if isinstance(headers, Mapping) else headers or [])
        given = body_of(body, body_bytes)
        exchange_ms = math.ceil(self._scope.connection.timeout_ms if timeout_ms is None else timeout_ms)
        caps = [max_bytes, exchange_ms, redirects]
        if isinstance(given, BodySource):
            with Upload(self._scope, given, exchange_ms, timeout_ms) as upload:
                answer = self._scope.open("net.fetch", [method.upper(), url, pairs, None, *caps, upload.number, given.bytes], timeout_ms)
        else:
            answer = self._scope.open("net.fetch", [method.upper(), url, pairs, given, *caps, 0, None], timeout_ms)
        status, final_url, answered, _ = answer.values
        assert answer.stream is not None
        # The gate keeps a stream until both ends have ended it, and a response is only read.
        answer.stream.end()
        return Response(status, final_url, answered, answer.stream, max_bytes, exchange_ms)

    def connect(self, host: str, port: int, timeout_ms: Optional[float] = None) -> ByteStream:
        """A TCP connection to `host`, a name or an address."""
        answer = self._scope.open("net.connect", [host, port], timeout_ms)
        assert answer.stream is not None
        answer.stream.address = answer.values[1]
        return answer.stream

    def listen(self, port: int, timeout_ms: Optional[float] = None) -> Listener:
        """Listens on a port of the host: where the operator published this port (`-p HOST:PORT`), otherwise at the same number on 127.0.0.1.

        The policy must allow `net.listen` there. EADDRINUSE when somebody listens already.
        """
        listener, address = self._scope.call("net.listen", [port], timeout_ms)
        return Listener(self._scope, listener, address)

    def dns(self, name: str, timeout_ms: Optional[float] = None) -> List[str]:
        """Synthetic addresses that stand for the name; E_NOT_FOUND for names no rule could allow."""
        return self._scope.call("net.dns", [name], timeout_ms)[0]


def _joined(headers: Sequence[Tuple[str, str]]) -> Dict[str, str]:
    by_name: Dict[str, str] = {}
    for name, value in headers:
        lower = name.lower()
        by_name[lower] = f"{by_name[lower]}, {value}" if lower in by_name else value
    return by_name
