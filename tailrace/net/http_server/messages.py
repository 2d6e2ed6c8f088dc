"""What a handler gets and gives, and the limits that a server keeps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

from tailrace.wire.compression import CompressionError, decompress

MOST_ENCODINGS = 2


@dataclass(slots=True)
class Request:
    """One request, whole.

    `target` is as the client wrote it (path and query, percent signs and all). Header names are in lower case; a
    header given several times is joined with commas. `peer` is the client's address without its port, empty on a Unix socket.
    `body` is as it came; `unpacked` undoes its `Content-Encoding`.
    """

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    version: str
    peer: str = ""

    @property
    def path(self) -> str:
        """The target without its query, undecoded."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    @property
    def media_type(self) -> str:
        """`Content-Type` without its parameters, in lower case; empty if there is none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def unpacked(self, limit: int) -> bytes:
        """The body with its content encodings undone, at most `limit` bytes; raises `CompressionError`."""
        words = self.headers.get("content-encoding", "").lower().split(",")
        encodings = [word.strip().removeprefix("x-") for word in words]
        encodings = [encoding for encoding in encodings if encoding not in ("", "identity")]
        if len(encodings) > MOST_ENCODINGS:
            raise CompressionError(f"packed more than {MOST_ENCODINGS} times")
        body = self.body
        for encoding in reversed(encodings):
            body = decompress("deflate" if encoding == "zlib" else encoding, body, limit)
        return body


@dataclass(slots=True)
class Response:
    """One answer. `headers` must hold no line breaks; the server adds `Content-Length` and `Connection` itself.

    `trailers` come after the body, as gRPC wants it; in HTTP/1.1 they are sent as headers.
    """

    status: int = 200
    body: bytes = b""
    headers: Sequence[tuple[str, str]] = ()
    trailers: Sequence[tuple[str, str]] = ()

    @property
    def has_body(self) -> bool:
        """Whether this status may carry a body."""
        return self.status >= 200 and self.status not in (204, 304)


Handler = Callable[[Request], Awaitable[Response]]
"""Answers one request. Requests of one HTTP/1.1 connection come one after another, HTTP/2 streams at once.

What it raises is logged and answered with 500."""


@dataclass(slots=True)
class HttpLimits:
    """What a server takes from clients; sizes in bytes, times in seconds, 0 means without limit where it says so."""

    body_bytes: int = 4_000_000
    """Largest request body as it comes (compressed); more is answered with 413."""

    head_bytes: int = 32_768
    """Largest request line with all headers; more is answered with 431."""

    held_bytes: int = 256_000_000
    """Most bytes of bodies that are being received or answered, over all connections; more is answered with 503."""

    streams: int = 100
    """Most requests at once on one HTTP/2 connection."""

    idle_seconds: float = 10.0
    """A connection from which nothing comes for this long is closed unless it waits for an answer; 0: never."""

    request_seconds: float = 120.0
    """Longest time from a request's first byte to its last; then 408; 0: any time."""

    http2: bool = True
    """Speak HTTP/2 with clients that ask for it."""

    keep_alive: bool = True
    """Off: close an HTTP/1.1 connection after one answer."""


REASONS = {status.value: status.phrase for status in HTTPStatus}


@dataclass(slots=True)
class Held:
    """Bytes of request bodies in the server's hands."""

    limit: int
    count: int = 0
    refused: int = field(default=0)

    def take(self, size: int) -> bool:
        """Whether there is room; if so it is taken."""
        if self.count + size > self.limit:
            self.refused += 1
            return False
        self.count += size
        return True

    def give_back(self, size: int) -> None:
        self.count -= size


def plain(status: int, text: str = "") -> Response:
    """An answer of the server's own, one line of text."""
    line = text or REASONS.get(status, "Error").lower()
    return Response(status, f"{line}\n".encode(), (("Content-Type", "text/plain"),))
