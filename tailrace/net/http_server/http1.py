"""One HTTP/1.1 (or 1.0) connection: bytes through httptools, requests answered one after another.

Format: RFC 9112. A request that asks for an upgrade is answered as if it did not, which RFC 9110 §7.8 allows.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

import httptools

from tailrace.net.acceptor import Outflow, peer_of
from tailrace.net.http_server.messages import REASONS, Request, Response, plain

if TYPE_CHECKING:
    from tailrace.net.http_server import HttpServer

MOST_PIPELINED = 16
MOST_FRAMING = 16
"""How many bytes a byte of a chunked body may cost on the line."""
LINGER_SECONDS = 2.0
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
UPGRADE = ("connection", "upgrade", "http2-settings")


class Http1(asyncio.Protocol):
    """The server's side of one connection."""

    def __init__(self, server: HttpServer) -> None:
        self.server = server
        self.limits = server.limits
        self.transport: Any = None
        self.peer = ""
        self.parser = httptools.HttpRequestParser(self)
        self.waiting: deque[tuple[Request, bool]] = deque()
        self.answering = False
        self.closing = False
        self.discarding = False
        """The rest of what the client sends is not read, only taken off the line."""
        self.heard_at = server.now()
        self.begun_at = 0.0
        """When the request that is coming in began; 0: none is."""
        self.reading_paused = False
        self.outflow = Outflow()
        self.drained: asyncio.Future[None] | None = None
        self.postponed = b""
        """The head of a request that is to be read again; see `postpone`."""
        self.reset()

    def reset(self) -> None:
        """Ready for the next request."""
        self.target = b""
        self.headers: dict[str, str] = {}
        self.parts: list[bytes] = []
        self.head_bytes = 0
        self.body_bytes = 0
        self.rest_bytes = 0
        """What came behind the head: the body with its framing, and trailers."""
        self.in_head = True
        self.begun_at = 0.0

    # The transport's calls

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.peer = peer_of(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.server.held.give_back(self.body_bytes)
        self.body_bytes = 0
        self.closing = self.discarding = True
        self.waiting_given_back()
        if self.drained is not None and not self.drained.done():
            self.drained.set_result(None)
        self.server.forget(self)

    def waiting_given_back(self) -> None:
        """Requests that nobody will hear an answer to are not begun."""
        for request, _ in self.waiting:
            self.server.held.give_back(len(request.body))
        self.waiting.clear()

    def data_received(self, data: bytes) -> None:
        self.heard_at = self.server.now()
        if self.discarding:
            return
        if self.in_head:
            self.head_bytes += len(data)
            if not self.begun_at:
                self.begun_at = self.heard_at
        else:
            self.rest_bytes += len(data)
        self.feed(data)
        if (
            self.in_head and self.head_bytes > self.limits.head_bytes
        ) or self.rest_bytes > self.limits.head_bytes + MOST_FRAMING * self.body_bytes:
            self.fail(plain(431))

    def feed(self, data: bytes) -> None:
        while data and not self.discarding:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                self.parser = httptools.HttpRequestParser(self)
                data = self.postponed + data[upgrade.args[0] :]
                self.postponed = b""
            except httptools.HttpParserError:
                self.fail(plain(400))

    def eof_received(self) -> bool:
        """The client sends no more. What it has asked is still answered, where the transport can do that."""
        if (self.waiting or self.answering) and not self.discarding:
            self.closing = True
            return self.transport.get_extra_info("sslcontext") is None
        return False

    def pause_writing(self) -> None:
        self.drained = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        if self.drained is not None and not self.drained.done():
            self.drained.set_result(None)
        self.drained = None

    # The parser's calls

    def on_url(self, url: bytes) -> None:
        self.target += url
        if len(self.target) > self.limits.head_bytes:
            self.fail(plain(431))

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.in_head:
            return  # a trailer: nobody asks for them
        key, text = name.decode("latin-1").lower(), value.decode("utf-8", "surrogateescape").strip()
        self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text

    def on_headers_complete(self) -> None:
        self.in_head = False
        size = len(self.target) + sum(len(key) + len(text) for key, text in self.headers.items())
        if size > self.limits.head_bytes:
            self.fail(plain(431))
            return
        length = self.headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > self.limits.body_bytes:
            self.fail(Response(413))
            return
        is_asked = self.headers.get("expect", "").lower() == "100-continue"
        if is_asked and not self.discarding and not self.waiting and not self.answering:
            self.transport.write(CONTINUE)

    def on_body(self, part: bytes) -> None:
        if self.discarding:
            return
        if self.body_bytes + len(part) > self.limits.body_bytes:
            self.fail(Response(413))
        elif not self.server.held.take(len(part)):
            self.fail(self.server.busy())
        else:
            self.body_bytes += len(part)
            self.parts.append(part)

    def on_message_complete(self) -> None:
        if self.discarding:
            return
        if self.parser.should_upgrade() and has_body(self.headers):
            self.postpone()
            return
        keep_alive = self.parser.should_keep_alive() and self.limits.keep_alive
        request = Request(
            self.parser.get_method().decode("latin-1"),
            self.target.decode("utf-8", "surrogateescape"),
            self.headers,
            self.parts[0] if len(self.parts) == 1 else b"".join(self.parts),
            self.parser.get_http_version(),
            self.peer,
        )
        self.reset()
        self.waiting.append((request, keep_alive))
        if len(self.waiting) >= MOST_PIPELINED and not self.reading_paused:
            self.reading_paused = True
            self.transport.pause_reading()
        if not self.answering:
            self.answering = True
            self.server.spawn(self.answer_all())

    def postpone(self) -> None:
        """The parser passes over the body of a request that asks for an upgrade: it is to be read again without that."""
        lines = [
            f"{self.parser.get_method().decode('latin-1')} {self.target.decode('latin-1')} HTTP/1.1"
        ]
        lines += [f"{key}: {text}" for key, text in self.headers.items() if key not in UPGRADE]
        self.postponed = "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n"
        self.reset()

    # Answers

    async def answer_all(self) -> None:
        """Answer what waits, in order, until nothing does or the connection is to be closed."""
        try:
            while self.waiting:
                request, keep_alive = self.waiting.popleft()
                try:
                    response = await self.server.answer(request)
                finally:
                    self.server.held.give_back(len(request.body))
                if self.transport.is_closing():
                    return
                ends = (self.closing or self.server.closing) and not self.waiting
                keep_alive = keep_alive and not ends
                self.write(response, keep_alive, request.method == "HEAD")
                if not keep_alive:
                    self.linger()
                    return
                if self.drained is not None:
                    await self.drained
                if self.reading_paused and len(self.waiting) < MOST_PIPELINED // 2:
                    self.reading_paused = False
                    self.transport.resume_reading()
        finally:
            self.answering = False
            self.heard_at = self.server.now()

    def write(self, response: Response, keep_alive: bool, is_head: bool = False) -> None:
        lines = [f"HTTP/1.1 {response.status} {REASONS.get(response.status, 'Status')}"]
        lines += [f"{name}: {value}" for name, value in (*response.headers, *response.trailers)]
        if response.has_body:
            lines.append(f"Content-Length: {len(response.body)}")
        if not keep_alive:
            lines.append("Connection: close")
        head = "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n"
        self.transport.write(head + response.body if response.has_body and not is_head else head)

    def fail(self, response: Response) -> None:
        """Answer what can't be taken, read no more of it, and close."""
        if self.discarding:
            return
        self.discarding = True
        self.server.held.give_back(self.body_bytes)
        self.body_bytes = 0
        self.parts = []
        if not self.answering and not self.waiting:
            self.write(response, keep_alive=False)
            self.linger()
        else:
            self.closing = True

    def linger(self) -> None:
        """Close, but leave the client time to read the answer: bytes that come to a closed socket would reset it."""
        self.closing = self.discarding = True
        self.waiting_given_back()
        if self.transport.can_write_eof():
            self.transport.write_eof()
            asyncio.get_running_loop().call_later(LINGER_SECONDS, self.transport.close)
        else:
            self.transport.close()

    def look(self, now: float) -> None:
        """Close when the client has been silent, or slow, for too long; cut it off when it takes nothing of an answer."""
        limits = self.limits
        if self.outflow.stands_still(self.transport, now, limits.idle_seconds):
            self.transport.abort()
            return
        if self.answering or self.waiting or self.closing:
            return
        if (
            self.begun_at
            and limits.request_seconds
            and now - self.begun_at > limits.request_seconds
        ):
            self.fail(plain(408))
        elif limits.idle_seconds and now - self.heard_at > limits.idle_seconds:
            if self.begun_at:
                self.fail(plain(408))
            else:
                self.transport.close()

    def shut(self) -> None:
        """The server closes: now, or after the answers under way."""
        if not self.answering and not self.waiting:
            self.transport.close()


def has_body(headers: dict[str, str]) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0").strip("0") != ""
