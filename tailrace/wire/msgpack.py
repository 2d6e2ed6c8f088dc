"""MessagePack events as Fluent Bit keeps and forwards them.

    [[time, metadata], body]     since 2.1
    [time, body]                 before

`time` is EventTime (extension 0 or fixext8: seconds and nanoseconds, big endian; fluentd's "Forward Protocol
Specification v1"), an integer or a float of seconds. An EventTime of -1 or -2 seconds marks the begin and the end of a group: an
event with what those between have in common (OpenTelemetry resource and scope). It is given as the group of those events.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import groupby, repeat
from math import floor
from typing import Any, NamedTuple

import msgpack

from tailrace.model.chunk import Body, Chunk, Group, Groups, Metadata, group_runs
from tailrace.model.extension import Extension

GROUP_BEGIN, GROUP_END = -1 << 100, -2 << 100
"""What is read for the times of marks; no event has such a time."""
MOST_TEXT = 64 << 20
MOST_LENGTHS = 10_000
MOST_DAMAGES = 100
"""Damaged places of one file after which the rest of it is given up."""
NEW_HEAD, OLD_HEAD = b"\x92\x92\xd7\x00", b"\x92\xd7\x00"
EVENT_TIME = struct.Struct(">II")
HEAD = struct.Struct(">IIIB")
"""An event up to its body: `[[EventTime, {}], ...`."""
HEAD_WITH_METADATA = struct.Struct(">III")
"""An event up to its metadata."""
HEAD_WORD = 0x9292D700
BARE_HEAD = struct.Struct(">BHII")
"""An event in the form before 2.1, up to its body: `[EventTime, ...`."""
NO_METADATA = b"\x80"
SECOND = 1_000_000_000
MARKS = {0xFFFFFFFF * SECOND: GROUP_BEGIN, 0xFFFFFFFE * SECOND: GROUP_END}
BEGIN_TIME, END_TIME = (b"\xd7\x00\xff\xff\xff%b\0\0\0\0" % last for last in (b"\xff", b"\xfe"))
END_MARK = b"\x92\x92" + END_TIME + b"\x80\x80"
END_OF_TIME = 0xFFFFFFFE * SECOND
"""The first time that EventTime does not hold: its last two seconds mark groups."""


@cache
def _fast() -> Any:
    """msgspec's codec, loaded when it is first needed: it takes 17 ms."""
    from msgspec import msgpack as codec

    return codec


@cache
def _packer() -> Any:
    return _fast().Encoder(enc_hook=_as_ext)


@cache
def _encoder() -> Callable[[Any], bytes]:
    encode: Callable[[Any], bytes] = _packer().encode
    return encode


def _as_ext(value: Any) -> Any:
    """What the encoder takes for a value that it does not know; `TypeError` if there is nothing."""
    if type(value) is Extension:
        return _fast().Ext(value.code, value.data)
    raise TypeError(f"{type(value).__name__} has no form")


class MsgpackError(ValueError):
    """Bytes that are no MessagePack events; `position` is the byte of the event that can't be read."""

    def __init__(self, what: str, position: int = 0) -> None:
        super().__init__(f"{what} (byte {position})")
        self.position = position


class Events(NamedTuple):
    """What some bytes held. `metadata` is None when all is empty, `groups` when there are none; `is_whole` is False when something could not be read."""

    times: list[int]
    metadata: list[Metadata] | None
    bodies: list[Body]
    groups: Groups | None
    is_whole: bool


def unpacker(data: bytes) -> msgpack.Unpacker:
    """An unpacker of untrusted bytes; text that is no UTF-8 survives as surrogate escapes."""
    made = msgpack.Unpacker(
        None,
        raw=False,
        strict_map_key=False,
        unicode_errors="surrogateescape",
        ext_hook=Extension,
        max_buffer_size=max(len(data), 1) + 1,
        max_str_len=MOST_TEXT,
        max_bin_len=MOST_TEXT,
        use_list=True,
    )
    made.feed(data)
    return made


def decode_events(data: bytes, lenient: bool = False) -> Events:
    """All events. `lenient`: what can't be read is passed over, up to the next bytes that begin an event, instead of an error."""
    times: list[int] = []
    metadata: list[Metadata] = []
    bodies: list[Body] = []
    marks: list[tuple[int, Group | None]] = []
    has_metadata = False
    source, start, damages = unpacker(data), 0, 0
    while (position := start + source.tell()) < len(data):
        try:
            time, meta, body = read_event(source.unpack(), position)
        except msgpack.OutOfData:
            error: Exception = MsgpackError("an event is cut off", position)
        except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as problem:
            error = problem
        else:
            if time == GROUP_BEGIN:
                marks.append((len(times), Group(meta, body)))
            elif time == GROUP_END:
                marks.append((len(times), None))
            else:
                times.append(time)
                metadata.append(meta)
                bodies.append(body)
                has_metadata = has_metadata or bool(meta)
            continue
        if not lenient:
            raise (
                error if isinstance(error, MsgpackError) else MsgpackError(str(error), position)
            ) from error
        damages += 1
        start = next_event(data, position + 1) if damages < MOST_DAMAGES else -1
        if start < 0:
            break
        source = unpacker(data[start:])
    groups = groups_between(marks, len(times)) if marks else None
    return Events(times, metadata if has_metadata else None, bodies, groups, not damages)


def groups_between(marks: list[tuple[int, Group | None]], count: int) -> Groups | None:
    """The group of each of `count` events, of marks that say from which event on there is another one (None: none)."""
    groups: Groups = [None] * (marks[0][0] if marks else count)
    for (start, group), (end, _) in zip(marks, [*marks[1:], (count, None)], strict=True):
        groups += [group] * (end - start)
    return groups if any(groups) else None


def next_event(data: bytes, start: int) -> int:
    """Where the next event may begin, in the form that the data's first event has; -1 if nowhere."""
    return data.find(OLD_HEAD if data.startswith(OLD_HEAD) else NEW_HEAD, start)


def read_event(value: Any, position: int) -> tuple[int, Metadata, Body]:
    """Time (ns), metadata and body of one event."""
    if type(value) is not list or len(value) != 2 or type(value[1]) is not dict:
        raise MsgpackError("this is no event", position)
    head, body = value
    meta: Metadata = {}
    if type(head) is list:
        if len(head) != 2 or type(head[1]) is not dict:
            raise MsgpackError("this is no head of an event", position)
        head, meta = head
    return time_of(head, position), meta, body


def time_of(value: Any, position: int = 0) -> int:
    """A time as it stands in an event, in nanoseconds; `GROUP_BEGIN` and `GROUP_END` for marks."""
    if type(value) is Extension and value.code == 0 and len(value.data) == EVENT_TIME.size:
        seconds, nanoseconds = EVENT_TIME.unpack(value.data)
        time_ns: int = seconds * SECOND + nanoseconds
        return MARKS.get(time_ns, time_ns)
    if type(value) is int:
        return value * SECOND
    if type(value) is float and -1e11 < value < 1e11:
        whole = floor(value)
        return whole * SECOND + int((value - whole) * 1e9)
    raise MsgpackError(f"{value!r} is no time", position)


def encode_events(
    times: Sequence[int],
    metadata: Sequence[Metadata] | None,
    bodies: Sequence[Body],
    groups: Sequence[Group | None] | None = None,
) -> bytes:
    """Events in the form since 2.1, one after another; groups between their marks."""
    if groups is not None:
        return b"".join(_grouped(times, metadata, bodies, groups))
    if is_usual(times):
        try:
            return _in_bulk(times, metadata, bodies)
        except UNUSUAL:
            pass
    return b"".join(_each(times, metadata, bodies))


def _grouped(
    times: Sequence[int],
    metadata: Sequence[Metadata] | None,
    bodies: Sequence[Body],
    groups: Sequence[Group | None],
) -> Iterator[bytes]:
    for group, start, end in group_runs(groups):
        if group is not None:
            yield begin_mark(group)
        part = None if metadata is None else metadata[start:end]
        yield encode_events(times[start:end], part, bodies[start:end])
        if group is not None:
            yield END_MARK


def begin_mark(group: Group) -> bytes:
    """What stands before the events of a group."""
    return b"\x92\x92" + BEGIN_TIME + pack(group.metadata) + pack(group.body)


def encode_each(
    times: Sequence[int],
    metadata: Sequence[Metadata] | None,
    bodies: Sequence[Body],
    groups: Sequence[Group | None] | None = None,
) -> list[bytes]:
    """Each event in the form since 2.1; one that is in a group between marks of its own, so that it can stand alone."""
    if groups is not None:
        events = encode_each(times, metadata, bodies)
        for group, start, end in group_runs(groups):
            if group is not None:
                begin = begin_mark(group)
                events[start:end] = [begin + event + END_MARK for event in events[start:end]]
        return events
    if is_usual(times) and metadata is None:
        head = HEAD.pack
        try:
            return [
                head(HEAD_WORD, time // SECOND, time % SECOND, 0x80) + body
                for time, body in zip(times, map(_encoder(), bodies), strict=True)
            ]
        except UNUSUAL:
            pass
    return _each(times, metadata, bodies)


def is_usual(times: Sequence[int]) -> bool:
    """Whether EventTime holds all times."""
    return bool(times) and min(times) >= 0 and max(times) < END_OF_TIME


UNUSUAL = (ValueError, OverflowError, TypeError, RecursionError)
"""What the faster encoder raises for surrogate escapes and integers beyond 64 bit."""


def _each(
    times: Sequence[int], metadata: Sequence[Metadata] | None, bodies: Sequence[Body]
) -> list[bytes]:
    """Any events. A time that EventTime can't hold (before 1970, after 2106) is written as a float."""
    metas = metadata if metadata is not None else repeat({}, len(times))
    return [
        b"\x92\x92" + encode_time(time) + pack(meta) + pack(body)
        for time, meta, body in zip(times, metas, bodies, strict=True)
    ]


def packed_events(chunk: Chunk) -> bytes:
    """The events of a chunk in the form since 2.1; as they came, if they came so."""
    packed = chunk.packed
    if packed is not None and packed[:2] == b"\x92\x92":
        return packed
    if chunk.block is not None or chunk.lines is not None:
        lines = encode_lines(chunk)
        if lines is not None:
            return lines
    return encode_events(chunk.times, chunk.metadata, chunk.bodies, chunk.groups)


def encode_lines(chunk: Chunk) -> bytes | None:
    """The events of a chunk of raw lines, without making a map of each (a third of the cost, bench: tail to forward).

    None if they are not that simple: with metadata or groups, or times that EventTime does not hold.
    """
    if chunk.groups is not None or chunk.metadata is not None or not is_usual(chunk.times):
        return None
    key = pack(chunk.key)
    if chunk.block is None:
        lines = [line.encode("utf-8", "surrogateescape") for line in chunk.lines or ()]
        return _with_heads(key, chunk.times, lines)
    parts = chunk.parts or (chunk,)
    return b"".join(
        [_with_heads(key, part.times, (part.block or b"").split(b"\n")) for part in parts]
    )


def _with_heads(key: bytes, times: Sequence[int], lines: Sequence[bytes]) -> bytes:
    parts = [b""] * (2 * len(lines))
    parts[1::2] = lines
    if times.count(times[0]) == len(times):
        runs = [(times[0], len(times))]
    else:
        runs = [(time, sum(1 for _ in run)) for time, run in groupby(times)]
    start = 0
    for time, count in runs:
        heads = LineHeads(time, key)
        end = start + count
        parts[2 * start : 2 * end : 2] = map(heads.__getitem__, map(len, lines[start:end]))
        start = end
    return b"".join(parts)


class LineHeads(dict[int, bytes]):
    """All that stands before the text of an event's only value, by the length of the text."""

    def __init__(self, time_ns: int, key: bytes) -> None:
        super().__init__()
        self._start = NEW_HEAD[:2] + encode_time(time_ns) + NO_METADATA + b"\x81" + key

    def __missing__(self, length: int) -> bytes:
        if length < 32:
            head = bytes((0xA0 | length,))
        elif length < 1 << 8:
            head = bytes((0xD9, length))
        elif length < 1 << 16:
            head = b"\xda" + length.to_bytes(2)
        else:
            head = b"\xdb" + length.to_bytes(4)
        made = self._start + head
        if len(self) < MOST_LENGTHS:
            self[length] = made
        return made


def _in_bulk(
    times: Sequence[int], metadata: Sequence[Metadata] | None, bodies: Sequence[Body]
) -> bytes:
    """Usual events, each written behind the one before: a quarter of what packing event by event costs (bench: json_stored_file)."""
    if len(times) != len(bodies):
        raise MsgpackError(f"{len(times)} times for {len(bodies)} bodies")
    written = bytearray()
    encode_into = _packer().encode_into
    pack_head, pack_both, head, latest = HEAD.pack, HEAD_WITH_METADATA.pack, b"", -1
    if metadata is None:
        for time, body in zip(times, bodies, strict=True):
            if time != latest:
                head, latest = pack_head(HEAD_WORD, time // SECOND, time % SECOND, 0x80), time
            written += head
            encode_into(body, written, -1)
    else:
        for time, meta, body in zip(times, metadata, bodies, strict=True):
            written += pack_both(HEAD_WORD, time // SECOND, time % SECOND)
            encode_into(meta, written, -1)
            encode_into(body, written, -1)
    return bytes(written)


def encode_bare(times: Sequence[int], bodies: Sequence[Body]) -> bytes:
    """Usual events in the form before 2.1. One of `UNUSUAL` for bodies that the faster encoder does not take."""
    written = bytearray()
    encode_into = _packer().encode_into
    pack_head, head, latest = BARE_HEAD.pack, b"", -1
    for time, body in zip(times, bodies, strict=True):
        if time != latest:
            head, latest = pack_head(0x92, 0xD700, time // SECOND, time % SECOND), time
        written += head
        encode_into(body, written, -1)
    return bytes(written)


def encode_time(time_ns: int) -> bytes:
    """EventTime as fixext8, or a float where it does not fit."""
    seconds, nanoseconds = divmod(time_ns, SECOND)
    if 0 <= seconds < 0xFFFFFFFE:
        return b"\xd7\x00" + EVENT_TIME.pack(seconds, nanoseconds)
    return b"\xcb" + struct.pack(">d", time_ns / 1e9)


def _plain(value: Any) -> Any:
    """What MessagePack has no type for: integers beyond 64 bit become floats."""
    if type(value) is Extension:  # msgpack has no name for the types below 0
        return msgpack.ExtType(value.code, value.data) if value.code >= 0 else value.data
    if isinstance(value, int):
        return float(value)
    return str(value)


def count_events(data: bytes) -> int:
    """How many events there are, without decoding them."""
    source = unpacker(data)
    skip, tell = source.skip, source.tell
    count, position, end = 0, 0, len(data)
    try:
        while position < end:
            skip()
            count += 1
            position = tell()
    except msgpack.OutOfData:
        raise MsgpackError("an event is cut off", position) from None
    except (ValueError, RecursionError) as error:
        raise MsgpackError(str(error), position) from error
    return count


def pack(value: Any) -> bytes:
    """One value of the kinds that bodies hold; `MsgpackError` when it is nested too deeply."""
    try:
        return _encoder()(value)
    except (ValueError, OverflowError, TypeError, RecursionError):
        pass  # surrogate escapes, integers beyond 64 bit
    try:
        packed: bytes = msgpack.packb(value, default=_plain, unicode_errors="surrogateescape")
    except (ValueError, RecursionError) as error:
        raise MsgpackError(f"a value can't be written: {error}") from error
    return packed


def unpack(data: bytes) -> Any:
    """The one value that our own code wrote; text that is no UTF-8 comes as surrogate escapes."""
    try:
        return _fast().decode(data, ext_hook=ext_of)
    except ValueError:  # msgspec's own errors are such
        return msgpack.unpackb(
            data,
            strict_map_key=False,
            unicode_errors="surrogateescape",
            raw=False,
            ext_hook=Extension,
        )


# Bodies alone


def encode_bodies(bodies: Sequence[Body]) -> list[bytes]:
    """Each body as a map, every value in its shortest form."""
    try:
        return list(map(_encoder(), bodies))
    except (TypeError, ValueError, OverflowError, RecursionError):
        packer = msgpack.Packer(
            default=_plain, unicode_errors="surrogateescape", autoreset=True, strict_types=False
        )
        return [packer.pack(body) for body in bodies]


def decode_bodies(maps: Sequence[bytes]) -> list[Body | None]:
    """The map in each; None for what is no map. Keys that are no text become text."""
    decode = _fast().Decoder(dict[str, Any], ext_hook=ext_of).decode
    try:
        return list(map(decode, maps))
    except (ValueError, RecursionError):
        return list(map(_decode_body, maps))


def ext_of(code: int, data: memoryview) -> Extension:
    """An extension, for the faster decoders."""
    return Extension(code, bytes(data))


def _decode_body(data: bytes) -> Body | None:
    try:
        value = unpacker(data).unpack()
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException):
        return None
    if type(value) is not dict:
        return None
    return {key if type(key) is str else str(key): item for key, item in value.items()}
