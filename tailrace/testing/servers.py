"""Servers for tests of what sends: an HTTP server with scripted answers, and sinks that keep whatever comes.

    with FakeServer([500, 200]) as server:
        run_output("http", f"host 127.0.0.1\\nport {server.port}", {"a": 1})
    assert server.requests[0].path == "/"

Each runs in a thread of its own on a free port of 127.0.0.1, so it serves blocking tests and asyncio tests alike.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import struct
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Self

WAIT_SECONDS = 10.0


class Fault(Enum):
    """What a `FakeServer` does instead of a proper answer."""

    RESET = auto()
    """Breaks the connection as soon as the request is there."""
    CLOSE = auto()
    """Ends the connection without an answer."""
    HANG = auto()
    """Never answers."""
    PARTIAL = auto()
    """Sends half of an answer, then ends the connection."""
    GARBAGE = auto()
    """Answers with what is no HTTP."""


RESET, CLOSE, HANG, PARTIAL, GARBAGE = Fault


@dataclass(slots=True)
class Reply:
    """An answer. `delay`: seconds before it is sent; `close`: end the connection after it."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    close: bool = False


@dataclass(slots=True)
class Request:
    """A request as it came. `headers` has lower-case names; of several of one name the first. `connection` numbers connections from 0."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int
    header_lines: list[tuple[str, str]] = field(default_factory=list)


Step = int | Reply | Fault


class Served(ABC):
    """A server in a thread of its own: entered, it listens on `port`; left, it is gone."""

    host = "127.0.0.1"

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.port = 0
        self.tls = tls
        self.connections = 0
        """How many connections were made so far."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._changed = threading.Condition()
        self._open: set[asyncio.BaseTransport] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._accepting: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(WAIT_SECONDS)
        return self

    def __exit__(self, *exc_info: object) -> None:
        asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result(WAIT_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_SECONDS)
        self._loop.close()

    @abstractmethod
    async def _listen(self) -> None:
        """Begin to take clients in."""

    async def _shut(self) -> None:
        for _ in range(3):  # connections that were just accepted come so far as to be served
            await asyncio.sleep(0)
        for transport in list(self._open):
            transport.abort() if isinstance(
                transport, asyncio.WriteTransport
            ) else transport.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)

    def _tell(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def wait_until(self, reached: Callable[[], bool], seconds: float = WAIT_SECONDS) -> None:
        """Block until `reached()` is true; `TimeoutError` if that takes longer than `seconds`."""
        end = time.monotonic() + seconds
        with self._changed:
            while not reached():
                left = end - time.monotonic()
                if left <= 0:
                    raise TimeoutError("what the test waits for does not come")
                self._changed.wait(min(left, 0.5))


class StreamServer(Served):
    """What TCP servers share."""

    async def _listen(self) -> None:
        self._listener = socket.create_server((self.host, 0))
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]
        self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        """Take a connection. `asyncio.start_server` loses those that come while it is being closed (Python 3.11)."""
        with contextlib.suppress(BlockingIOError):
            sock, _ = self._listener.accept()
            task = self._loop.create_task(self._take(sock))
            self._accepting.add(task)
            task.add_done_callback(self._accepting.discard)

    async def _take(self, sock: socket.socket) -> None:
        def protocol() -> asyncio.StreamReaderProtocol:
            return asyncio.StreamReaderProtocol(asyncio.StreamReader(), self._serve)

        sock.setblocking(False)
        with contextlib.suppress(OSError):  # a handshake that failed
            await self._loop.connect_accepted_socket(
                protocol, sock, ssl=self.tls, ssl_handshake_timeout=5.0 if self.tls else None
            )

    async def _shut(self) -> None:
        self._loop.remove_reader(self._listener)
        self._listener.close()
        await asyncio.gather(*self._accepting)
        await super()._shut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = self.connections
        self.connections += 1
        self._open.add(writer.transport)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await self._talk(reader, writer, number)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the other side has gone: tests look at what came
        finally:
            self._open.discard(writer.transport)
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    @abstractmethod
    async def _talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        """Serve one client; `number` counts them."""


def reset(writer: asyncio.StreamWriter) -> None:
    """Break a connection so that the other side gets a reset, not an orderly end."""
    fd = os.dup(writer.get_extra_info("socket").fileno())
    with socket.socket(fileno=fd) as twin:
        twin.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class FakeServer(StreamServer):
    """An HTTP server. `script` holds one step for each request, the last one for all further ones.

    A step is a status, a `Reply`, or a fault: `RESET`, `CLOSE`, `HANG`, `PARTIAL`, `GARBAGE`. CONNECT is answered with `connect_status` and makes
    no tunnel: what comes after it is answered by the script as well.
    """

    def __init__(
        self,
        script: Sequence[Step] = (200,),
        tls: ssl.SSLContext | None = None,
        connect_status: int = 200,
    ) -> None:
        super().__init__(tls)
        self.connect_status = connect_status
        self.script = list(script)
        self.requests: list[Request] = []

    def wait(self, count: int, seconds: float = WAIT_SECONDS) -> list[Request]:
        """Block until `count` requests have come; all that came."""
        self.wait_until(lambda: len(self.requests) >= count, seconds)
        return self.requests

    def _step(self) -> Step:
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    async def _talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        while True:
            request = await read_request(reader, number)
            step = self.connect_status if request.method == "CONNECT" else self._step()
            self.requests.append(request)
            self._tell()
            if not await self._answer(step, writer):
                return

    async def _answer(self, step: Step, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection goes on."""
        if isinstance(step, Fault):
            await self._fail(step, writer)
            return False
        reply = Reply(step) if isinstance(step, int) else step
        if reply.delay:
            await asyncio.sleep(reply.delay)
        headers = {"Content-Length": str(len(reply.body)), **reply.headers}
        lines = [f"HTTP/1.1 {reply.status} Scripted", *(f"{n}: {v}" for n, v in headers.items())]
        if reply.close:
            lines.append("Connection: close")
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + reply.body)
        await writer.drain()
        return not reply.close

    async def _fail(self, fault: Fault, writer: asyncio.StreamWriter) -> None:
        if fault is RESET:
            reset(writer)
        elif fault is HANG:
            await asyncio.Event().wait()
        elif fault is PARTIAL:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        elif fault is GARBAGE:
            writer.write(b"220 mail.example ESMTP\r\n")


async def read_request(reader: asyncio.StreamReader, number: int) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")[:-2]
    method, path, _ = first.split(" ", 2)
    pairs = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    headers: dict[str, str] = {}
    for name, value in pairs:
        headers.setdefault(name.lower(), value)
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, path, headers, body, number, pairs)


class TCPSink(StreamServer):
    """Keeps all bytes of each connection in `received`, one entry a connection.

    `reply(data)` gives what to answer to newly come bytes; `reset_after`: break a connection once so many bytes have come;
    `stall`: read nothing at all.
    """

    def __init__(
        self,
        tls: ssl.SSLContext | None = None,
        *,
        reply: Callable[[bytes], bytes] | None = None,
        reset_after: int = 0,
        stall: bool = False,
    ) -> None:
        super().__init__(tls)
        self.received: list[bytes] = []
        self.reply = reply
        self.reset_after = reset_after
        self.stall = stall

    @property
    def data(self) -> bytes:
        """All bytes of all connections, in the order of the connections."""
        return b"".join(self.received)

    def wait(self, count: int, seconds: float = WAIT_SECONDS) -> bytes:
        """Block until `count` bytes have come; all that came."""
        self.wait_until(lambda: sum(map(len, self.received)) >= count, seconds)
        return self.data

    async def _talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        if self.stall:
            await asyncio.Event().wait()
        self.received.append(b"")
        while data := await reader.read(1 << 16):
            self.received[number] += data
            self._tell()
            if self.reset_after and len(self.received[number]) >= self.reset_after:
                reset(writer)
                return
            if self.reply is not None:
                writer.write(self.reply(data))
                await writer.drain()


class UDPSink(Served):
    """Keeps each datagram in `datagrams`."""

    def __init__(self) -> None:
        super().__init__()
        self.datagrams: list[bytes] = []

    async def _listen(self) -> None:
        transport, _ = await self._loop.create_datagram_endpoint(
            lambda: Keeper(self), local_addr=(self.host, 0)
        )
        self._open.add(transport)
        self.port = transport.get_extra_info("sockname")[1]

    def wait(self, count: int, seconds: float = WAIT_SECONDS) -> list[bytes]:
        """Block until `count` datagrams have come; all that came."""
        self.wait_until(lambda: len(self.datagrams) >= count, seconds)
        return self.datagrams

    def keep(self, data: bytes) -> None:
        self.datagrams.append(data)
        self._tell()


class Keeper(asyncio.DatagramProtocol):
    """Hands datagrams to their sink."""

    def __init__(self, sink: UDPSink) -> None:
        self.sink = sink

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self.sink.keep(data)
