"""One session with the gate over a unix socket: one thread reads, any thread calls."""

from __future__ import annotations

import os
import select
import socket
import threading
from typing import Any, Callable, Dict, List, Optional, Sequence

from . import _protocol as wire
from ._errors import AuthorityError, Denial, error_of_reply, faulty, lost, lost_by_goodbye, make_error, protocol_error
from ._limits import ANSWER_GRACE_MS, CLIENT_NAME, CLOSE_TIMEOUT_MS, RECEIVE_BYTES
from ._messages import FrameReader, encode_frame, parse_gate_message
from ._outbox import Outbox
from ._shape import check
from ._stream import ByteStream
from ._streams import Streams
from ._wait import Limit, wait_until


class Answer:
    """The result of one operation, and the stream it names, if any."""

    def __init__(self, values: List[Any], stream: Optional[ByteStream]) -> None:
        self.values = values
        self.stream = stream


class _Call:
    def __init__(self, operation: str, handle: int) -> None:
        self.operation = operation
        self.handle = handle
        self.answer: Optional[Answer] = None
        self.error: Optional[AuthorityError] = None
        # Nobody waits any more; the call keeps its place until the gate answers it.
        self.abandoned = False

    def settled(self) -> bool:
        return self.answer is not None or self.error is not None


class Connection:
    """Ids that only grow, at most `max_in_flight` unanswered requests, an answer or a deadline for each."""

    def __init__(self, path: str, token: Optional[str], timeout_ms: float, limit: Limit, grace_ms: float = ANSWER_GRACE_MS) -> None:
        """Connects, says hello and is welcomed, all within `limit`. Raises ConnectionLost, CapabilityError, E_TIMEOUT."""
        self.timeout_ms = timeout_ms
        self.run = ""
        self._grace_ms = grace_ms
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._calls: Dict[int, _Call] = {}
        self._last_id = 0
        self._max_in_flight = 0
        self._streams: Optional[Streams] = None
        self._failure: Optional[AuthorityError] = None
        hello = encode_frame([wire.MESSAGE_HELLO, wire.PROTOCOL_VERSION, wire.GENERATION, CLIENT_NAME, token])
        self._link = _dial(path, limit)
        self._outbox = Outbox(self._link)
        # Wakes the reader when the connection is closed from here: closing a descriptor does not end a poll on it.
        self._wake_read, self._wake_write = os.pipe()
        self._reader = threading.Thread(target=self._read, name="authority-reader", daemon=True)
        self._reader.start()
        try:
            self._hello(hello, limit)
        except BaseException:
            self.close()
            raise

    def call(self, operation: str, args: Sequence[Any], handle: int, limit: Limit) -> Answer:
        """Performs one operation. Raises what the gate answers, E_TIMEOUT, or what ended the session."""
        if os.getpid() != self._pid:
            raise lost("this connection belongs to the process that made it: connect again after a fork")
        row = wire.OPERATIONS[operation]
        check(row.args, row.arg_types, args, operation)
        call = _Call(operation, handle)
        with self._lock:
            wait_until(
                self._changed,
                lambda: self._failure is not None or len(self._calls) < self._max_in_flight,
                limit,
                f"{operation} (waiting for {self._max_in_flight} others)",
            )
            if self._failure is not None:
                raise self._failure
            number = self._last_id + 1
            deadline_ms = max(1, int(limit.left() * 1000))
            frame = encode_frame([wire.MESSAGE_REQUEST, number, row.code, deadline_ms, handle, args])
            self._last_id = number
            self._calls[number] = call
            self._outbox.put(frame)
        try:
            self._flush(limit)
            with self._lock:
                wait_until(self._changed, call.settled, limit, operation, self._grace_ms)
        except BaseException:
            self._abandon(number, call)
            raise
        if call.error is not None:
            raise call.error
        assert call.answer is not None
        return call.answer

    def close(self) -> None:
        """Ends the session: the gate aborts what is under way and closes files and streams. Never raises."""
        if os.getpid() != self._pid:
            self._link.close()
            return
        if self._failure is None:
            try:
                self._outbox.flush(Limit(CLOSE_TIMEOUT_MS))
            except OSError:
                pass
        self._fail(make_error("E_CANCELLED", "the client was closed"))
        if threading.current_thread() is not self._reader:
            self._reader.join(CLOSE_TIMEOUT_MS / 1000)

    # ── sending ──

    def _hello(self, hello: bytes, limit: Limit) -> None:
        with self._lock:
            self._outbox.put(hello)
        self._flush(limit)
        with self._lock:
            wait_until(
                self._changed,
                lambda: self._failure is not None or self._streams is not None,
                limit,
                "waiting for the gate to welcome this client",
            )
            if self._streams is None and self._failure is not None:
                raise self._failure

    def _send(self, message: List[Any], limit: Optional[Limit]) -> None:
        """A message that has no answer. Without a limit it goes when it can."""
        with self._lock:
            if self._failure is not None:
                return
            self._outbox.put(encode_frame(message))
        self._flush(limit)

    def _flush(self, limit: Optional[Limit]) -> None:
        try:
            if not self._outbox.flush(limit) and limit is not None and limit.left() == 0:
                raise limit.passed("sending to the gate, which does not read")
        except AuthorityError:
            raise
        except OSError as error:
            raise self._fail(lost(f"the connection to the gate failed: {error.strerror or error}")) from error

    def _abandon(self, number: int, call: _Call) -> None:
        with self._lock:
            call.abandoned = True
            if call.answer is not None:
                self._undo(call, call.answer)
            elif number in self._calls:
                self._outbox.put(encode_frame([wire.MESSAGE_CANCEL, number]))
        try:
            self._flush(None)
        except AuthorityError:
            pass

    def _undo(self, call: _Call, answer: Answer) -> None:
        """An answer nobody waits for: what it opened is closed again. Under the lock; flushed by whoever holds it next."""
        closing = {"fs.open": "fs.close", "cap.bind": "cap.release"}.get(call.operation)
        if closing is not None and self._failure is None:
            number = self._last_id + 1
            row = wire.OPERATIONS[closing]
            handle = call.handle if closing == "fs.close" else 0
            self._last_id = number
            unwatched = _Call(closing, handle)
            unwatched.abandoned = True
            self._calls[number] = unwatched
            self._outbox.put(encode_frame([wire.MESSAGE_REQUEST, number, row.code, 0, handle, [answer.values[0]]]))
        if answer.stream is not None:
            answer.stream.close()

    # ── the reader's thread ──

    def _read(self) -> None:
        frames = FrameReader()
        poll = select.poll()
        poll.register(self._link.fileno(), select.POLLIN)
        poll.register(self._wake_read, select.POLLIN)
        error = lost("the gate closed the connection")
        try:
            while self._failure is None:
                poll.poll()
                if self._failure is not None:
                    break
                try:
                    chunk = self._link.recv(RECEIVE_BYTES)
                except BlockingIOError:
                    continue
                if not chunk:
                    break
                for session, item in frames.push(chunk):
                    if session != 0:
                        raise protocol_error(f"session {session} on a socket that carries session 0 only")
                    self._dispatch(parse_gate_message(item))
                    if self._failure is not None:
                        break
                self._flush(None)
        except AuthorityError as cause:
            error = cause if self._failure is not None else faulty(cause)
        except OSError as cause:
            error = lost(f"the connection to the gate failed: {cause.strerror or cause}")
        except Exception as cause:  # a fault here must end the calls that wait, not only this thread
            error = lost(f"a fault in this client: {cause!r}", "E_INTERNAL")
        finally:
            self._fail(error)
            self._link.close()
            os.close(self._wake_read)

    def _dispatch(self, message: List[Any]) -> None:
        kind = message[0]
        with self._lock:
            if kind == wire.MESSAGE_GOODBYE:
                self._fail(lost_by_goodbye(message[1], message[2]))
                return
            if kind == wire.MESSAGE_WELCOME:
                self._welcomed(message)
                return
            if self._streams is None:
                raise protocol_error("the gate spoke before it welcomed this client")
            if kind not in (wire.MESSAGE_RESULT, wire.MESSAGE_ERROR):
                self._streams.on_message(message)
                return
            self._answered(self._streams, message)
            for orphan in self._streams.orphans():
                orphan.close()
            self._changed.notify_all()

    def _welcomed(self, message: List[Any]) -> None:
        if self._streams is not None:
            raise protocol_error("a second welcome")
        _, _, _, self.run, self._max_in_flight, max_streams, credit, _ = message

        def create(number: int, on_over: Callable[[], None]) -> ByteStream:
            return ByteStream(number, credit, self.timeout_ms, self._lock, self._send, on_over)

        self._streams = Streams(max_streams, create, self._openings)
        self._changed.notify_all()

    def _answered(self, streams: Streams, message: List[Any]) -> None:
        call = self._calls.pop(message[1], None)
        if call is None:
            raise protocol_error(f"an answer to request {message[1]}, which is not under way")
        if message[0] == wire.MESSAGE_ERROR:
            _, _, number, text, errno_name, denial = message
            call.error = error_of_reply(number, text, errno_name, None if denial is None else Denial(*denial))
            return
        row = wire.OPERATIONS[call.operation]
        try:
            check(row.result, row.result_types, message[2], f"result of {call.operation}")
            stream = streams.named(message[2][row.result.index("stream")]) if "stream" in row.result else None
        except AuthorityError as cause:
            call.error = faulty(cause)
            raise
        answer = Answer(message[2], stream)
        if call.abandoned:
            self._undo(call, answer)
        else:
            call.answer = answer

    def _openings(self) -> int:
        return sum("stream" in wire.OPERATIONS[call.operation].result for call in self._calls.values())

    def _fail(self, error: AuthorityError) -> AuthorityError:
        """Ends the session; the first failure is the one everybody is told."""
        with self._lock:
            if self._failure is not None:
                return self._failure
            self._failure = error
            for call in self._calls.values():
                call.error = error
            self._calls.clear()
            if self._streams is not None:
                self._streams.fail(error)
            self._changed.notify_all()
            os.close(self._wake_write)
        return error


def _dial(path: str, limit: Limit) -> socket.socket:
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        link.settimeout(limit.left())
        link.connect(path)
        link.setblocking(False)
        return link
    except OSError as cause:
        link.close()
        raise lost(
            f"there is no gate at {path} ({cause.strerror or cause}): run this program with `authority run` or under"
            " `authority gate serve --policy FILE -- CMD`, or set AUTHORITY_SOCKET"
        ) from cause
