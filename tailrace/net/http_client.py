"""An HTTP/1.1 client for outputs: requests written by hand, responses read by httptools, connections of an `Upstream`.

    client = HTTPClient(upstream, response_timeout=60)
    response = await client.request("POST", "/logs", body, [("Content-Type", "application/json")])

Nothing of a response is trusted: its head, its body and the time it may take have limits. A kept connection that the server closes as
the request is sent is replaced once. All failures are `Unreachable`, which is a `Retry`; a status is no failure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tailrace.net.connection import Connection, Unreachable
from tailrace.net.proxy import authority
from tailrace.net.upstream import Upstream
from tailrace.plugin import Connections

MOST_HEAD_BYTES = 64 * 1024
MOST_BODY_BYTES = 64 * 1024
MOST_UNWANTED_BYTES = 8 << 20
"""How much of a body beyond the limit is read to keep the connection; then it is closed."""
LEAST_BYTES_PER_SECOND = 8192
"""A body may take as long on its way as it would at this speed, beside the time for the answer."""
MOST_WAIT_SECONDS = 3600.0
"""The longest `Retry-After` that is believed."""

FRAMING = frozenset({"content-length", "transfer-encoding"})
Headers = Sequence[tuple[str, str]]
CONTROLS = {number: " " for number in (*range(32), 127) if number != 9}


@dataclass(slots=True)
class Response:
    """What a server answered. Header names are in lower case; `body` ends at the client's limit, and then `is_cut`.

    `trailers` are those of HTTP/2; HTTP/1.1's are passed over. `version`: 1 or 2.
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    is_cut: bool = False
    trailers: dict[str, str] = field(default_factory=dict)
    version: int = 1

    def text(self, limit: int = 1000) -> str:
        """The body for a log line: at most `limit` characters, no control characters."""
        text = self.body[: 4 * limit].decode("utf-8", "replace").strip()
        text = text.translate(CONTROLS)
        return text if len(text) <= limit else text[:limit] + "…"

    def retry_after(self, now: float) -> float | None:
        """Seconds that the server asks to wait (`Retry-After`), if it does; `now`: seconds since the epoch."""
        value = self.headers.get("retry-after", "").strip()
        if not value:
            return None
        from email.utils import parsedate_to_datetime  # 10 ms, and seldom needed

        try:
            seconds = (
                float(value)
                if value[0].isdigit()
                else parsedate_to_datetime(value).timestamp() - now
            )
        except (ValueError, OverflowError):
            return None
        return min(max(seconds, 0.0), MOST_WAIT_SECONDS)


class HTTPClient:
    """Requests to one server.

    `response_timeout`: seconds for the whole answer, 0: no limit; `read_idle_timeout`: between two of its parts, 0: `net.io_timeout`;
    `body_limit`: bytes of a body that are kept; `absolute`: write whole addresses, as a plain HTTP proxy wants it.
    """

    def __init__(
        self,
        upstream: Upstream,
        *,
        host: str = "",
        port: int = 0,
        response_timeout: float = 60.0,
        read_idle_timeout: float = 0.0,
        body_limit: int = MOST_BODY_BYTES,
        absolute: bool = False,
        proxy_authorization: str = "",
    ) -> None:
        self.upstream = upstream
        self.response_timeout = response_timeout
        self.read_idle_timeout = read_idle_timeout
        self.body_limit = body_limit
        host = host or upstream.server.host or "localhost"
        port = port or upstream.server.port
        self.peer = authority(host, port)
        is_default_port = upstream.tls is not None and port == 443
        self.host_header = (
            authority(host, port).rpartition(":")[0] if is_default_port else self.peer
        )
        self._base = f"http://{self.peer}" if absolute else ""
        self._tail = "Connection: keep-alive\r\n" if upstream.options.net_keepalive else ""
        if absolute:
            self._tail += "Proxy-Connection: KeepAlive\r\n"
        if proxy_authorization:
            self._tail += f"Proxy-Authorization: {proxy_authorization}\r\n"

    def head(self, method: str, target: str, headers: Headers, length: int | None) -> bytes:
        """The head of a request.

        What could forge a line of it (control characters) becomes a blank. How long the body is, is the client's to say; a `Host` of
        the caller's stands instead of the client's own.
        """
        given = [(name, value) for name, value in headers if name.lower() not in FRAMING]
        lines = [f"{method} {self._base}{clean(target)} HTTP/1.1"]
        if not any(name.lower() == "host" for name, _ in given):
            lines.append(f"Host: {self.host_header}")
        if length is not None:
            lines.append(f"Content-Length: {length}")
        lines += [f"{clean(name)}: {clean(value)}" for name, value in given]
        return ("\r\n".join(lines) + "\r\n" + self._tail + "\r\n").encode(
            "utf-8", "surrogateescape"
        )

    async def request(
        self, method: str, target: str, body: bytes = b"", headers: Headers = ()
    ) -> Response:
        """Send a request and read its answer. `Unreachable` if that can't be done in time."""
        has_body = bool(body) or method in ("POST", "PUT", "PATCH")
        head = self.head(method, target, headers, len(body) if has_body else None)
        parts = (head, body) if body else (head,)
        connection = await self.upstream.acquire()
        try:
            return await self._exchange(connection, method, parts)
        except Stale:
            connection = await self.upstream.acquire(fresh=True)
            return await self._exchange(connection, method, parts)

    async def _exchange(
        self, connection: Connection, method: str, parts: tuple[bytes, ...]
    ) -> Response:
        reader = ResponseReader(method, self.body_limit, self.peer)
        keep = False
        limit: float | None = None
        if self.response_timeout:
            limit = self.response_timeout + sum(map(len, parts)) / LEAST_BYTES_PER_SECOND
        try:
            async with asyncio.timeout(limit):
                await self._send(connection, parts)
                while not reader.is_complete:
                    reader.feed(await self._receive(connection, reader))
            keep = reader.keeps_connection
            return reader.response
        except TimeoutError:
            raise Unreachable(
                f"{self.peer} gave no answer within {self.response_timeout:g} s"
            ) from None
        finally:
            self.upstream.release(connection, keep)

    async def _send(self, connection: Connection, parts: tuple[bytes, ...]) -> None:
        """Send all; a server that answers before it has all (413, say) is heard."""
        try:
            await connection.send(*parts)
        except Unreachable as failure:
            if connection.has_unread:
                return
            raise self._failure(connection, failure) from failure

    async def _receive(self, connection: Connection, reader: ResponseReader) -> bytes:
        try:
            data = await connection.receive(self.read_idle_timeout)
        except Unreachable as failure:
            if connection.is_lost and not reader.has_begun:
                raise self._failure(connection, failure) from failure
            raise
        if not data and not reader.has_begun:
            raise self._failure(
                connection, Unreachable(f"{self.peer} closed the connection without an answer")
            )
        return data

    def _failure(self, connection: Connection, failure: Unreachable) -> Unreachable:
        """A connection that was kept may have been closed meanwhile; that says nothing of the server."""
        return failure if connection.fresh else Stale(failure.why)

    def connections(self) -> Connections:
        """How many are open, and how many of them are in use."""
        return self.upstream.connections()

    async def close(self) -> None:
        await self.upstream.close()


class Stale(Unreachable):
    """A kept connection had been closed before the request came to the server."""


def clean(text: str) -> str:
    return text if text.isprintable() else text.translate(CONTROLS)


class ResponseReader:
    """Bytes to one response. Answers of 1xx are passed over."""

    def __init__(self, method: str, body_limit: int, peer: str = "the server") -> None:
        import httptools

        self._peer = peer

        self.response = Response()
        self.is_complete = False
        self.has_begun = False
        self.keeps_connection = False
        self._method = method
        self._limit = body_limit
        self._head_bytes = 0
        self._in_body = False
        self._parts: list[bytes] = []
        self._size = 0
        self._error = httptools.HttpParserError
        self._parser: Any = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Take more bytes, none at the end of the connection. `Unreachable` if this is no response."""
        if not data:
            self._end_of_connection()
            return
        self.has_begun = True
        if not self._in_body:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except self._error as error:
            if not self.is_complete:
                raise Unreachable(f"the answer of {self._peer} is no HTTP: {error}") from error
            self.keeps_connection = False  # something stands behind the response
        if not self._in_body and not self.is_complete and self._head_bytes > MOST_HEAD_BYTES:
            raise Unreachable(
                f"the head of the answer of {self._peer} has more than {MOST_HEAD_BYTES} bytes"
            )

    def _end_of_connection(self) -> None:
        """Right where a body without a length ends; a failure anywhere else."""
        headers = self.response.headers
        if not self._in_body or "content-length" in headers or "transfer-encoding" in headers:
            raise Unreachable(f"{self._peer} closed the connection in the middle of the answer")
        self._finish(False)

    def _finish(self, keep: bool) -> None:
        self.response.body = b"".join(self._parts)
        self.is_complete, self.keeps_connection = True, keep

    # What the parser calls

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_body:
            return  # a trailer: nobody asks for them, and they have no limit
        self.response.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.response.status = self._parser.get_status_code()
        self._in_body = self.response.status >= 200
        if self._method == "HEAD" and self._in_body:
            self._finish(False)

    def on_body(self, body: bytes) -> None:
        room = self._limit - self._size
        self._size += len(body)
        if self._size > self._limit:
            self.response.is_cut = True
            body = body[: max(room, 0)]
        if body:
            self._parts.append(body)
        if self._size > self._limit + MOST_UNWANTED_BYTES and not self.is_complete:
            self._finish(False)

    def on_message_complete(self) -> None:
        if self.response.status < 200:
            self.response, self._head_bytes = Response(), 0
        elif not self.is_complete:
            self._finish(self._parser.should_keep_alive())
