"""Compressed bytes, in and out, never larger than a limit.

Names are those of HTTP's `Content-Encoding`: gzip, deflate (with or without its zlib head), zstd, snappy (raw blocks or the
framed form). A few kilobytes can unpack to gigabytes, so `decompress` stops at its limit instead of trusting the sender.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

FAST = 1
GZIP, ZLIB, RAW = 31, 15, -15
LEAST_BUFFER_BYTES = 256 * 1024
SNAPPY_FRAMES = b"\xff\x06\x00\x00sNaPpY"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


class CompressionError(ValueError):
    """Bytes that are not what they are said to be, or too many of them."""


class TooLarge(CompressionError):
    """More bytes than the limit allows."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit} bytes when unpacked")


_fast_zlib: Any = None
try:
    from isal import isal_zlib

    _fast_zlib = isal_zlib
except ImportError:  # no wheel for this machine: the standard library's zlib does it
    pass


def gzip(data: bytes) -> bytes:
    """A gzip member; the level that costs least."""
    if _fast_zlib is None:
        return zlib.compress(data, FAST, GZIP)
    return bytes(_fast_zlib.compress(data, FAST, GZIP))


def zstd(data: bytes) -> bytes:
    from cramjam import zstd as library

    return bytes(library.compress(data, 3))


def snappy(data: bytes) -> bytes:
    """A raw block, as Fluent Bit sends it."""
    from cramjam import snappy as library

    return bytes(library.compress_raw(data))


def deflate(data: bytes) -> bytes:
    return zlib.compress(data, FAST)


COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip,
    "zstd": zstd,
    "snappy": snappy,
    "deflate": deflate,
}


def decompress(encoding: str, data: bytes, limit: int) -> bytes:
    """What `data` holds, at most `limit` bytes; `CompressionError` if it can't be had."""
    try:
        unpack = DECOMPRESSORS[encoding]
    except KeyError:
        raise CompressionError(f"'{encoding}' is no known encoding") from None
    return unpack(data, limit)


def gunzip(data: bytes, limit: int) -> bytes:
    """All members of a gzip stream."""
    parts: list[bytes] = []
    room = limit
    while data:
        part, data = _inflate_member(data, room, GZIP)
        parts.append(part)
        room -= len(part)
        data = data.lstrip(b"\0")
    return b"".join(parts)


def inflate(data: bytes, limit: int) -> bytes:
    """A zlib stream, or a bare deflate stream."""
    try:
        return _inflate_member(data, limit, ZLIB)[0]
    except TooLarge:
        raise
    except CompressionError:
        return _inflate_member(data, limit, RAW)[0]


def _inflate_member(data: bytes, limit: int, wbits: int) -> tuple[bytes, bytes]:
    """One stream and what stands after it."""
    library: Any = _fast_zlib or zlib
    machine = library.decompressobj(wbits)
    try:
        part = machine.decompress(data, limit + 1)
    except (zlib.error, library.error, ValueError) as error:
        raise CompressionError(str(error)) from error
    if len(part) > limit:
        raise TooLarge(limit)
    if not machine.eof:
        raise CompressionError("it ends too early")
    return part, machine.unused_data


def unzstd(data: bytes, limit: int) -> bytes:
    """Zstandard frames, into a buffer that grows up to the limit."""
    import cramjam

    if not data.startswith(ZSTD_MAGIC):
        raise CompressionError("no Zstandard frame")
    room = min(limit, max(LEAST_BUFFER_BYTES, 8 * len(data)))
    while True:
        buffer = bytearray(room)
        try:
            return bytes(memoryview(buffer)[: cramjam.zstd.decompress_into(data, buffer)])
        except cramjam.DecompressionError as error:
            if "whole buffer" not in str(error):
                raise CompressionError(str(error)) from error
        if room >= limit:
            raise TooLarge(limit)
        room = min(limit, room * 4)


def unsnappy(data: bytes, limit: int) -> bytes:
    import cramjam

    library = cramjam.snappy
    try:
        if data.startswith(SNAPPY_FRAMES):
            unpacked = bytes(library.decompress(data))  # at most 22 times as long
        else:
            if library.decompress_raw_len(data) > limit:
                raise TooLarge(limit)
            unpacked = bytes(library.decompress_raw(data))
    except cramjam.DecompressionError as error:
        raise CompressionError(str(error)) from error
    if len(unpacked) > limit:
        raise TooLarge(limit)
    return unpacked


DECOMPRESSORS: dict[str, Callable[[bytes, int], bytes]] = {
    "gzip": gunzip,
    "deflate": inflate,
    "zstd": unzstd,
    "snappy": unsnappy,
}
