"""Clients' connections: so many and no more, and none for longer than its client has something to say.

Whoever can reach the port can open connections, without a key. The descriptors that these take would be missing where
jobs are trained and files are written, so their number is bounded well below what the process may open.
"""

import asyncio
import resource
import socket
import struct
from typing import Any

import h11
import msgspec
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from pipeline.server.http.auth import CLIENT
from pipeline.server.http.envelope import error_body, new_request_id

MOST = 1000
"""More than this are no use to a server that answers eight chats at a time."""
ACCEPTED_AT_ONCE = 16
"""How many are accepted before the event loop does anything else. Four such turns pass before one is refused."""
KEPT_FREE = 48
"""Descriptors for the store, the log, the event loop, the models' files and the pipes of one worker."""
PER_WORKER = 8
MAX_HEADER = 64 * 1024
"""Bytes of a request's header, as uvicorn has it by default."""
FREE_CHUNKS = 1_000
SMALLEST_CHUNK = 64
"""Bytes. Clients send pieces of some kilobytes, those that stream lines of text some hundred."""
MIN_PROGRESS = 4096
"""Bytes of a body that count as progress: one byte now and then does not keep a connection open."""

_FULL_BODY = msgspec.json.encode(
    error_body("The server has too many connections. Please try again later.", status=503, code="too_many_connections")
)


class Limits(msgspec.Struct, frozen=True):
    """What connections may take.

    Attributes:
        at_once: how many may be open. When there is one more, those whose clients keep the server waiting are closed,
            first those that have shown no key, longest waiting first.
        header_s: for the first request, from the connection on; for later ones, from their first byte on.
        body_s: between pieces of a request's body of MIN_PROGRESS bytes or more.
        answer_s: how long a client may take nothing of its answer.
    """

    at_once: int
    header_s: float = 30.0
    body_s: float = 30.0
    answer_s: float = 60.0

    @classmethod
    def of_process(cls, workers: int) -> "Limits":
        """Those that leave enough descriptors for all else: a request may hold a file beside its connection."""
        allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if allowed == resource.RLIM_INFINITY:
            return cls(MOST)
        free = allowed - 4 * ACCEPTED_AT_ONCE - KEPT_FREE - PER_WORKER * workers
        return cls(max(ACCEPTED_AT_ONCE, min(MOST, free // 2)))


def allow_most_descriptors() -> None:
    """Raise this process's limit on open files as far as it may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    except (OSError, ValueError):  # macOS says "unlimited" and refuses it
        return


class Connections:
    """Every connection of one server. Used by its event loop only."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._open: set[Connection] = set()

    def create(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> "Connection":
        """What uvicorn calls for each client: its parameters, under its names."""
        return Connection(self, config, server_state, app_state, _loop)

    def add(self, newcomer: "Connection") -> bool:
        """Count one more, and make room for it; False if there is none: all others are being served."""
        if len(self._open) >= self.limits.at_once:
            self._make_room()
        if len(self._open) >= self.limits.at_once:
            return False
        self._open.add(newcomer)
        return True

    def discard(self, gone: "Connection") -> None:
        """Count one less."""
        self._open.discard(gone)

    def sweep(self, now: float) -> None:
        """Close those whose clients have kept the server waiting for too long; `now` in the event loop's time."""
        for connection in [each for each in self._open if each.is_overdue(now)]:
            self._drop(connection)

    def _make_room(self) -> None:
        """Close an eighth, for then a flood of newcomers need not look through all of them each time."""
        waiting = [each for each in self._open if each.allowed_s() is not None]
        waiting.sort(key=lambda each: (each.has_key, each.since))
        for connection in waiting[: max(1, self.limits.at_once // 8)]:
            self._drop(connection)

    def _drop(self, connection: "Connection") -> None:
        self._open.discard(connection)
        connection.give_up()


class Chunks(h11.Connection):
    """HTTP as h11 reads it, but no body in countless pieces: each takes 30 µs of the event loop, however small."""

    def __init__(self) -> None:
        super().__init__(h11.SERVER, MAX_HEADER)
        self._pieces = self._bytes = 0

    def next_event(self) -> Any:
        """The next event.

        Raises:
            h11.RemoteProtocolError: also where more than FREE_CHUNKS pieces of a body are under SMALLEST_CHUNK bytes on
                average.
        """
        event = super().next_event()
        if isinstance(event, h11.Request):
            self._pieces = self._bytes = 0
        elif isinstance(event, h11.Data):
            self._pieces += 1
            self._bytes += len(event.data)
            if self._pieces > FREE_CHUNKS and self._bytes < SMALLEST_CHUNK * self._pieces:
                raise h11.RemoteProtocolError("the body comes in too small pieces")
        return event


class Connection(H11Protocol):
    """One client's connection, which knows how long its client has kept the server waiting.

    Attributes:
        since: when the client last did what it has to do, in the event loop's time.
        has_key: whether it has shown a key that opens this server.
    """

    def __init__(
        self,
        connections: Connections,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.conn = Chunks()
        self._all = connections
        self.since = 0.0
        self.has_key = False
        self._is_speaking = True  # the first request is due at once; after it, the next may take its time
        self._progress = 0  # bytes of a body since `since`
        self._unsent = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Take the client on, or tell it to come again."""
        super().connection_made(transport)
        self.since = self.loop.time()
        if not self._all.add(self):
            transport.write(b"HTTP/1.1 503 Service Unavailable\r\n")
            for name, value in [*_headers(_FULL_BODY), (b"retry-after", b"1")]:
                transport.write(b"%b: %b\r\n" % (name, value))
            transport.write(b"\r\n" + _FULL_BODY)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of it."""
        self._all.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Serve what the client sent, and note that it did."""
        if self.transport.is_closing():
            return
        before = self.cycle
        if self._is_between_requests():
            if not self._is_speaking:
                self._is_speaking, self.since = True, self.loop.time()
        else:
            self._progress += len(data)
            if self._progress >= MIN_PROGRESS:
                self._progress, self.since = 0, self.loop.time()
        super().data_received(data)
        if self.cycle is not before:  # a header is complete
            self._progress, self.since = 0, self.loop.time()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP; where an answer has begun already, only by ending the connection."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.abort()
            return
        body = msgspec.json.encode(error_body(msg, status=400))
        head = h11.Response(status_code=400, headers=_headers(body), reason=b"Bad Request")
        for event in (head, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self.has_key = self.has_key or CLIENT in self.cycle.scope
        self._is_speaking, self.since = False, self.loop.time()
        super().on_response_complete()

    def shutdown(self) -> None:
        """The server ends: finish an answer, but do not wait for the rest of a request."""
        if not self._is_between_requests() and self.allowed_s() is not None:
            self.give_up()
        else:
            super().shutdown()

    def give_up(self) -> None:
        """Close it at once, whatever its client has not sent or taken yet."""
        if self.transport.get_write_buffer_size():  # the system would keep on trying to send what it holds of it
            linger = struct.pack("ii", 1, 0)
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.transport.abort()

    def allowed_s(self) -> float | None:
        """How long the client may take for what it has to do now, in seconds; None while it waits for the server."""
        limits = self._all.limits
        if self.transport.get_write_buffer_size():
            return limits.answer_s
        if self._is_between_requests():
            return limits.header_s if self._is_speaking else self.timeout_keep_alive
        awaits_body = self.cycle.more_body and not self.flow.read_paused
        if awaits_body and not self.conn.they_are_waiting_for_100_continue:
            return limits.body_s
        return None

    def is_overdue(self, now: float) -> bool:
        """Whether the client has taken too long. To be asked every now and then: the server's own time is left out."""
        unsent = self.transport.get_write_buffer_size()
        allowed_s = self.allowed_s()
        if allowed_s is None or unsent != self._unsent:
            self._unsent, self.since = unsent, now
            return False
        return now - self.since > allowed_s

    def _is_between_requests(self) -> bool:
        return self.cycle is None or self.cycle.response_complete


def _headers(body: bytes) -> list[tuple[bytes, bytes]]:
    """Of an answer with which a connection ends before any request has come through."""
    return [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", new_request_id().encode()),
        (b"connection", b"close"),
    ]
