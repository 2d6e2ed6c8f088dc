"""Connections to servers, kept and used again: one server (`Upstream`), or several in turn (`Balancer`).

    upstream = Upstream(Server("logs.example", 5170), options.net, context)
    async with upstream.connection() as connection:
        await connection.send(data)

All of `net.*` is honoured here. A name is resolved anew for each connection, a kept connection is looked at before it is used, and
one that failed is never used again. Whatever goes wrong is an `Unreachable`, which is a `Retry`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass

from tailrace.config import ConfigError
from tailrace.config.source import Section
from tailrace.net.connection import Connection, Unreachable
from tailrace.net.keepalive import keepalive_of, set_keepalive
from tailrace.net.options import ConnectOptions
from tailrace.net.proxy import Proxy, authority, open_tunnel, proxy_of_environment
from tailrace.net.tls import ContextKeeper, reason
from tailrace.plugin import Connections, Context


@dataclass(slots=True, frozen=True)
class Server:
    """Where to connect: a host and a port, or a Unix socket. `tls_name`: what to ask for and expect instead of the host."""

    host: str
    port: int
    unix_path: str = ""
    tls_name: str = ""

    def __str__(self) -> str:
        return self.unix_path or authority(self.host, self.port)


class Upstream:
    """The connections to one server.

    `proxy_tls` makes the context for an `https://` proxy, if there is one. `proxy`: a tunnel through it is made; without, `HTTP_PROXY` counts unless `net.proxy_env_ignore` is on or it is `direct`.
    `one_way`: what the server says is dropped and is no reason to give up a connection.
    """

    def __init__(
        self,
        server: Server,
        options: ConnectOptions,
        context: Context,
        tls: ContextKeeper | None = None,
        *,
        tls_debug: int = 1,
        proxy: Proxy | None = None,
        proxy_tls: Callable[[], ssl.SSLContext] = ssl.create_default_context,
        direct: bool = False,
        one_way: bool = False,
    ) -> None:
        self.server = server
        self.options = options
        self.tls = tls
        self.proxy = proxy
        if proxy is None and not (direct or options.net_proxy_env_ignore or server.unix_path):
            self.proxy = proxy_of_environment(server.host)
        self._proxy_tls = proxy_tls() if self.proxy is not None and self.proxy.tls else None
        self._tls_debug = tls_debug
        self._one_way = one_way
        self._log = context.log
        if options.net_dns_mode == "tcp":
            self._log.warn(
                "net.dns.mode tcp is passed over: the system resolves names and chooses the transport "
                "(`options use-vc` in resolv.conf)"
            )
        self._prefer_ipv4 = options.net_dns_prefer_ipv4 or bool(context.service("dns.prefer_ipv4"))
        self._prefer_ipv6 = options.net_dns_prefer_ipv6 or bool(context.service("dns.prefer_ipv6"))
        self._idle: deque[Connection] = deque()
        self._open: set[Connection] = set()
        """All connections that are not gone yet, also those that are being closed."""
        self._room: asyncio.Semaphore | None = None
        if options.net_max_worker_connections > 0:
            self._room = asyncio.Semaphore(options.net_max_worker_connections)
        self._sweeper: asyncio.TimerHandle | None = None

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection for the time of the block; it is kept if the block ends without an exception."""
        connection = await self.acquire()
        is_sound = False
        try:
            yield connection
            is_sound = True
        finally:
            self.release(connection, is_sound)

    async def acquire(self, fresh: bool = False) -> Connection:
        """A kept connection, or (always with `fresh`) a new one; give it back with `release`."""
        if self._room is not None:
            await self._room.acquire()
        try:
            connection = None if fresh else self._take_idle()
            if connection is None:
                connection = await self._connect_in_time()
                connection.one_way = self._one_way
        except BaseException:
            if self._room is not None:
                self._room.release()
            raise
        connection.uses += 1
        return connection

    def release(self, connection: Connection, keep: bool) -> None:
        """Give a connection back; without `keep` it is closed."""
        if self._room is not None:
            self._room.release()
        limit = self.options.net_keepalive_max_recycle
        # A recycle is a use after the first.
        is_used_up = bool(limit) and connection.uses > limit
        if keep and self.options.net_keepalive and not is_used_up and connection.is_usable:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)
            self._plan_sweep()
            return
        if keep:
            connection.close()
        else:
            connection.abort()

    def connections(self) -> Connections:
        """How many are open, and how many of them are in use."""
        return Connections(len(self._open), len(self._open) - len(self._idle))

    async def close(self) -> None:
        """Close all connections, also those in use."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        self._idle.clear()
        closing = list(self._open)
        for connection in closing:
            connection.close()
        for connection in closing:
            await connection.wait_closed()

    def _take_idle(self) -> Connection | None:
        """The connection used last that is still good."""
        self._close_idle()
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable:
                return connection
            connection.close()
        return None

    def _close_idle(self) -> None:
        timeout = self.options.net_keepalive_idle_timeout
        if timeout <= 0:
            return
        oldest = asyncio.get_running_loop().time() - timeout
        while self._idle and self._idle[0].idle_since <= oldest:
            self._idle.popleft().close()

    def _plan_sweep(self) -> None:
        timeout = self.options.net_keepalive_idle_timeout
        if timeout > 0 and self._sweeper is None and self._idle:
            loop = asyncio.get_running_loop()
            self._sweeper = loop.call_at(self._idle[0].idle_since + timeout, self._sweep)

    def _sweep(self) -> None:
        self._sweeper = None
        self._close_idle()
        self._plan_sweep()

    # Connecting

    async def _connect_in_time(self) -> Connection:
        limit = self.options.net_connect_timeout
        try:
            async with asyncio.timeout(limit or None):
                return await self._connect()
        except TimeoutError:
            what = f"no connection to {self.server} within {limit:g} s"
            say = self._log.error if self.options.net_connect_timeout_log_error else self._log.debug
            say(what)
            raise Unreachable(what) from None
        except ssl.SSLError as error:
            raise Unreachable(f"TLS with {self.server}: {reason(error)}") from error
        except OSError as error:
            raise Unreachable(f"no connection to {self.server}: {reason(error)}") from error

    async def _connect(self) -> Connection:
        if self.server.unix_path:
            return await self._finish(await self._unix_socket(), self.tls)
        if self.proxy is None:
            return await self._finish(
                await self._socket(self.server.host, self.server.port), self.tls
            )
        return await self._through(self.proxy)

    async def _through(self, proxy: Proxy) -> Connection:
        """A tunnel through the proxy, TLS with the server inside it."""
        sock = await self._socket(proxy.host, proxy.port)
        connection = await self._protocol(sock, self._proxy_tls, proxy.host)
        try:
            await open_tunnel(connection, self.server.host, self.server.port, proxy.authorization)
            if self.tls is not None:
                await self._start_tls(connection, self.tls.current())
        except BaseException:
            connection.abort()
            await asyncio.sleep(0)
            raise
        return connection

    async def _start_tls(self, connection: Connection, context: ssl.SSLContext) -> None:
        loop = asyncio.get_running_loop()
        transport = await loop.start_tls(
            connection.transport, connection, context, server_hostname=self._tls_name
        )
        assert transport is not None
        connection.connection_made(transport)
        self._tell_tls(connection)

    @property
    def _tls_name(self) -> str:
        return self.server.tls_name or self.server.host or "localhost"

    async def _finish(self, sock: socket.socket, tls: ContextKeeper | None) -> Connection:
        connection = await self._protocol(
            sock, tls.current() if tls is not None else None, self._tls_name
        )
        if tls is not None:
            self._tell_tls(connection)
        return connection

    async def _protocol(
        self, sock: socket.socket, context: ssl.SSLContext | None, name: str
    ) -> Connection:
        """The socket as a connection; the loop closes it if that fails."""
        connection = Connection(str(self.server), self.options.net_io_timeout, self._open.discard)
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: connection,
                sock=sock,
                ssl=context,
                server_hostname=name if context is not None else None,
            )
        except OSError:
            await asyncio.sleep(0)  # the loop closes the socket in its next turn
            raise
        self._open.add(connection)
        return connection

    def _tell_tls(self, connection: Connection) -> None:
        if self._tls_debug >= 2:
            session = connection.transport.get_extra_info("ssl_object")
            cipher = session.cipher()[0] if session is not None else "?"
            version = session.version() if session is not None else "?"
            self._log.info(f"tls: {self.server}: {version}, {cipher}")

    async def _unix_socket(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(sock, self.server.unix_path)
        except BaseException:
            sock.close()
            raise
        return sock

    async def _socket(self, host: str, port: int) -> socket.socket:
        """A connected socket: the addresses of the name are tried one after another."""
        addresses = await resolve(host, port, self._prefer_ipv4, self._prefer_ipv6)
        failure: OSError | None = None
        for family, address in addresses:
            try:
                return await self._connect_to(family, address)
            except OSError as error:
                failure = error
        raise failure or OSError(f"{host} has no address")

    async def _connect_to(self, family: int, address: tuple[str, int]) -> socket.socket:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            set_keepalive(sock, keepalive_of(self.options))
            if self.options.net_source_address:
                sock.bind((self.options.net_source_address, 0))
            await asyncio.get_running_loop().sock_connect(sock, address)
        except BaseException:
            sock.close()
            raise
        return sock


async def resolve(
    host: str,
    port: int,
    prefer_ipv4: bool = False,
    prefer_ipv6: bool = False,
    kind: socket.SocketKind = socket.SOCK_STREAM,
) -> list[tuple[int, tuple[str, int]]]:
    """Family and address of each address of a host, the preferred family first. `OSError` if there is none."""
    bare = host.removeprefix("[").removesuffix("]")
    if is_address(bare):
        found = socket.getaddrinfo(bare, port, type=kind, flags=socket.AI_NUMERICHOST)
    else:
        found = await asyncio.get_running_loop().getaddrinfo(bare, port, type=kind)
    addresses: list[tuple[int, tuple[str, int]]] = [
        (family, address)  # type: ignore[misc]  # an address of IPv6 has two parts more
        for family, _, _, _, address in found
        if family in (socket.AF_INET, socket.AF_INET6)
    ]
    if prefer_ipv4 or prefer_ipv6:
        first = socket.AF_INET if prefer_ipv4 else socket.AF_INET6
        addresses.sort(key=lambda pair: pair[0] != first)
    return addresses


def is_address(host: str) -> bool:
    """Whether it is an IP address, so that nobody need be asked."""
    if ":" in host:
        return True
    try:
        socket.inet_aton(host)
    except OSError:
        return False
    return True


# Several servers


REST_SECONDS = 5.0
"""So long a node that failed is asked only when no other will do."""


@dataclass(slots=True)
class Node:
    """One server of several: its connections, and what its section says beside."""

    name: str
    upstream: Upstream
    section: Section
    rests_until: float = 0.0


class Balancer:
    """Several servers that do the same work: each chunk goes to the next of them, past those that failed.

    A node that failed rests: until `REST_SECONDS` have gone by it is asked after all others.
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        if not nodes:
            raise ConfigError("upstream: it has no node.", "Add a [NODE] with name, host and port.")
        self.nodes = list(nodes)
        self._next = 0

    def turn(self) -> Iterator[Node]:
        """All nodes in the order in which to ask them for one chunk; the next turn begins behind the last one taken."""
        now = asyncio.get_running_loop().time()
        count = len(self.nodes)
        order = [(self._next + step) % count for step in range(count)]
        order.sort(key=lambda index: self.nodes[index].rests_until > now)
        for index in order:
            self._next = (index + 1) % count
            yield self.nodes[index]

    def failed(self, node: Node) -> bool:
        """Let it rest; False if it has been resting."""
        now = asyncio.get_running_loop().time()
        is_news = node.rests_until <= now
        node.rests_until = now + REST_SECONDS
        return is_news

    def worked(self, node: Node) -> None:
        node.rests_until = 0.0

    async def acquire(self) -> tuple[Node, Connection]:
        """A connection to the next server that can be reached; `Unreachable` if none can."""
        failures: list[str] = []
        for node in self.turn():
            try:
                connection = await node.upstream.acquire()
            except Unreachable as failure:
                self.failed(node)
                failures.append(failure.why)
                continue
            self.worked(node)
            return node, connection
        raise Unreachable("; ".join(failures))

    def connections(self) -> Connections:
        each = [node.upstream.connections() for node in self.nodes]
        return Connections(sum(one.total for one in each), sum(one.busy for one in each))

    async def close(self) -> None:
        for node in self.nodes:
            await node.upstream.close()


def node_sections(context: Context, path: str) -> list[Section]:
    """The nodes of `upstream PATH` (a file, or a name of the configuration's `upstream_servers`)."""
    return [
        node
        for upstream in context.upstream(path)
        for node in upstream.children
        if node.kind == "node"
    ]
