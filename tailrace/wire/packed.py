"""Packed events as others send them, without making objects of them until somebody looks.

`count_packed` finds out whether bytes are events throughout, and how many, in a fifth of the time that decoding takes; `decode_packed` opens what it
has counted, in one call of a library. Text that is no UTF-8, keys that are none and extensions take a slower way.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import cache
from itertools import chain
from operator import attrgetter
from typing import Any

import msgpack

from tailrace.model.chunk import Body, Decoded, Group, Metadata
from tailrace.model.extension import Extension
from tailrace.wire.msgpack import (
    EVENT_TIME,
    GROUP_BEGIN,
    GROUP_END,
    MARKS,
    SECOND,
    MsgpackError,
    count_events,
    ext_of,
    groups_between,
    read_event,
    time_of,
)

LIST_HEAD = struct.Struct(">BI")
"""A list of up to 2^32 values."""
LIST = 0xDD
LEAST_EVENT_BYTES = 3
MOST_AT_ONCE = 50_000
"""Values of which a form is made at once: they take up to 100 bytes each, however small what came is."""
PART_BYTES = 128 << 10
MOST_SECONDS = 1e11
get_code = attrgetter("code")
UNUSUAL = (ValueError, TypeError, RecursionError, OverflowError)
"""What the decoders raise for what they don't take."""
MARK_BYTES = b"\xff\xff\xff"
"""What is in the time of each mark of a group."""
LEAST_MARK = b"\xff\xff\xff\xfe"


class UnreadableValue(ValueError):
    """A whole MessagePack value of which no object can be made."""


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


def count_packed(packed: bytes, size: int = 0) -> int | None:
    """How many events there are if `packed` holds nothing else; else None. `size`: how many the sender says there are."""
    for hint in (size, 0) if size else (0,):
        try:
            values = hint or count_events(packed)
            if not 0 < values <= len(packed) // LEAST_EVENT_BYTES:
                continue
            parts = (
                [(packed, values)] if values <= MOST_AT_ONCE else cut(packed, values, PART_BYTES)
            )
            marks = [_marks_in(part, number) for part, number in parts]
        except UNUSUAL:
            continue
        return None if None in marks else values - sum(filter(None, marks))
    return None


def _marks_in(packed: bytes, values: int) -> int | None:
    """How many of the values are marks of groups; None if one is no event, or one of `UNUSUAL`."""
    forms = _codec()[0](LIST_HEAD.pack(LIST, values) + packed)
    return count_marks([head for head, _ in forms])


def may_hold_marks(packed: bytes) -> bool:
    """Whether there may be marks of groups."""
    # One byte alone is found ten times as fast, and text has no 0xFF.
    return MARK_BYTES[:1] in packed and MARK_BYTES in packed


def firsts(heads: list[Any]) -> list[Any]:
    """The time of each `time` or `(time, metadata)`."""
    if set(map(type, heads)) == {tuple}:
        return [head[0] for head in heads]
    return [head[0] if type(head) is tuple else head for head in heads]


def count_marks(heads: list[Any]) -> int | None:
    """How many heads of events are marks of groups; None if one holds no time. Extensions must be EventTime."""
    kinds = set(map(type, heads))
    if tuple in kinds:
        heads = firsts(heads)
        kinds = set(map(type, heads))
    if kinds == {int}:
        return 0 if min(heads) >= 0 else None
    if int in kinds or float in kinds:
        numbers = [head for head in heads if type(head) is int or type(head) is float]
        if not all(0 <= number < MOST_SECONDS for number in numbers):
            return None
        if len(numbers) == len(heads):
            return 0
        heads = [head for head in heads if type(head) is not int and type(head) is not float]
    times = [head.data for head in heads]
    if set(map(get_code, heads)) != {0} or set(map(len, times)) != {EVENT_TIME.size}:
        return None
    if max(times) < LEAST_MARK:
        return 0
    return sum(map(MARKS.__contains__, times_of(heads)))


def decode_packed(packed: bytes, count: int) -> Decoded:
    """The `count` events of what `count_packed` has counted, or `encode_events` has made."""
    events = _decode_list(packed, count)
    if events is None:
        values = count_events(packed) if may_hold_marks(packed) else count
        events = _decode_list(packed, values) if values != count else None
    return _decode_each(packed) if events is None else _decoded(events, count)


def decode_whole(packed: bytes, count: int = 0) -> Decoded | None:
    """All events, if `packed` holds nothing else and the faster decoder takes it; else None. `count`: how many there may be.

    Half the time that `decode_events` takes.
    """
    try:
        events = _decode_list(packed, count) if count else None
        if events is None:
            count = count_events(packed)
            events = _decode_list(packed, count)
    except MsgpackError:
        return None
    if not events:
        return None
    marks = count_marks([head for head, _ in events])
    return None if marks is None else _decoded(events, len(events) - marks)


def _decoded(events: list[Any], count: int) -> Decoded:
    """The events of a list of `count` events and marks of groups."""
    heads = [head for head, _ in events]
    metadata: list[Metadata] | None = None
    if tuple in set(map(type, heads)):
        metadata = [head[1] if type(head) is tuple else {} for head in heads]
        heads = firsts(heads)
    times, bodies = times_of(heads), [body for _, body in events]
    if len(times) != count:
        times = [
            time if type(head) is int or type(head) is float else MARKS.get(time, time)
            for head, time in zip(heads, times, strict=True)
        ]
        return grouped(times, metadata or [{} for _ in times], bodies)
    return Decoded(times, metadata if metadata and any(metadata) else None, bodies)


def _decode_list(packed: bytes, values: int) -> list[Any] | None:
    try:
        events: list[Any] = _codec()[1](LIST_HEAD.pack(LIST, values) + packed)
    except UNUSUAL:
        return None
    return events


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


def split_packed(packed: bytes, count: int, part_bytes: int) -> list[tuple[bytes, int]]:
    """The same events in parts of about `part_bytes`, each with its count; what has groups stays in one piece."""
    if len(packed) <= 2 * part_bytes or may_hold_marks(packed):
        return [(packed, count)]
    return cut(packed, count, part_bytes)


def cut(packed: bytes, count: int, part_bytes: int) -> list[tuple[bytes, int]]:
    """The same values in parts of about `part_bytes`, each with its number; `ValueError` if there are not just `count`."""
    source = msgpack.Unpacker(None, max_buffer_size=len(packed) + 1)
    source.feed(packed)
    skip, tell = source.skip, source.tell
    parts, begin, values, enough, end = [], 0, 0, part_bytes, 0
    try:
        for _ in range(count):
            skip()
            values += 1
            if (end := tell()) >= enough:
                parts.append((packed[begin:end], values))
                begin, values, enough = end, 0, end + part_bytes
    except msgpack.UnpackException as error:
        raise ValueError(f"there are not {count} values") from error
    if end != len(packed):
        raise ValueError(f"there are more than {count} values")
    if values:
        parts.append((packed[begin:], values))
    return parts


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
    if key is None or type(key) is bool:
        return {None: "null", True: "true", False: "false"}[key]
    return key if type(key) is str else str(key)


# One value


def unpack_value(data: bytes) -> Any:
    """One whole value of whatever kind, or (not raised) `UnreadableValue`: text that is no UTF-8 has surrogate escapes, keys that can't be one become text."""
    try:
        return msgpack.unpackb(
            data,
            raw=False,
            strict_map_key=False,
            unicode_errors="surrogateescape",
            ext_hook=Extension,
            object_pairs_hook=_make_map,
        )
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        return UnreadableValue(f"a value can't be read: {error}")


def _make_map(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    try:
        return dict(pairs)
    except TypeError:
        return {str(key): value for key, value in pairs}
