"""An HTTP/2 client for outputs: one connection of an `Upstream` that all requests share, frames through h2.

    client = HTTP2Client(upstream, context, response_timeout=60)
    response = await client.request("POST", "/v1/logs", body, [("content-type", "application/x-protobuf")])

Format: RFC 9113. Without TLS the server is taken to know HTTP/2 (prior knowledge); with TLS it is negotiated, and a server that wants
HTTP/1.1 gets that. A connection that the server ends (GOAWAY) takes no new requests; those that it did not look at are sent
anew once, as are those of a kept connection that breaks before an answer. Nothing of a response is trusted: its head, its body and the time
that it may take have limits. All failures are `Unreachable`, which is a `Retry`; a status is no failure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tailrace.net.connection import Unreachable
from tailrace.net.http_client import (
    LEAST_BYTES_PER_SECOND,
    MOST_BODY_BYTES,
    Headers,
    HTTPClient,
    Response,
    Stale,
    clean,
)
from tailrace.net.upstream import Upstream
from tailrace.plugin import Connections, Context

if TYPE_CHECKING:
    from tailrace.net.http2_session import Session

OF_CONNECTIONS = frozenset(
    {
        "connection",
        "content-length",
        "host",
        "keep-alive",
        "proxy-connection",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that HTTP/2 forbids, or that are the client's to say."""


class HTTP2Client:
    """Requests to one server.

    `response_timeout`: seconds for the whole answer, 0: no limit; `body_limit`: bytes of a body that are kept; `negotiate`: with TLS speak
    HTTP/1.1 where the server does not choose HTTP/2.
    """

    def __init__(
        self,
        upstream: Upstream,
        context: Context,
        *,
        host: str = "",
        port: int = 0,
        response_timeout: float = 60.0,
        body_limit: int = MOST_BODY_BYTES,
        negotiate: bool = True,
    ) -> None:
        self.upstream = upstream
        self.context = context
        self.response_timeout = response_timeout
        self.body_limit = body_limit
        self.plain = HTTPClient(
            upstream,
            host=host,
            port=port,
            response_timeout=response_timeout,
            body_limit=body_limit,
        )
        self.peer = self.plain.peer
        self.host_header = self.plain.host_header
        self.is_http1 = False
        """Whether the server chose HTTP/1.1."""
        self._negotiate = negotiate and upstream.tls is not None
        self._session: Session | None = None
        self.sessions: set[Session] = set()
        self._connecting = asyncio.Lock()
        self._idle_timer: asyncio.TimerHandle | None = None

    async def version(self) -> int:
        """1 or 2: what the server speaks, for which it is connected to if need be. `Unreachable` if it can't be."""
        if self._negotiate and not self.is_http1:
            await self._acquire()
        return 1 if self.is_http1 else 2

    async def request(
        self, method: str, target: str, body: bytes = b"", headers: Headers = ()
    ) -> Response:
        """Send a request and read its answer. `Unreachable` if that can't be done in time."""
        try:
            return await self._request(method, target, body, headers)
        except Stale:
            return await self._request(method, target, body, headers)

    async def _request(self, method: str, target: str, body: bytes, headers: Headers) -> Response:
        session = None if self.is_http1 else await self._acquire()
        if session is None:
            return await self.plain.request(method, target, body, headers)
        limit: float | None = None
        if self.response_timeout:
            limit = self.response_timeout + len(body) / LEAST_BYTES_PER_SECOND
        heard = session.heard
        try:
            async with asyncio.timeout(limit):
                return await session.request(self.head(method, target, headers, body), body)
        except TimeoutError:
            if session.heard == heard:
                session.is_closing = True  # nothing came at all: it may be dead
            raise Unreachable(
                f"{self.peer} gave no answer within {self.response_timeout:g} s"
            ) from None
        finally:
            self._let_go(session)

    def head(
        self, method: str, target: str, headers: Headers, body: bytes
    ) -> list[tuple[str, str]]:
        """The fields of a request's head; a `Host` of the caller's stands instead of the client's own."""
        hosts = [value for name, value in headers if name.lower() == "host"]
        head = [
            (":method", method),
            (":scheme", "http" if self.upstream.tls is None else "https"),
            (":authority", clean(hosts[-1] if hosts else self.host_header)),
            (":path", clean(target)),
        ]
        head += [
            (clean(name).lower(), clean(value))
            for name, value in headers
            if name.lower() not in OF_CONNECTIONS
        ]
        if body or method in ("POST", "PUT", "PATCH"):
            head.append(("content-length", str(len(body))))
        return head

    async def _acquire(self) -> Session | None:
        """A connection that takes a request; None if the server wants HTTP/1.1."""
        async with self._connecting:
            if self._idle_timer is not None:
                self._idle_timer.cancel()
                self._idle_timer = None
            session = self._session
            if session is not None and not session.is_lost:
                return session
            self._session = None
            connection = await self.upstream.acquire(fresh=True)
            if self._negotiate:
                secured = connection.transport.get_extra_info("ssl_object")
                if secured.selected_alpn_protocol() != "h2":
                    self.is_http1 = True
                    self.upstream.release(connection, True)
                    self.context.log.info(f"{self.peer} chose HTTP/1.1")
                    return None
            from tailrace.net.http2_session import Session

            session = Session(connection, self.body_limit)
            self.sessions.add(session)
            session.task = self.context.spawn(self._serve(session))
            self._session = session
            return session

    async def _serve(self, session: Session) -> None:
        """Listen until the connection ends, then give it back."""
        try:
            await session.listen()
        finally:
            session.end()
            self.sessions.discard(session)
            if self._session is session:
                self._session = None
            self.upstream.release(session.connection, True)

    def _let_go(self, session: Session) -> None:
        """After a request: end the connection if it was used enough, else plan its end for when nobody uses it."""
        options = self.upstream.options
        most = options.net_keepalive_max_recycle
        if not options.net_keepalive or (most and session.uses > most):
            session.is_closing = True
        if not session.is_idle:
            return
        if session.is_closing:
            session.end()
        elif options.net_keepalive_idle_timeout > 0 and session is self._session:
            if self._idle_timer is not None:
                self._idle_timer.cancel()
            loop = asyncio.get_running_loop()
            self._idle_timer = loop.call_later(
                options.net_keepalive_idle_timeout, self._end_idle, session
            )

    def _end_idle(self, session: Session) -> None:
        if session.is_idle:
            session.end()

    def connections(self) -> Connections:
        """How many are open, and how many of them are in use."""
        found = self.upstream.connections()
        idle = sum(session.is_idle for session in self.sessions)
        return Connections(found.total, found.busy - idle)

    async def close(self) -> None:
        """End all connections, also those in use."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        sessions = list(self.sessions)
        tasks: Sequence[Any] = [session.task for session in sessions]
        for session in sessions:
            session.end()
        for session in sessions:
            await session.connection.wait_closed()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.upstream.close()


__all__ = ["HTTP2Client"]
