"""Whole messages out of a stream of bytes that nobody has looked at yet.

Nothing is made of what is not complete, so that what a sender claims to send later takes no memory.
"""

from __future__ import annotations

from typing import NamedTuple

import msgpack


class Taken(NamedTuple):
    """Whole MessagePack values, one after another, how many, and why the stream can't be read on, if so."""

    block: bytes
    number: int
    error: str


class MessageStream:
    """What comes on one connection. A value of more than `limit` bytes, or bytes that are no MessagePack, end it."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._scanner = msgpack.Unpacker(None, max_buffer_size=0)  # `feed` watches the size
        self._parts: list[bytes] = []
        self._taken = 0
        """Bytes up to the end of the last whole value."""
        self._fed = 0

    @property
    def pending(self) -> int:
        """Bytes of a value that is not whole yet."""
        return self._fed - self._taken

    def feed(self, data: bytes) -> Taken:
        """Take bytes; the values that are whole now."""
        start, end, count, error = self._taken, self._taken, 0, ""
        self._parts.append(data)
        self._fed += len(data)
        scanner = self._scanner
        skip, tell = scanner.skip, scanner.tell
        try:
            scanner.feed(data)
            if self.pending <= self.limit:
                while True:
                    skip()
                    end = tell()
                    count += 1
            while True:
                skip()
                if tell() - end > self.limit:
                    error = self._too_large()
                    break
                end = tell()
                count += 1
        except msgpack.OutOfData:
            if self._fed - end > self.limit:
                error = self._too_large()
        except msgpack.StackError:
            error = "a message is nested too deeply"
        except (ValueError, msgpack.UnpackException):
            error = "this is no MessagePack"
        if not count:
            return Taken(b"", 0, error)
        self._taken = end
        block = b"".join(self._parts)
        whole = end - start
        self._parts = [block[whole:]]
        return Taken(block[:whole], count, error)

    def _too_large(self) -> str:
        return f"a message is larger than {self.limit} bytes"
