"""Messages made of chunks, as Fluent Bit writes them.

Logs go in Forward mode, gzipped in CompressedPackedForward mode, and in Message mode when the tag is made of the event. Entries that are
MessagePack already go out as they are. Metrics and traces are one binary (`fluent_signal` 1 and 2).
"""

from __future__ import annotations

import binascii
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from msgpack import UnpackException

from tailrace.model import LOGS, METRICS, Chunk
from tailrace.model.accessor import Template
from tailrace.wire.forward import CHUNK, COMPRESSED, METADATA, SIGNAL, SIGNAL_NUMBERS, SIZE
from tailrace.wire.msgpack import (
    NEW_HEAD,
    NO_METADATA,
    OLD_HEAD,
    SECOND,
    UNUSUAL,
    count_events,
    encode_bare,
    encode_bodies,
    encode_each,
    encode_time,
    is_usual,
    pack,
    packed_events,
    unpacker,
)

TOKEN_BYTES = 16
GROUP_TIME = b"\x00\xff\xff\xff\xff"
"""The end of the type and the seconds of the EventTime that begins a group; seldom anything else."""
GZIP = "gzip"
STAMP = struct.Struct(">HQ")
"""EventTime as fixext8: type, then seconds and nanoseconds."""


@dataclass(slots=True, frozen=True)
class Manner:
    """How one destination wants its messages.

    `tag` takes the place of the chunk's. `keep_metadata`: entries with metadata (False: without; None: with, if the chunk has any).
    `with_options`: the options map is sent with logs. `extra` is added to it.
    """

    tag: Template | None = None
    time_as_integer: bool = False
    keep_metadata: bool | None = True
    with_options: bool = False
    wants_ack: bool = False
    compress: bool = False
    fluentd_compat: bool = False
    extra: tuple[tuple[str, str], ...] = ()

    @property
    def is_by_event(self) -> bool:
        """Whether each event is a message of its own, since its tag is made of it."""
        return self.tag is not None and bool(self.tag.accessors)


class Message(NamedTuple):
    """The bytes of one message in parts, and the token that acknowledges it (empty: none is asked for)."""

    parts: tuple[bytes, ...]
    token: str


def encode(chunk: Chunk, manner: Manner, now_ns: int) -> list[Message]:
    """The messages that a chunk becomes, in their order: one for each that is acknowledged, else what is sent at once."""
    if chunk.kind is not LOGS:
        return [_signal(chunk, manner, now_ns)]
    if manner.is_by_event:
        return _by_event(chunk, manner)
    return [_forward(chunk, manner)]


def _forward(chunk: Chunk, manner: Manner) -> Message:
    if manner.time_as_integer:
        entries, count = bare_events(chunk, whole_seconds=True), chunk.count
    elif not manner.keep_metadata and (stripped := stripped_events(chunk.packed)) is not None:
        entries, count = stripped, chunk.count
    elif _keeps_metadata(chunk, manner):
        entries = packed_events(chunk)
        count = entry_count(chunk, entries)
    else:
        entries, count = bare_events(chunk), chunk.count
    token = token_of(entries) if manner.wants_ack else ""
    head = array_head(3 if manner.with_options else 2) + pack(tag_of(chunk, manner))
    options = pack(options_of(chunk, manner, token, count)) if manner.with_options else b""
    if manner.compress:
        entries = compressed(entries)
        return Message((head + binary_head(len(entries)), entries, options), token)
    return Message((head + array_head(count), entries, options), token)


def _keeps_metadata(chunk: Chunk, manner: Manner) -> bool:
    if manner.keep_metadata is None:
        return chunk.metadata is not None or chunk.groups is not None
    return manner.keep_metadata


def entry_count(chunk: Chunk, entries: bytes) -> int:
    """How many entries there are: events, and the marks of groups, which count as events here."""
    # Looking for one byte alone is ten times as fast, and text has no 0xFF.
    if chunk.packed is None and chunk.groups is None:
        return chunk.count
    return count_events(entries) if b"\xff" in entries and GROUP_TIME in entries else chunk.count


def _by_event(chunk: Chunk, manner: Manner) -> list[Message]:
    template = manner.tag
    assert template is not None
    bodies, metadata = chunk.bodies, chunk.metadata
    render, tag = template.render, chunk.tag
    packed_tags: dict[str, bytes] = {}
    tags = [render(body, tag) for body in bodies]
    for text in set(tags):
        packed_tags[text] = pack(text)
    parts = [b"\x94"] * (5 * len(bodies))
    parts[1::5] = map(packed_tags.__getitem__, tags)
    parts[2::5] = stamps_of(chunk.times, manner.time_as_integer)
    parts[3::5] = encode_bodies(bodies)
    plain = options_of(chunk, manner, "", 0)
    if not manner.wants_ack:
        options = pack(plain)
        parts[4::5] = (
            [options] * len(bodies)
            if metadata is None
            else [pack({**plain, METADATA: meta}) if meta else options for meta in metadata]
        )
        return [Message((b"".join(parts),), "")]
    messages = []
    events = encode_each(chunk.times, metadata, bodies)
    for index, event in enumerate(events):
        token = token_of(event)
        given = {CHUNK: token, **plain}
        if metadata is not None and metadata[index]:
            given[METADATA] = metadata[index]
        parts[5 * index + 4] = pack(given)
        messages.append(Message((b"".join(parts[5 * index : 5 * index + 5]),), token))
    return messages


def _signal(chunk: Chunk, manner: Manner, now_ns: int) -> Message:
    """Metrics or traces."""
    payload = payload_of(chunk)
    token = token_of(payload) if manner.wants_ack else ""
    head = b"\x93" + pack(tag_of(chunk, manner))
    options = pack(options_of(chunk, manner, token, 0))
    if manner.compress:
        payload = compressed(payload)
    elif manner.fluentd_compat:
        # An event whose body is a list of the payload's maps, at the time of sending.
        head += b"\x91\x92" + encode_time(now_ns) + array_head(count_events(payload))
        return Message((head, payload, options), token)
    return Message((head + binary_head(len(payload)), payload, options), token)


def payload_of(chunk: Chunk) -> bytes:
    """Metrics and traces in the form in which Fluent Bit keeps them."""
    if chunk.kind is METRICS:
        from tailrace.wire import cmetrics

        return cmetrics.encode(chunk.payload)
    from tailrace.wire import ctraces

    return ctraces.encode(chunk.payload)


def tag_of(chunk: Chunk, manner: Manner) -> str:
    return chunk.tag if manner.tag is None else manner.tag.render({}, chunk.tag)


def token_of(data: bytes) -> str:
    """The chunk id of a message: the same content has the same one, so that a receiver can know what comes again."""
    from hashlib import (
        sha512,  # with what stands below 5 ms of the start, for those alone that ask for it
    )

    digest = sha512(data).digest()[:TOKEN_BYTES]
    return binascii.b2a_base64(digest, newline=False).decode()


def compressed(data: bytes) -> bytes:
    from tailrace.wire.compression import gzip

    return gzip(data)


def options_of(chunk: Chunk, manner: Manner, token: str, count: int) -> dict[str, Any]:
    """The options map. Compat: the order is Fluent Bit's, whose own readers expect `chunk` first."""
    made: dict[str, Any] = {}
    if token:
        made[CHUNK] = token
    if count:
        made[SIZE] = count
    if manner.compress:
        made[COMPRESSED] = GZIP
    made[SIGNAL] = SIGNAL_NUMBERS[chunk.kind]
    made.update(manner.extra)
    return made


def bare_events(chunk: Chunk, whole_seconds: bool = False) -> bytes:
    """Events as `[time, body]`, for receivers that know no metadata."""
    times, bodies = chunk.times, chunk.bodies
    if is_usual(times) and not whole_seconds:
        try:
            return encode_bare(times, bodies)
        except UNUSUAL:
            pass
    parts = [b"\x92"] * (3 * len(bodies))
    parts[1::3], parts[2::3] = stamps_of(times, whole_seconds), encode_bodies(bodies)
    return b"".join(parts)


def stripped_events(packed: bytes | None) -> bytes | None:
    """Packed events with empty metadata, or none, as `[time, body]`, without opening them; None if they are not like that."""
    if packed is not None and packed.startswith(OLD_HEAD) and NEW_HEAD not in packed:
        return packed
    if packed is None or (b"\xff" in packed and GROUP_TIME in packed):
        return None
    source = unpacker(packed)
    skip, tell = source.skip, source.tell
    parts: list[bytes] = []
    start, end = 0, len(packed)
    while start < end:
        if not packed.startswith(NEW_HEAD, start) or not packed.startswith(NO_METADATA, start + 12):
            return None
        try:
            skip()
        except (ValueError, RecursionError, UnpackException):
            return None  # whoever opens it says what is wrong
        next_start = tell()
        parts += (b"\x92", packed[start + 2 : start + 12], packed[start + 13 : next_start])
        start = next_start
    return b"".join(parts)


def stamps_of(times: Sequence[int], whole_seconds: bool) -> list[bytes]:
    """Each time as EventTime, or as an integer."""
    if whole_seconds:
        return [pack(time // SECOND) for time in times]
    if is_usual(times):
        stamp = STAMP.pack
        return [stamp(0xD700, time // SECOND << 32 | time % SECOND) for time in times]
    return [encode_time(time) for time in times]


def array_head(count: int) -> bytes:
    """What stands before the items of an array."""
    if count < 16:
        return bytes((0x90 | count,))
    if count < 1 << 16:
        return b"\xdc" + struct.pack(">H", count)
    return b"\xdd" + struct.pack(">I", count)


def binary_head(length: int) -> bytes:
    """What stands before the bytes of a binary."""
    if length < 1 << 8:
        return bytes((0xC4, length))
    if length < 1 << 16:
        return b"\xc5" + struct.pack(">H", length)
    return b"\xc6" + struct.pack(">I", length)
