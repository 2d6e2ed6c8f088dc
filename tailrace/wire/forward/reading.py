"""Messages of the Forward protocol, out of a stream of bytes that nobody has looked at yet.

`MessageStream` cuts the stream into whole values without making objects of what is not complete, so that what a sender claims to
send later takes no memory. `read_message` says what one value is; anything that is no message is a `ForwardError`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import accumulate
from typing import Any, NamedTuple

import msgpack

from tailrace.model.chunk import Body, Metadata
from tailrace.wire.forward import CHUNK, COMPRESSED, METADATA, SIGNAL, SIZE, ForwardError, as_bytes
from tailrace.wire.msgpack import MsgpackError, ext_of, time_of
from tailrace.wire.packed import LIST, LIST_HEAD, UNUSUAL, UnreadableValue, unpack_value

ENCODINGS = {b"gzip": "gzip", b"zstd": "zstd"}
MAGIC = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"))
MOST_SIGNAL = 2
MOST_TAG = 65_000
"""What fits into a chunk file."""


class Single(NamedTuple):
    """Message mode: one event; `chunk` is what to acknowledge it with."""

    tag: str
    time_ns: int
    metadata: Metadata
    body: Body
    chunk: str | bytes | None


class Listed(NamedTuple):
    """Forward mode: entries that are not looked at yet."""

    tag: str
    entries: list[Any]
    chunk: str | bytes | None


class Packed(NamedTuple):
    """PackedForward mode: `entries` is MessagePack (of logs, if `signal` is 0), compressed as `encoding` says.

    `size` is the number of events that the sender says there are, 0 if it says nothing.
    """

    tag: str
    entries: bytes
    size: int
    signal: int
    encoding: str
    chunk: str | bytes | None


Message = Single | Listed | Packed


class Taken(NamedTuple):
    """Whole values with their sizes in bytes, and why the stream can't be read on, if so. One that can't be made is an `UnreadableValue`."""

    values: list[Any]
    sizes: list[int]
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
        start, error = self._taken, ""
        ends: list[int] = []
        self._parts.append(data)
        self._fed += len(data)
        scanner = self._scanner
        skip, tell = scanner.skip, scanner.tell
        try:
            scanner.feed(data)
            while True:
                skip()
                end = tell()
                if end - self._taken > self.limit:
                    error = self._too_large()
                    break
                ends.append(end)
                self._taken = end
        except msgpack.OutOfData:
            if self.pending > self.limit:
                error = self._too_large()
        except msgpack.StackError:
            error = "a message is nested too deeply"
        except (ValueError, msgpack.UnpackException):
            error = "this is no MessagePack"
        if not ends:
            return Taken([], [], error)
        block = b"".join(self._parts)
        whole = self._taken - start
        self._parts = [block[whole:]]
        sizes = [end - begin for begin, end in zip([start, *ends], ends, strict=False)]
        return Taken(unpack_values(block[:whole], sizes), sizes, error)

    def _too_large(self) -> str:
        return f"a message is larger than {self.limit} bytes"


@cache
def _decoder() -> Any:
    from msgspec.msgpack import Decoder  # 17 ms

    return Decoder(ext_hook=ext_of).decode


def unpack_values(data: bytes, sizes: Sequence[int]) -> list[Any]:
    """The values of these sizes; whole MessagePack is taken for granted."""
    try:
        values: list[Any] = _decoder()(LIST_HEAD.pack(LIST, len(sizes)) + data)
    except UNUSUAL:
        return [
            unpack_value(data[end - size : end])
            for size, end in zip(sizes, accumulate(sizes), strict=True)
        ]
    return values


# What a value means


def read_message(value: Any) -> Message | None:
    """The message that a value is; None for nil, which Fluentd's clients may send to see whether somebody listens."""
    if value is None:
        return None
    if type(value) is not list:
        why = str(value) if type(value) is UnreadableValue else "this is no array"
        raise ForwardError(why)
    if len(value) < 2:
        raise ForwardError("an array of fewer than two values")
    tag = value[0]
    if type(tag) is not str:
        if type(tag) is not bytes:
            raise ForwardError("its tag is no text")
        tag = tag.decode("utf-8", "surrogateescape")
    if len(tag) > MOST_TAG:
        raise ForwardError(f"its tag has more than {MOST_TAG} characters")
    entries = value[1]
    kind = type(entries)
    if kind is list:
        return Listed(tag, entries, chunk_of(options_of(value, 2)))
    if kind is bytes or kind is str:
        return read_packed(tag, entries, options_of(value, 2))
    return read_single(tag, value)


def read_single(tag: str, value: list[Any]) -> Single:
    if len(value) < 3 or type(value[2]) is not dict:
        raise ForwardError("it has no map of an event")
    try:
        time_ns = time_of(value[1])
    except MsgpackError:
        raise ForwardError("what stands after the tag is neither a time nor entries") from None
    if len(value) == 3:
        return Single(tag, time_ns, {}, value[2], None)
    options = options_of(value, 3)
    metadata = options.get(METADATA, {})
    if type(metadata) is not dict:
        raise ForwardError("its metadata is no map")
    return Single(tag, time_ns, metadata, value[2], chunk_of(options))


def read_packed(tag: str, entries: bytes | str, options: dict[Any, Any]) -> Packed:
    data = as_bytes(entries) or b""
    size, signal = options.get(SIZE), options.get(SIGNAL, 0)
    if type(signal) is not int or not 0 <= signal <= MOST_SIGNAL:
        raise ForwardError("its fluent_signal is none of 0 (logs), 1 (metrics) and 2 (traces)")
    return Packed(
        tag,
        data,
        size if type(size) is int else 0,
        signal,
        encoding_of(data, options),
        chunk_of(options),
    )


def encoding_of(data: bytes, options: dict[Any, Any]) -> str:
    """How entries are compressed: what their first bytes say goes before the options."""
    for magic, encoding in MAGIC:
        if data.startswith(magic):
            return encoding
    named = as_bytes(options.get(COMPRESSED)) or b""
    return ENCODINGS.get(named, "") if data else ""


def options_of(value: list[Any], index: int) -> dict[Any, Any]:
    """The options; old Docker daemons send nil."""
    options = value[index] if len(value) > index else None
    if options is None:
        return {}
    if type(options) is not dict:
        raise ForwardError("its options are no map")
    return options


def chunk_of(options: dict[Any, Any]) -> str | bytes | None:
    chunk = options.get(CHUNK)
    if CHUNK in options and type(chunk) is not str and type(chunk) is not bytes:
        raise ForwardError("its chunk is no text")
    return chunk


def ack(chunk: str | bytes) -> bytes:
    """The answer that a chunk is taken for good."""
    packed: bytes = msgpack.packb({"ack": chunk}, unicode_errors="surrogateescape")
    return packed
