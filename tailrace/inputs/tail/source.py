"""Where the bytes of one file come from: the file itself, or what a `.gz` file holds.

A source is asked for the next bytes (`peek`) and told how many of them were taken (`consume`); bytes that were not taken
come again. So an incomplete last line costs no memory while its file is idle.
"""

from __future__ import annotations

import os
import zlib
from typing import Protocol

from tailrace.inputs.tail.marker import MARKER_BYTES

Spot = tuple[int, bytes]
"""A place in a file: its offset, and up to 32 bytes before it."""
RAW_BLOCK_BYTES = 65536
GZIP_WINDOW = 31
GZIP_MAGIC = b"\x1f\x8b"


class Rewritten(Exception):
    """The file no longer holds what was read: it was truncated or written anew."""


class Source(Protocol):
    @property
    def position(self) -> int:
        """Offset of the first byte that was not taken; of the decompressed stream for a `.gz` file."""

    def peek(self, size: int) -> tuple[bytes, int]:
        """Data, and the index in it of the first byte not taken; up to `size` bytes follow there.

        Raises `Rewritten`, `OSError`, or `zlib.error` for a damaged `.gz` file.
        """

    def consume(self, data: bytes, begin: int, end: int) -> None:
        """Take `data[begin:end]` of what `peek` gave."""

    @property
    def here(self) -> Spot:
        """The place of the first byte not taken."""

    @property
    def raw_offset(self) -> int:
        """How much of the file itself was read."""

    @property
    def at_end(self) -> bool:
        """Whether everything that was read of the file was taken too."""

    def restart(self) -> None:
        """Begin at the head of the file again."""


class PlainSource:
    """The bytes of a file. The last 32 before the position are read and compared each time."""

    __slots__ = ("_before", "fd", "position")

    def __init__(self, fd: int, position: int) -> None:
        self.fd = fd
        self.position = position
        count = min(position, MARKER_BYTES)
        self._before = os.pread(fd, count, position - count) if count else b""

    def peek(self, size: int) -> tuple[bytes, int]:
        before = self._before
        lead = len(before)
        data = os.pread(self.fd, size + lead, self.position - lead)
        if not data.startswith(before):
            raise Rewritten
        return data, lead

    def consume(self, data: bytes, begin: int, end: int) -> None:
        self.position += end - begin
        self._before = data[max(0, end - MARKER_BYTES) : end]

    @property
    def here(self) -> Spot:
        return self.position, self._before

    @property
    def raw_offset(self) -> int:
        return self.position

    @property
    def at_end(self) -> bool:
        return True

    def restart(self) -> None:
        self.position, self._before = 0, b""


class GzipSource:
    """What a `.gz` file of one or more members holds. No more is decompressed than was asked for."""

    __slots__ = ("_buffer", "_inflate", "_input", "fd", "position", "raw_offset")

    def __init__(self, fd: int, position: int = 0, raw_offset: int = 0) -> None:
        """`raw_offset`: the file was read up to there, whole members, which held `position` bytes."""
        self.fd = fd
        self.restart()
        self.position, self.raw_offset = position, raw_offset

    def restart(self) -> None:
        self.position = self.raw_offset = 0
        self._buffer = self._input = b""
        self._inflate = zlib.decompressobj(GZIP_WINDOW)

    def peek(self, size: int) -> tuple[bytes, int]:
        if os.fstat(self.fd).st_size < self.raw_offset:
            raise Rewritten
        missing = size - len(self._buffer)
        while missing > 0:
            piece = self._inflate_some(missing)
            if not piece and not self._input:
                break
            self._buffer += piece
            missing -= len(piece)
        return self._buffer[:size], 0

    def _inflate_some(self, most: int) -> bytes:
        if not self._input:
            self._input = os.pread(self.fd, RAW_BLOCK_BYTES, self.raw_offset)
            self.raw_offset += len(self._input)
        if self._inflate.eof:
            self._begin_member()
            if not self._input:
                return b""
        piece = self._inflate.decompress(self._input, most)
        self._input = self._inflate.unused_data or self._inflate.unconsumed_tail
        return piece

    def _begin_member(self) -> None:
        """The next member, or nothing: padding after the last one is passed over, as gzip does."""
        if self._input[: len(GZIP_MAGIC)] != GZIP_MAGIC[: len(self._input)]:
            self._input = b""
        if self._input:
            self._inflate = zlib.decompressobj(GZIP_WINDOW)

    def consume(self, data: bytes, begin: int, end: int) -> None:
        self._buffer = self._buffer[end:]
        self.position += end - begin

    @property
    def here(self) -> Spot:
        return self.position, b""

    @property
    def at_end(self) -> bool:
        return not self._buffer and not self._input
