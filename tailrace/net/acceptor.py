"""Takes in the connections of a server: their number, the TLS handshake, silence, and the end of all.

A protocol that it makes is an `asyncio.Protocol` with two methods more: `look(now)`, called about once a second so that
the protocol may close for silence, and `shut()`, called when the server closes.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from tailrace.net.options import ListenOptions, TLSOptions
from tailrace.net.tls import reason
from tailrace.plugin.log import Log

MOST_LOOK_SECONDS = 1.0


@dataclass(slots=True)
class AcceptSettings:
    """How connections are taken in; times in seconds."""

    tls: ssl.SSLContext | None = None
    handshake_seconds: float = 10.0
    log_handshake_timeouts: bool = True
    """Whether a handshake that takes too long is an error in the log, or only for debugging."""
    log_ciphers: bool = False
    connections: int = 0
    """Most connections at once, 0: any number; the next one is closed at once."""
    keepalive: tuple[int, int, int] | None = None
    """Probe idle connections: idle seconds, interval, probes; -1 leaves the system's value."""


def accept_settings(
    options: ListenOptions, tls_options: TLSOptions | None, tls: ssl.SSLContext | None
) -> AcceptSettings:
    """The settings that an input's `net.*` and `tls.*` options ask for."""
    keepalive = None
    if options.net_tcp_keepalive:
        keepalive = (
            options.net_tcp_keepalive_time,
            options.net_tcp_keepalive_interval,
            options.net_tcp_keepalive_probes,
        )
    return AcceptSettings(
        tls=tls,
        handshake_seconds=options.net_accept_timeout,
        log_handshake_timeouts=options.net_accept_timeout_log_error,
        log_ciphers=tls_options is not None and tls_options.tls_debug > 1,
        connections=options.net_max_worker_connections,
        keepalive=keepalive,
    )


class Door(asyncio.Protocol):
    """A connection before its protocol has it."""

    def __init__(self, acceptor: Acceptor) -> None:
        self.acceptor = acceptor
        self.transport: Any = None
        self.early = b""
        """What the client sent right behind its handshake."""
        self.is_lost = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        acceptor = self.acceptor
        if not acceptor.has_room:
            acceptor.turned_away += 1
            transport.close()
            return
        set_keepalive(transport.get_extra_info("socket"), acceptor.settings.keepalive)
        if acceptor.settings.tls is not None:
            transport.pause_reading()
            acceptor.connections.add(self)
            acceptor.spawn(acceptor.shake_hands(self, acceptor.settings.tls))
        else:
            self.hand_over(transport)

    def data_received(self, data: bytes) -> None:
        self.early += data

    def connection_lost(self, error: Exception | None) -> None:
        self.is_lost = True
        self.acceptor.forget(self)

    def hand_over(self, transport: Any) -> None:
        """The handshake is done: the connection gets its protocol."""
        acceptor = self.acceptor
        protocol = acceptor.make()
        acceptor.connections.add(protocol)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if self.early:
            protocol.data_received(self.early)
        if self.is_lost:
            protocol.connection_lost(None)

    def look(self, now: float) -> None:
        """The handshake has a time limit of its own."""

    def shut(self) -> None:
        self.transport.close()


class Acceptor:
    """Connections of one server. `turned_away` counts those over the limit."""

    def __init__(
        self,
        make: Callable[[], Any],
        log: Log,
        settings: AcceptSettings,
        look_seconds: float = MOST_LOOK_SECONDS,
    ) -> None:
        self.make = make
        self.log = log
        self.settings = settings
        self.connections: set[Any] = set()
        self.turned_away = 0
        self.closing = False
        self.now = time.monotonic
        self._look_seconds = min(MOST_LOOK_SECONDS, max(look_seconds, 0.02))
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._look: asyncio.TimerHandle | None = None

    @property
    def has_room(self) -> bool:
        most = self.settings.connections
        return not self.closing and (most <= 0 or len(self.connections) < most)

    @property
    def ports(self) -> list[int]:
        """The ports that it listens on."""
        return [
            each.getsockname()[1]
            for server in self._servers
            for each in server.sockets
            if each.family != socket.AF_UNIX
        ]

    async def open(self, sockets: Sequence[socket.socket]) -> None:
        """Accept on sockets that listen; they are closed with the acceptor."""
        loop = asyncio.get_running_loop()
        for each in sockets:
            if each.family == socket.AF_UNIX:
                server = await loop.create_unix_server(lambda: Door(self), sock=each)
            else:
                server = await loop.create_server(lambda: Door(self), sock=each)
            self._servers.append(server)
        self._look = loop.call_later(self._look_seconds, self._look_around)

    async def shake_hands(self, door: Door, tls: ssl.SSLContext) -> None:
        settings, peer = self.settings, peer_of(door.transport)
        try:
            transport = await asyncio.get_running_loop().start_tls(
                door.transport,
                door,
                tls,
                server_side=True,
                ssl_handshake_timeout=settings.handshake_seconds or None,
            )
        except (ssl.SSLError, OSError, TimeoutError) as error:
            is_late = isinstance(error, (ConnectionAbortedError, TimeoutError))
            text = f"{peer}: the TLS handshake failed: {reason(error)}"
            log = self.log.error if settings.log_handshake_timeouts else self.log.debug
            (log if is_late else self.log.warn)(text)
            door.transport.abort()
            self.forget(door)
            return
        self.forget(door)
        if transport is None or self.closing:
            door.transport.abort()
            return
        if settings.log_ciphers:
            cipher = transport.get_extra_info("cipher")
            self.log.info(f"{peer}: {cipher[1]} with {cipher[0]}")
        door.hand_over(transport)

    def _look_around(self) -> None:
        """One timer for all connections, however many there are."""
        now = self.now()
        for connection in list(self.connections):
            connection.look(now)
        self._look = asyncio.get_running_loop().call_later(self._look_seconds, self._look_around)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run beside; the acceptor owns the task, ends it when it closes, and logs its failure."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.log.error(f"a connection failed: {type(error).__name__}: {error}")

    def forget(self, connection: Any) -> None:
        self.connections.discard(connection)

    async def close(self, grace_seconds: float = 0.0) -> None:
        """Listen no more; work under way has `grace_seconds` to end, then it is cut. Safe twice."""
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


def peer_of(transport: Any) -> str:
    """The client's address without its port; empty on a Unix socket."""
    name = transport.get_extra_info("peername")
    return str(name[0]) if isinstance(name, tuple) and name else ""


def set_keepalive(connection: Any, keepalive: tuple[int, int, int] | None) -> None:
    """Have the system probe an idle connection, where it can."""
    if connection is None or keepalive is None or connection.family == socket.AF_UNIX:
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    names = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")
    for name, value in zip(names, keepalive, strict=True):
        if value >= 0 and hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
