"""Takes in the connections of a server: their number, the TLS handshake, silence, and the end of all.

A protocol that it makes is an `asyncio.Protocol` with two methods more: `look(now)`, called about once a second so that
the protocol may close for silence, and `shut()`, called when the server closes.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from tailrace.net.keepalive import Keepalive, keepalive_of, set_keepalive
from tailrace.net.options import ListenOptions, TLSOptions
from tailrace.net.tls import reason
from tailrace.plugin.log import Log

MOST_LOOK_SECONDS = 1.0
MOST_ACCEPTED = 64
"""In one turn of the loop."""
REST_SECONDS = 1.0
"""How long nothing is accepted after the system has refused to."""


def is_gone(error: BaseException) -> bool:
    """Whether a failure says no more than that the other side has left."""
    return isinstance(error, ConnectionError) or (
        isinstance(error, OSError) and error.errno == errno.ENOTCONN
    )


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
    keepalive: Keepalive | None = None
    """Probe idle connections."""


def accept_settings(
    options: ListenOptions, tls_options: TLSOptions | None, tls: ssl.SSLContext | None
) -> AcceptSettings:
    """The settings that an input's `net.*` and `tls.*` options ask for."""
    return AcceptSettings(
        tls=tls,
        handshake_seconds=options.net_accept_timeout,
        log_handshake_timeouts=options.net_accept_timeout_log_error,
        log_ciphers=tls_options is not None and tls_options.tls_debug > 1,
        connections=options.net_max_worker_connections,
        keepalive=keepalive_of(options),
    )


class Door(asyncio.Protocol):
    """A connection before its protocol has it; with TLS, one whose handshake is done."""

    def __init__(self, acceptor: Acceptor, handshake: Handshake | None = None) -> None:
        self.acceptor = acceptor
        self.handshake = handshake

    def connection_made(self, transport: Any) -> None:
        acceptor = self.acceptor
        acceptor.forget(self.handshake)
        if not acceptor.has_room:
            acceptor.turn_away(transport)
            return
        set_keepalive(transport.get_extra_info("socket"), acceptor.settings.keepalive)
        protocol = acceptor.make()
        acceptor.connections.add(protocol)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)


class Handshake:
    """A connection whose TLS handshake goes on; it has a time limit of its own."""

    def __init__(self, connection: socket.socket) -> None:
        self.transport = connection

    def look(self, now: float) -> None:
        """Nothing to do: see above."""

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
        self._listening: list[socket.socket] = []
        """Sockets that are accepted on here."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._look: asyncio.TimerHandle | None = None

    @property
    def has_room(self) -> bool:
        most = self.settings.connections
        return not self.closing and (most <= 0 or len(self.connections) < most)

    @property
    def held_bytes(self) -> int:
        """What connections hold of messages that are not whole; those say so that have `held_bytes`."""
        return sum(getattr(each, "held_bytes", 0) for each in self.connections)

    @property
    def ports(self) -> list[int]:
        """The ports that it listens on."""
        return [
            each.getsockname()[1]
            for each in (*self._listening, *(s for v in self._servers for s in v.sockets))
            if each.family != socket.AF_UNIX
        ]

    async def open(self, sockets: Sequence[socket.socket]) -> None:
        """Accept on sockets that listen; they are closed with the acceptor."""
        loop = asyncio.get_running_loop()
        for each in sockets:
            if self.settings.tls is not None:
                self._listening.append(each)
                loop.add_reader(each.fileno(), self._accept, each, self.settings.tls)
            elif each.family == socket.AF_UNIX:
                self._servers.append(await loop.create_unix_server(lambda: Door(self), sock=each))
            else:
                self._servers.append(await loop.create_server(lambda: Door(self), sock=each))
        self._look = loop.call_later(self._look_seconds, self._look_around)

    def _accept(self, listening: socket.socket, tls: ssl.SSLContext) -> None:
        """Take in clients that speak TLS here, not by the loop's server, which says nothing of handshakes that fail."""
        for _ in range(MOST_ACCEPTED):
            try:
                connection, address = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:  # as when too many files are open
                self.log.error(f"a connection can't be taken in: {error.strerror}")
                self._rest(listening, tls)
                return
            if not self.has_room:
                self.turn_away(connection)
                continue
            connection.setblocking(False)
            peer = address[0] if isinstance(address, tuple) else ""
            self.spawn(self._shake_hands(connection, tls, str(peer)))

    def _rest(self, listening: socket.socket, tls: ssl.SSLContext) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(listening.fileno())

        def go_on() -> None:
            if not self.closing:
                loop.add_reader(listening.fileno(), self._accept, listening, tls)

        loop.call_later(REST_SECONDS, go_on)

    async def _shake_hands(self, connection: socket.socket, tls: ssl.SSLContext, peer: str) -> None:
        settings, handshake = self.settings, Handshake(connection)
        self.connections.add(handshake)
        try:
            transport, _ = await asyncio.get_running_loop().connect_accepted_socket(
                lambda: Door(self, handshake),
                connection,
                ssl=tls,
                ssl_handshake_timeout=settings.handshake_seconds or None,
            )
        except ConnectionResetError:
            self.log.debug(f"{peer}: closed before the TLS handshake was done")
            connection.close()
            return
        except (ssl.SSLError, OSError, TimeoutError) as error:
            is_late = isinstance(error, (ConnectionAbortedError, TimeoutError))
            text = f"{peer}: the TLS handshake failed: {reason(error)}"
            log = self.log.error if settings.log_handshake_timeouts else self.log.debug
            (log if is_late else self.log.warn)(text)
            connection.close()
            return
        finally:
            self.forget(handshake)
        if settings.log_ciphers:
            cipher = transport.get_extra_info("cipher")
            self.log.info(f"{peer}: {cipher[1]} with {cipher[0]}")

    def turn_away(self, connection: Any) -> None:
        """Close one that is over the limit."""
        self.turned_away += 1
        connection.close()

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
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        if is_gone(error):
            self.log.debug(f"a connection has ended: {error}")
        else:
            self.log.error(f"a connection failed: {type(error).__name__}: {error}")

    def forget(self, connection: Any) -> None:
        self.connections.discard(connection)

    async def close(self, grace_seconds: float = 0.0) -> None:
        """Listen no more; work under way has `grace_seconds` to end, then it is cut. Safe twice."""
        self.closing = True
        for server in self._servers:
            server.close()
        for listening in self._listening:
            asyncio.get_running_loop().remove_reader(listening.fileno())
            listening.close()
        self._listening.clear()
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


class Outflow:
    """Notices that a client takes nothing of what waits to be sent to it; asked about once a second, in `look`."""

    def __init__(self) -> None:
        self._left = 0
        self._since = 0.0

    def stands_still(self, transport: Any, now: float, seconds: float) -> bool:
        """Whether it has taken nothing for longer than `seconds` (0: never)."""
        left = transport.get_write_buffer_size()
        if not self._left or left < self._left:
            self._since = now
        self._left = left
        return bool(seconds and left and now - self._since > seconds)


def peer_of(transport: Any) -> str:
    """The client's address without its port; empty on a Unix socket."""
    name = transport.get_extra_info("peername")
    return str(name[0]) if isinstance(name, tuple) and name else ""
