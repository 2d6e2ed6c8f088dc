"""Entries of Forward messages: `[time, body]` and `[[time, metadata], body]`, packed or as values.

Packed entries are checked and counted without making objects of their bodies (0.2 µs an event, where decoding takes one), so that they can stay
packed until somebody looks. What is no event is left out and told, and the others are kept.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Any, NamedTuple

import msgpack

from tailrace.model.chunk import Body, Decoded, Group, Metadata
from tailrace.wire.forward.reading import LIST, LIST_HEAD, ext_of, unpack_value
from tailrace.wire.msgpack import (
    GROUP_BEGIN,
    GROUP_END,
    MARKS,
    SECOND,
    MsgpackError,
    count_events,
    groups_between,
    read_event,
    time_of,
)

LEAST_EVENT_BYTES = 3
MARK_SECONDS = (b"\xff\xff\xff\xff", b"\xff\xff\xff\xfe")
"""The seconds of an EventTime that begins or ends a group."""


class Counted(NamedTuple):
    """What packed entries are made of: `values` counts events and the marks of groups."""

    values: int
    events: int


class Entries(NamedTuple):
    """Events, and how many entries were none, with the first reason."""

    events: Decoded
    refused: int
    why: str


@cache
def _codec() -> Any:
    """Decoders of lists of events: one that only looks at their form, and one that makes all of them."""
    import msgspec
    from msgspec.msgpack import Decoder, Ext

    class AnyMap(msgspec.Struct, gc=False):
        """A map with text for keys, whose values are passed over."""

    time = int | float | Ext
    form = Decoder(list[tuple[time | tuple[time, AnyMap], AnyMap]])
    event = tuple[time | tuple[time, dict[str, Any]], dict[str, Any]]
    return form.decode, Decoder(list[event], ext_hook=ext_of).decode


def count_packed(packed: bytes, size: int = 0) -> Counted | None:
    """How many events there are if `packed` holds nothing else; else None. `size`: how many the sender says there are."""
    for hint in (size, 0):
        try:
            count = hint or count_events(packed)
            if not 0 < count <= len(packed) // LEAST_EVENT_BYTES:
                continue
            events = _codec()[0](LIST_HEAD.pack(LIST, count) + packed)
        except (ValueError, TypeError, RecursionError, OverflowError):
            continue
        if not has_times(events):
            return None
        if any(mark in packed for mark in MARK_SECONDS):
            times = times_of([head[0] if type(head) is tuple else head for head, _ in events])
            return Counted(count, count - sum(map(MARKS.__contains__, times)))
        return Counted(count, count)
    return None


def has_times(events: list[Any]) -> bool:
    """Whether all times are such: those that are extensions must be EventTime."""
    for time, _ in events:
        if type(time) is tuple:
            time = time[0]
        kind = type(time)
        if kind is int:
            if time < 0:
                return False
        elif kind is float:
            if not -1e11 < time < 1e11:
                return False
        elif time.code or len(time.data) != 8:
            return False
    return True


def decode_counted(packed: bytes, values: int) -> Decoded:
    """The events of what `count_packed` has counted; `values` is its count with the marks."""
    try:
        events = _codec()[1](LIST_HEAD.pack(LIST, values) + packed)
    except (ValueError, TypeError, RecursionError, OverflowError):
        return _decode_each(packed)
    heads = [head for head, _ in events]
    metadata: list[Metadata] | None = None
    if tuple in set(map(type, heads)):
        metadata = [head[1] if type(head) is tuple else {} for head in heads]
        heads = [head[0] if type(head) is tuple else head for head in heads]
    times, bodies = times_of(heads), [body for _, body in events]
    if any(mark in packed for mark in MARK_SECONDS):
        times = [MARKS.get(time, time) for time in times]
        return grouped(times, metadata or [{} for _ in times], bodies)
    return Decoded(times, metadata if metadata and any(metadata) else None, bodies)


def grouped(times: list[int], metadata: list[Metadata], bodies: list[Body]) -> Decoded:
    """The events, of events and marks of groups."""
    if GROUP_BEGIN not in times and GROUP_END not in times:
        return Decoded(times, metadata if any(metadata) else None, bodies)
    events: list[tuple[int, Metadata, Body]] = []
    marks: list[tuple[int, Group | None]] = []
    for time, meta, body in zip(times, metadata, bodies, strict=True):
        if time == GROUP_BEGIN:
            marks.append((len(events), Group(meta, body)))
        elif time == GROUP_END:
            marks.append((len(events), None))
        else:
            events.append((time, meta, body))
    metas = [meta for _, meta, _ in events]
    return Decoded(
        [time for time, _, _ in events],
        metas if any(metas) else None,
        [body for _, _, body in events],
        groups_between(marks, len(events)),
    )


def times_of(heads: Sequence[Any]) -> list[int]:
    """Nanoseconds of integers, floats and EventTimes."""
    kinds = set(map(type, heads))
    if kinds == {int}:
        return [seconds * SECOND for seconds in heads]
    if int in kinds or float in kinds:
        return [
            time_of(head) if type(head) is int or type(head) is float else times_of([head])[0]
            for head in heads
        ]
    words = struct.unpack(f">{2 * len(heads)}I", b"".join([head.data for head in heads]))
    return [seconds * SECOND + rest for seconds, rest in zip(words[::2], words[1::2], strict=True)]


def _decode_each(packed: bytes) -> Decoded:
    """As `decode_counted`, for what the faster decoder does not take (text that is no UTF-8); one that can't be read stays as bytes."""
    times: list[int] = []
    metadata: list[Metadata] = []
    bodies: list[Body] = []
    for start, end in borders(packed)[0]:
        try:
            time, meta, body = read_event(unpack_value(packed[start:end]), start)
        except MsgpackError:
            time, meta, body = 0, {}, {"msgpack": packed[start:end]}
        times.append(time)
        metadata.append(meta)
        bodies.append(body)
    return grouped(times, metadata, with_text_keys(bodies))


def split_packed(packed: bytes, counted: Counted, part_bytes: int) -> list[tuple[bytes, Counted]]:
    """The same events in parts of about `part_bytes`, each with its count; groups stay in one piece."""
    if len(packed) <= 2 * part_bytes or any(mark in packed for mark in MARK_SECONDS):
        return [(packed, counted)]
    parts, begin, count = [], 0, 0
    for _, end in borders(packed)[0]:
        count += 1
        if end - begin >= part_bytes:
            parts.append((packed[begin:end], Counted(count, count)))
            begin, count = end, 0
    if count:
        parts.append((packed[begin:], Counted(count, count)))
    return parts


def read_packed(packed: bytes) -> Entries:
    """All events of entries that `count_packed` does not take as they are."""
    places, error = borders(packed)
    found = read_entries([unpack_value(packed[start:end]) for start, end in places])
    if not error:
        return found
    return found._replace(refused=found.refused + 1, why=found.why or error)


def borders(packed: bytes) -> tuple[list[tuple[int, int]], str]:
    """Where each value begins and ends, and why it can't be read to the end, if so."""
    source = msgpack.Unpacker(None, max_buffer_size=len(packed) + 1)
    source.feed(packed)
    places, start = [], 0
    try:
        while start < len(packed):
            source.skip()
            end = source.tell()
            places.append((start, end))
            start = end
    except msgpack.OutOfData:
        return places, "an entry is cut off"
    except (ValueError, msgpack.UnpackException):
        return places, "an entry is no MessagePack"
    return places, ""


def read_entries(values: Sequence[Any]) -> Entries:
    """The events among values that stand for entries."""
    times: list[int] = []
    metadata: list[Metadata] = []
    bodies: list[Body] = []
    refused, why = 0, ""
    for value in values:
        try:
            time, meta, body = read_event(value, 0)
        except MsgpackError:
            refused += 1
            why = why or "an entry is no event"
            continue
        times.append(time)
        metadata.append(meta)
        bodies.append(body)
    return Entries(grouped(times, metadata, with_text_keys(bodies)), refused, why)


def with_text_keys(bodies: list[Body]) -> list[Body]:
    """The bodies, with keys that are no text as text."""
    try:
        "".join(chain.from_iterable(bodies))
    except TypeError:
        return [{as_key(key): value for key, value in body.items()} for body in bodies]
    return bodies


def as_key(key: Any) -> str:
    if type(key) is bytes:
        return key.decode("utf-8", "surrogateescape")
    return key if type(key) is str else str(key)
