"""An HTTP/1.1 and HTTP/2 server in the agent's loop: the admin API and every input that is spoken to over HTTP.

    async def handler(request: Request) -> Response:
        return Response(201)

    server = await serve_http(handler, [listening_socket("127.0.0.1", 0)], limits=HttpLimits(), log=log)
    ...
    await server.close(grace_seconds=5)

HTTP/2 is spoken with clients that begin with its preface (prior knowledge) or agree on it by ALPN; give the TLS
context the protocols of `ALPN`. Limits are `HttpLimits`.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

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
LOOK_SECONDS = 1.0


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
        if server.closing or 0 < server.limits.connections <= len(server.connections):
            server.turned_away += 1
            transport.close()
            return
        server.connections.add(self)
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


class HttpServer:
    """A server that listens; made by `serve_http`. `turned_away` counts connections over the limit."""

    def __init__(self, handler: Handler, limits: HttpLimits, log: Log) -> None:
        self.handler = handler
        self.limits = limits
        self.log = log
        self.held = Held(limits.held_bytes)
        self.connections: set[Any] = set()
        self.turned_away = 0
        self.closing = False
        self.now = time.monotonic
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._look: asyncio.TimerHandle | None = None

    @property
    def ports(self) -> list[int]:
        """The ports that it listens on."""
        return [each.getsockname()[1] for server in self._servers for each in server.sockets]

    async def open(
        self,
        sockets: Sequence[socket.socket],
        tls: ssl.SSLContext | None,
        handshake_seconds: float,
    ) -> None:
        loop = asyncio.get_running_loop()
        for each in sockets:
            self._servers.append(
                await loop.create_server(
                    lambda: FirstBytes(self),
                    sock=each,
                    ssl=tls,
                    ssl_handshake_timeout=handshake_seconds if tls else None,
                )
            )
        self._look = loop.call_later(self._look_seconds, self._look_around)

    @property
    def _look_seconds(self) -> float:
        times = [self.limits.idle_seconds, self.limits.request_seconds]
        shortest = min((each for each in times if each > 0), default=LOOK_SECONDS)
        return min(LOOK_SECONDS, max(shortest / 4, 0.02))

    def _look_around(self) -> None:
        """One timer for all connections, however many there are."""
        now = self.now()
        for connection in list(self.connections):
            connection.look(now)
        self._look = asyncio.get_running_loop().call_later(self._look_seconds, self._look_around)

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

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.log.error(f"a connection failed: {type(error).__name__}: {error}")

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_later(seconds, call)

    def forget(self, connection: Any) -> None:
        self.connections.discard(connection)

    async def close(self, grace_seconds: float = 0.0) -> None:
        """Listen no more; requests under way have `grace_seconds` to be answered, then they are cut."""
        self.closing = True
        for server in self._servers:
            server.close()
        if self._look is not None:
            self._look.cancel()
        for connection in list(self.connections):
            connection.shut()
        if self._tasks and grace_seconds > 0:
            await asyncio.wait(set(self._tasks), timeout=grace_seconds)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in list(self.connections):
            connection.transport.close()
        await asyncio.sleep(0)


async def serve_http(
    handler: Handler,
    sockets: Sequence[socket.socket],
    *,
    log: Log,
    limits: HttpLimits | None = None,
    tls: ssl.SSLContext | None = None,
    handshake_seconds: float = 10.0,
) -> HttpServer:
    """Listen on sockets (`net.listener.listening_socket`); the server owns and closes them."""
    server = HttpServer(handler, limits or HttpLimits(), log)
    await server.open(sockets, tls, handshake_seconds)
    return server


__all__ = ["ALPN", "Handler", "HttpLimits", "HttpServer", "Request", "Response", "serve_http"]
