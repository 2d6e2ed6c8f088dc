"""What the messages of the Forward protocol say. Anything that is none is a `ForwardError`.

`read_messages` takes all that came at once: single events of one tag become one list, and entries stay packed, also those of Forward mode, whose
list is MessagePack one after another all the same. What is unusual is read message by message.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple

import msgpack

from tailrace.model.chunk import Body, Metadata
from tailrace.wire.forward import CHUNK, COMPRESSED, METADATA, SIGNAL, SIZE, ForwardError, as_bytes
from tailrace.wire.msgpack import MsgpackError, ext_of, time_of
from tailrace.wire.packed import (
    LIST,
    LIST_HEAD,
    UNUSUAL,
    UnreadableValue,
    borders,
    count_marks,
    times_of,
    unpack_value,
)

ENCODINGS = {b"gzip": "gzip", b"zstd": "zstd"}
MAGIC = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"))
MOST_SIGNAL = 2
MOST_TAG = 65_000
"""What fits into a chunk file."""
DATA_AT = {0xC4: 2, 0xC5: 3, 0xC6: 5, 0xD9: 2, 0xDA: 3, 0xDB: 5, 0xDC: 3, 0xDD: 5}
"""How far behind its first byte the content of a bin, text or list begins, and of shorter ones 1."""
get_tag = attrgetter("tag")
LISTS = {*range(0x90, 0xA0), 0xDC, 0xDD}
SHORT = range(0x90, 0xC0)
"""First bytes of short lists and texts."""


class Single(NamedTuple):
    """Message mode: one event; `chunk` is what to acknowledge it with."""

    tag: str
    time_ns: int
    metadata: Metadata
    body: Body
    chunk: str | bytes | None


class Singles(NamedTuple):
    """Events of one tag in Message mode, with what to acknowledge some of them with.

    Without `metadata` there is none, nor marks of groups. `nbytes` is the size of the messages.
    """

    tag: str
    times: list[int]
    metadata: list[Metadata] | None
    bodies: list[Body]
    chunks: list[str | bytes]
    nbytes: int


class Listed(NamedTuple):
    """Forward mode: entries that are not looked at yet, as values."""

    tag: str
    entries: list[Any]
    chunk: str | bytes | None
    nbytes: int = 0


class Packed(NamedTuple):
    """PackedForward or Forward mode: `entries` is MessagePack (of logs, if `signal` is 0), compressed as `encoding` says.

    `size` is the number of events that the sender says there are, 0 if it says nothing.
    """

    tag: str
    entries: bytes
    size: int
    signal: int
    encoding: str
    chunk: str | bytes | None


Message = Singles | Listed | Packed


def read_messages(block: bytes, count: int) -> list[Message | ForwardError]:
    """The `count` messages that stand one after another, up to the first that is none. Their order is kept within a tag."""
    try:
        return _read_alike(block, count) if begins_with_time(block) else _read_packs(block, count)
    except UNUSUAL:
        return _read_each(block)


@cache
def _decoders() -> Any:
    """Decoders of lists of messages: single events, and entries that stay as they are."""
    import msgspec  # 17 ms
    from msgspec.msgpack import Decoder, Ext

    options = ("options", dict[str, Any] | None, None)
    event = [("tag", str), ("time", int | float | Ext), ("body", dict[str, Any]), options]
    entries = [("tag", str), ("entries", msgspec.Raw), options]

    def decoder(name: str, fields: list[Any]) -> Any:
        kind = msgspec.defstruct(name, fields, array_like=True, gc=False)
        return Decoder(list[kind], ext_hook=ext_of).decode  # type: ignore[valid-type]

    return decoder("Event", event), decoder("Entries", entries)


def begins_with_time(block: bytes) -> bool:
    """Whether the first message seems to be a single event: what stands after its tag is no list, text or bin."""
    at = 1
    first = block[at] if len(block) > at else 0
    length = {0xD9: 1, 0xDA: 2}.get(first, 0)
    size = first & 0x1F if not length else int.from_bytes(block[at + 1 : at + 1 + length], "big")
    at += 1 + length + size
    return at < len(block) and block[at] not in SHORT and block[at] not in DATA_AT


def _read_alike(block: bytes, count: int) -> list[Message | ForwardError]:
    """Single events. `UNUSUAL` if there are others."""
    events = _decoders()[0](LIST_HEAD.pack(LIST, count) + block)
    heads = [event.time for event in events]
    tag = events[0].tag
    if count_marks(heads) != 0 or len(tag) > MOST_TAG:
        raise ValueError
    times = times_of(heads)
    is_bare = [event.options for event in events].count(None) == len(events)
    if is_bare and len(set(map(get_tag, events))) == 1:
        return [Singles(tag, times, None, [event.body for event in events], [], len(block))]
    singles = [
        make_single(event.tag, time, event.body, event.options or {})
        for event, time in zip(events, times, strict=True)
    ]
    share = len(block) // count
    return joined_singles((single, share) for single in singles)


def _read_packs(block: bytes, count: int) -> list[Message | ForwardError]:
    """Messages of entries. `UNUSUAL` if there are others."""
    found: list[Message | ForwardError] = []
    for message in _decoders()[1](LIST_HEAD.pack(LIST, count) + block):
        view = memoryview(message.entries)
        first = view[0]
        if first not in SHORT and first not in DATA_AT:
            raise ValueError
        at = DATA_AT.get(first, 1)
        entries, options = bytes(view[at:]), message.options or {}
        if first in LISTS:
            size = first & 0x0F if at == 1 else int.from_bytes(view[1:at], "big")
            check_tag(message.tag)
            found.append(Packed(message.tag, entries, size, 0, "", chunk_of(options)))
        else:
            found.append(make_packed(message.tag, entries, options))
    return found


def _read_each(block: bytes) -> list[Message | ForwardError]:
    """Messages of whatever kind, one by one."""
    found: list[tuple[Single | Message | ForwardError, int]] = []
    for start, end in borders(block)[0]:
        size = end - start
        try:
            message = read_message(unpack_value(block[start:end]))
        except ForwardError as error:
            found.append((error, size))
            break
        if type(message) is Listed:
            message = message._replace(nbytes=size)
        if message is not None:
            found.append((message, size))
    return joined_singles(found)


def joined_singles(
    messages: Iterable[tuple[Single | Message | ForwardError, int]],
) -> list[Message | ForwardError]:
    """The messages, single events joined by their tag up to the next message of entries."""
    found: list[Message | ForwardError] = []
    by_tag: dict[str, list[tuple[Single, int]]] = {}
    for message, size in messages:
        if type(message) is Single:
            by_tag.setdefault(message.tag, []).append((message, size))
            continue
        found += map(join, by_tag.values())
        by_tag = {}
        found.append(message)  # type: ignore[arg-type]  # no Single, as mypy can't tell from `type(...) is`
    return found + list(map(join, by_tag.values()))


def join(events: list[tuple[Single, int]]) -> Singles:
    return Singles(
        events[0][0].tag,
        [event.time_ns for event, _ in events],
        [event.metadata for event, _ in events],
        [event.body for event, _ in events],
        [event.chunk for event, _ in events if event.chunk is not None],
        sum([size for _, size in events]),
    )


# One message


def read_message(value: Any) -> Single | Listed | Packed | None:
    """The message that a value is; None for nil, which Fluentd's clients may send to see whether somebody listens."""
    if value is None:
        return None
    if type(value) is not list:
        raise ForwardError(str(value) if type(value) is UnreadableValue else "this is no array")
    if len(value) < 2:
        raise ForwardError("an array of fewer than two values")
    tag, entries = value[0], value[1]
    if type(tag) is bytes:
        tag = tag.decode("utf-8", "surrogateescape")
    if type(tag) is not str:
        raise ForwardError("its tag is no text")
    check_tag(tag)
    if type(entries) is list:
        return Listed(tag, entries, chunk_of(options_of(value, 2)))
    data = as_bytes(entries)
    if data is not None:
        return make_packed(tag, data, options_of(value, 2))
    if len(value) < 3 or type(value[2]) is not dict:
        raise ForwardError("it has no map of an event")
    try:
        time_ns = time_of(entries)
    except MsgpackError:
        raise ForwardError("what stands after the tag is neither a time nor entries") from None
    return make_single(tag, time_ns, value[2], options_of(value, 3))


def check_tag(tag: str) -> None:
    if len(tag) > MOST_TAG:
        raise ForwardError(f"its tag has more than {MOST_TAG} characters")


def make_single(tag: str, time_ns: int, body: Body, options: dict[Any, Any]) -> Single:
    check_tag(tag)
    metadata = options.get(METADATA, {})
    if type(metadata) is not dict:
        raise ForwardError("its metadata is no map")
    return Single(tag, time_ns, metadata, body, chunk_of(options))


def make_packed(tag: str, data: bytes, options: dict[Any, Any]) -> Packed:
    check_tag(tag)
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
