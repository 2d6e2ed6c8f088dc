"""An HTTP/1.1 and HTTP/2 server in the agent's loop: the admin API and every input that is spoken to over HTTP.

    async def handler(request: Request) -> Response:
        return Response(201)

    server = await serve_http(handler, [listening_socket("127.0.0.1", 0)], limits=HttpLimits(), log=log)
    ...
    await server.close(grace_seconds=5)

HTTP/2 is spoken with clients that begin with its preface (prior knowledge) or agree on it by ALPN; give the TLS
context (in `AcceptSettings`) the protocols of `ALPN`. Limits are `HttpLimits`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

from tailrace.net.acceptor import MOST_LOOK_SECONDS, Acceptor, AcceptSettings
from tailrace.net.http_server.http1 import Http1
from tailrace.net.http_server.messages import (
    Handler,
    Held,
    HttpLimits,
    Request,
    Response,
    plain,
)
from tailrace.plugin.log import Log

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
ALPN = ("h2", "http/1.1")
"""Protocols to offer when HTTP/2 is on (`net.tls.server_tls`)."""


class FirstBytes(asyncio.Protocol):
    """A new connection, until it is known which protocol it speaks."""

    def __init__(self, server: HttpServer) -> None:
        self.server = server
        self.transport: Any = None
        self.data = b""
        self.heard_at = server.now()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        server = self.server
        tls = transport.get_extra_info("ssl_object")
        chosen = tls.selected_alpn_protocol() if tls is not None else None
        if chosen == "h2" and server.limits.http2:
            self.become(server.http2())
        elif chosen is not None or not server.limits.http2:
            self.become(Http1(server))

    def data_received(self, data: bytes) -> None:
        self.data += data
        if self.data.startswith(PREFACE):
            self.become(self.server.http2())
        elif not PREFACE.startswith(self.data):
            self.become(Http1(self.server))

    def connection_lost(self, error: Exception | None) -> None:
        self.server.forget(self)

    def become(self, protocol: Any) -> None:
        connections = self.server.connections
        connections.discard(self)
        connections.add(protocol)
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        if self.data:
            protocol.data_received(self.data)

    def look(self, now: float) -> None:
        limits = self.server.limits
        if limits.idle_seconds and now - self.heard_at > limits.idle_seconds:
            self.transport.close()

    def shut(self) -> None:
        self.transport.close()


class HttpServer(Acceptor):
    """A server that listens; made by `serve_http`."""

    def __init__(
        self, handler: Handler, limits: HttpLimits, log: Log, settings: AcceptSettings
    ) -> None:
        times = [limits.idle_seconds, limits.request_seconds]
        shortest = min((each for each in times if each > 0), default=MOST_LOOK_SECONDS)
        super().__init__(lambda: FirstBytes(self), log, settings, shortest / 4)
        self.handler = handler
        self.limits = limits
        self.held = Held(limits.held_bytes)

    @property
    def held_bytes(self) -> int:
        return self.held.count

    def http2(self) -> Any:
        from tailrace.net.http_server.http2 import Http2  # h2 takes 30 ms, so when first spoken

        return Http2(self)

    async def answer(self, request: Request) -> Response:
        """The handler's answer, or 500."""
        try:
            return await self.handler(request)
        except Exception as error:
            where = f"{request.method} {request.path}"
            self.log.error(f"{where}: the handler failed: {type(error).__name__}: {error}")
            return plain(500)

    def busy(self) -> Response:
        """What is answered while `held_bytes` is reached."""
        return Response(503, b"error: too much is waiting\n", (("Retry-After", "1"),))


async def serve_http(
    handler: Handler,
    sockets: Sequence[socket.socket],
    *,
    log: Log,
    limits: HttpLimits | None = None,
    settings: AcceptSettings | None = None,
) -> HttpServer:
    """Listen on sockets (`net.listener.listening_socket`); the server owns and closes them."""
    server = HttpServer(handler, limits or HttpLimits(), log, settings or AcceptSettings())
    await server.open(sockets)
    return server


__all__ = [
    "ALPN",
    "AcceptSettings",
    "Handler",
    "HttpLimits",
    "HttpServer",
    "Request",
    "Response",
    "serve_http",
]
