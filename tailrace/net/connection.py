"""One open connection to a server: bytes out until the system has them, bytes in, each within its time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tailrace.plugin import Retry

CLOSING_SECONDS = 0.5
MOST_UNREAD_BYTES = 1 << 20
"""Reading pauses while so much waits to be taken."""


class Unreachable(Retry):
    """The server can't be reached, or the connection to it broke: an output may let it pass as a `Retry`."""


class Connection(asyncio.Protocol):
    """A connection as a protocol of the event loop. `send` and `receive` are for one task at a time.

    `one_way`: nobody asks what the server says, so it is dropped. `uses` counts how often it was taken from its pool, `fresh` is True at the first of them.
    """

    def __init__(
        self,
        peer: str,
        io_timeout: float = 0.0,
        on_lost: Callable[[Connection], None] | None = None,
    ) -> None:
        self.peer = peer
        self._on_lost = on_lost
        self.one_way = False
        self.io_timeout = io_timeout
        self.transport: Any = None
        self.uses = 0
        self.idle_since = 0.0
        self._loop = asyncio.get_running_loop()
        self._received: list[bytes] = []
        self._unread = 0
        self._at_end = False
        self._lost: Exception | None = None
        self._is_lost = False
        self._reading: asyncio.Future[None] | None = None
        self._writing: asyncio.Future[None] | None = None
        self._closing: asyncio.Future[None] | None = None
        self._is_full = False

    # What the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.transport.set_write_buffer_limits(high=1, low=0)  # writing pauses until all is out

    def data_received(self, data: bytes) -> None:
        if self.one_way:
            return
        self._received.append(data)
        self._unread += len(data)
        if self._unread > MOST_UNREAD_BYTES:
            self.transport.pause_reading()
        wake(self._reading)

    def eof_received(self) -> bool:
        self._at_end = True
        wake(self._reading)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_lost = self._at_end = True
        self._lost = exc
        for waiting in (self._reading, self._writing, self._closing):
            wake(waiting)
        if self._on_lost is not None:
            self._on_lost(self)

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        wake(self._writing)

    # What its user calls

    @property
    def fresh(self) -> bool:
        return self.uses <= 1

    @property
    def is_usable(self) -> bool:
        """Whether the other side still listens and has said nothing unasked."""
        return not (self._at_end or self._received or self.transport.is_closing())

    @property
    def has_unread(self) -> bool:
        return bool(self._received)

    @property
    def is_lost(self) -> bool:
        return self._is_lost

    def check(self) -> None:
        """`Unreachable` if the other side has gone."""
        if self._is_lost:
            raise self._broken()

    async def send(self, *parts: bytes) -> None:
        """Hand over all bytes; returns when the system has them. `Unreachable` if the connection breaks or stands still."""
        self.check()
        if len(parts) == 1:
            self.transport.write(parts[0])
        else:
            self.transport.writelines(parts)
        while self._is_full and not self._is_lost:
            before = self.transport.get_write_buffer_size()
            self._writing = self._loop.create_future()
            if not await within(self._writing, self.io_timeout) and self._stands_still(before):
                self.abort()
                raise Unreachable(f"{self.peer} took nothing for {self.io_timeout:g} s")
        self.check()

    def _stands_still(self, before: int) -> bool:
        return bool(self.transport.get_write_buffer_size() >= before)

    async def receive(self, wait_seconds: float = 0.0) -> bytes:
        """What has come, at least a byte; nothing at the end. `Unreachable` after `wait_seconds` (0: `net.io_timeout`)."""
        limit = wait_seconds or self.io_timeout
        while not self._received:
            if self._at_end:
                if self._lost is not None:
                    raise self._broken()
                return b""
            self._reading = self._loop.create_future()
            if not await within(self._reading, limit):
                raise Unreachable(f"{self.peer} sent nothing for {limit:g} s")
        data = self._received[0] if len(self._received) == 1 else b"".join(self._received)
        self._received.clear()
        if self._unread > MOST_UNREAD_BYTES and not self._is_lost:
            self.transport.resume_reading()
        self._unread = 0
        return data

    def push_back(self, data: bytes) -> None:
        """Put bytes before what `receive` gives next."""
        if data:
            self._received.insert(0, data)
            self._unread += len(data)

    def _broken(self) -> Unreachable:
        why = self._lost
        text = (getattr(why, "strerror", None) or str(why)) if why is not None else ""
        return Unreachable(f"{self.peer} closed the connection{': ' if text else ''}{text}")

    def close(self) -> None:
        """End it in an orderly way."""
        if self.transport is not None:
            self.transport.close()

    async def wait_closed(self) -> None:
        """Wait until a connection that is being closed is gone; one that takes long is ended at once."""
        if self._is_lost:
            return
        self._closing = self._loop.create_future()
        if not await within(self._closing, CLOSING_SECONDS):
            self.abort()
            await asyncio.sleep(0)

    def abort(self) -> None:
        """End it at once; what was not sent is gone."""
        if self.transport is not None:
            self.transport.abort()


def wake(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)


async def within(future: asyncio.Future[None], seconds: float) -> bool:
    """Wait for it; False if `seconds` (0: without limit) went by first."""
    if not seconds:
        await future
        return True
    try:
        async with asyncio.timeout(seconds):
            await future
    except TimeoutError:
        return False
    return True
