"""Events as OTLP `LogRecord` in protobuf.

Where the parts of a log record come from is what Fluent Bit's output has: body, severity, trace and span from keys of the event, its
metadata (`LogKeys`) or from what OTLP logs have brought along, which stands in the metadata under `otlp`. `log_requests` puts them under
their resource and scope.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, NamedTuple

from tailrace.model import Body, Chunk, Metadata
from tailrace.model.accessor import MISSING, Accessor
from tailrace.wire.otlp.protobuf import (
    SHORT,
    SIZES,
    any_value,
    fixed32,
    fixed64,
    key_value,
    key_values,
    many_key_values,
    message,
    pack_fixed64,
    sized,
    text,
    uint,
    varint,
)

MASK = 0xFFFF_FFFF_FFFF_FFFF
SEVERITIES = range(1, 25)
MOST_RECORD_HEADS = 4096


def accessors(*texts: str) -> list[Accessor]:
    return [Accessor(each) for each in texts]


@dataclass(slots=True)
class LogKeys:
    """Where the parts of a log record are; accessors into an event's body or metadata.

    `otlp` is the key of the metadata that holds what came as OTLP. With `with_rest` the keys beside the body's become attributes.
    """

    body: list[Accessor] = field(default_factory=lambda: accessors("$log", "$message"))
    with_rest: bool = False
    otlp: str = "otlp"
    observed_in_metadata: Accessor = field(default_factory=lambda: Accessor("$ObservedTimestamp"))
    time_in_metadata: Accessor = field(default_factory=lambda: Accessor("$Timestamp"))
    severity_text_in_metadata: Accessor = field(default_factory=lambda: Accessor("$SeverityText"))
    severity_number_in_metadata: Accessor = field(
        default_factory=lambda: Accessor("$SeverityNumber")
    )
    trace_flags_in_metadata: Accessor = field(default_factory=lambda: Accessor("$TraceFlags"))
    span_id_in_metadata: Accessor = field(default_factory=lambda: Accessor("$SpanId"))
    trace_id_in_metadata: Accessor = field(default_factory=lambda: Accessor("$TraceId"))
    attributes_in_metadata: Accessor = field(default_factory=lambda: Accessor("$Attributes"))
    span_id: Accessor = field(default_factory=lambda: Accessor("$SpanId"))
    trace_id: Accessor = field(default_factory=lambda: Accessor("$TraceId"))
    severity_text: Accessor = field(default_factory=lambda: Accessor("$SeverityText"))
    severity_number: Accessor = field(default_factory=lambda: Accessor("$SeverityNumber"))


class Encoded(NamedTuple):
    """Each event as a field of `ScopeLogs`; None where it can't be one. `bad_ids`: identifiers that were none."""

    records: list[bytes | None]
    bad_ids: int


class LogEncoder:
    """Encodes chunks by the same keys; made once."""

    def __init__(self, keys: LogKeys | None = None) -> None:
        self.keys = keys or LogKeys()
        message_keys = self.keys
        self._in_body = frozenset(
            accessor.key
            for accessor in (
                message_keys.span_id,
                message_keys.trace_id,
                message_keys.severity_text,
                message_keys.severity_number,
            )
        )
        self._known = self._in_body | {accessor.key for accessor in message_keys.body}
        self._bad_ids = 0

    def encode(self, chunk: Chunk, start: int = 0, end: int | None = None) -> Encoded:
        """Each event of a chunk, in order; only those from `start` up to `end`."""
        self._bad_ids = 0
        records: list[bytes | None] | None
        if chunk.is_raw and chunk.key not in self._in_body and self._is_body(chunk.key):
            records = all_framed(
                chunk.times[start:end], *text_values((chunk.lines or ())[start:end])
            )
        else:
            bodies, times, metadata = chunk.bodies[start:end], chunk.times[start:end], None
            if chunk.metadata is not None:
                metadata = chunk.metadata[start:end]
            records = self._encode_alike(times, metadata, bodies) or self._encode_bodies(
                times, metadata, bodies
            )
        return Encoded(records, self._bad_ids)

    def _is_body(self, key: str) -> bool:
        return any(accessor.path == (key,) for accessor in self.keys.body)

    def _encode_alike(
        self, times: Sequence[int], metadata: Sequence[Metadata] | None, bodies: Sequence[Body]
    ) -> list[bytes | None] | None:
        """Events of which nothing is said beside the body, or only what came as OTLP, all with the same keys; None if they are others."""
        if self.keys.with_rest or not bodies:
            return None
        try:
            values = self._values_alike(bodies)
            if values is None:
                return None
            if not metadata:
                return all_framed(times, *values)
            return self._passed_on_alike(times, metadata, *values)
        except RecursionError:
            return None

    def _values_alike(self, bodies: Sequence[Body]) -> tuple[bytes, Sequence[bytes]] | None:
        """The bodies of records, as `text_values` gives them, of events with the same keys, none of which is for another part of the record."""
        names = {*map(tuple, bodies)}
        keys = names.pop()
        if names or not self._in_body.isdisjoint(keys):
            return None
        if self._known.isdisjoint(keys):
            return b"\x32", many_key_values(b"\x0a", bodies)
        used = next(accessor for accessor in self.keys.body if accessor.key in keys)
        key = used.key
        return text_values([body[key] for body in bodies]) if used.is_plain else None

    def _passed_on_alike(
        self,
        times: Sequence[int],
        metadata: Sequence[Metadata],
        tag: bytes,
        contents: Sequence[bytes],
    ) -> list[bytes | None] | None:
        """As `_passed_on`, for records with the same fields: column by column, in half the time."""
        if {*map(len, metadata)} != {1}:
            return None
        given: list[Any] = [each.get(self.keys.otlp) for each in metadata]
        if {*map(type, given)} != {dict}:
            return None
        shapes = {*map(tuple, given)}
        if len(shapes) > 1:
            return None
        columns: dict[str, Sequence[Any]] = dict(
            zip(shapes.pop(), zip(*[each.values() for each in given], strict=True), strict=False)
        )
        heads = map(RECORD_HEADS[tag].__getitem__, map(len, contents))
        if "timestamp" in columns:
            times = [*map(whole, columns["timestamp"])]
        parts: list[Iterable[bytes]] = []
        if min(times) > 0 and max(times) <= MASK:
            parts += (repeat(b"\x09"), map(pack_fixed64, times))
        else:
            parts.append([fixed64(b"\x09", time) for time in times])
        for name, write in FIELDS_BEFORE.items():
            if name in columns:
                parts.append(written(columns[name], write))
        parts += ([behind for _, behind in heads], contents)
        if "attributes" in columns:
            column = columns["attributes"]
            are_maps = {*map(type, column)} == {dict}
            parts.append(
                many_key_values(b"\x32", column)
                if are_maps
                else [key_values(b"\x32", as_map(each)) for each in column]
            )
        for name, write in FIELDS_BEHIND.items():
            if name in columns:
                parts.append(written(columns[name], write))
        for name, start, size in (("trace_id", b"\x4a", 16), ("span_id", b"\x52", 8)):
            if name in columns:
                parts += self._identifiers(start, size, columns[name])
        for name, write in FIELDS_LAST.items():
            if name in columns:
                parts.append(written(columns[name], write))
        sizes = SIZES
        return [
            b"\x12" + sizes[len(record)] + record
            for record in map(b"".join, zip(*parts, strict=False))
        ]

    def _identifiers(self, tag: bytes, size: int, column: Sequence[Any]) -> list[Iterable[bytes]]:
        if {*map(type, column)} == {bytes} and {*map(len, column)} == {size}:
            return [repeat(tag + SHORT[size]), column]
        return [[self._identifier(tag, size, value) for value in column]]

    def _encode_bodies(
        self, times: Sequence[int], metadata: Sequence[Metadata] | None, bodies: Sequence[Body]
    ) -> list[bytes | None]:
        given: Sequence[Metadata | None] = metadata or [None] * len(bodies)
        has_none, knows_none = self._in_body.isdisjoint, self._known.isdisjoint
        is_plain, own = not self.keys.with_rest, self.keys.otlp
        records: list[bytes | None] = []
        append = records.append
        for time, meta, body in zip(times, given, bodies, strict=True):
            try:
                if not is_plain or not has_none(body):
                    append(message(b"\x12", self._record(time, meta or {}, body)))
                elif not meta:
                    if knows_none(body):
                        append(framed(time, b"\x32", key_values(b"\x0a", body)))
                    else:
                        value, _ = self._body_of(body)
                        append(framed(time, b"", any_value(value)))
                elif len(meta) == 1 and type(otlp := meta.get(own)) is dict:
                    value = body if knows_none(body) else self._body_of(body)[0]
                    append(message(b"\x12", self._passed_on(time, otlp, value)))
                else:
                    append(message(b"\x12", self._record(time, meta, body)))
            except RecursionError:
                append(None)
        return records

    def _passed_on(self, time: int, otlp: Body, value: Any) -> bytes:
        """As `_record`, where only what came as OTLP says something of the record: three times as fast."""
        get = otlp.get
        time = whole(get("timestamp")) if "timestamp" in otlp else time
        severity, said, attributes = get("severity_number"), get("severity_text"), get("attributes")
        content = any_value(value)
        parts = [fixed64(b"\x09", time)]
        if type(severity) is int and severity in SEVERITIES:
            parts += (b"\x10", SHORT[severity])
        if type(said) is str:
            parts.append(text(b"\x1a", said))
        parts += (b"\x2a", SIZES[len(content)], content)
        if type(attributes) is dict:
            parts.append(key_values(b"\x32", attributes))
        if "dropped_attributes_count" in otlp:
            parts.append(uint(b"\x38", whole(otlp["dropped_attributes_count"]) & 0xFFFF_FFFF))
        if flags := whole(get("trace_flags")):
            parts.append(fixed32(b"\x45", flags))
        if "trace_id" in otlp:
            parts.append(self._identifier(b"\x4a", 16, otlp["trace_id"]))
        if "span_id" in otlp:
            parts.append(self._identifier(b"\x52", 8, otlp["span_id"]))
        if observed := whole(get("observed_timestamp")):
            parts.append(fixed64(b"\x59", observed))
        if "event_name" in otlp:
            parts.append(text(b"\x62", as_text(otlp["event_name"])))
        return b"".join(parts)

    def _record(self, time: int, metadata: Metadata, body: Body) -> bytes:
        """The content of one `LogRecord`."""
        keys = self.keys
        given = metadata.get(keys.otlp) if metadata else None
        otlp: Body = given if type(given) is dict else {}
        value, used = self._body_of(body)
        return b"".join(
            (
                fixed64(b"\x09", self._time(time, metadata, otlp)),
                uint(b"\x10", self._severity(metadata, otlp, body)),
                text(b"\x1a", self._severity_text(metadata, otlp, body)),
                b"\x2a",
                sized(any_value(value)),
                self._attributes(metadata, otlp, body, used),
                uint(b"\x38", whole(otlp.get("dropped_attributes_count")) & 0xFFFF_FFFF),
                fixed32(
                    b"\x45",
                    whole(first_of(otlp, "trace_flags", metadata, keys.trace_flags_in_metadata)),
                ),
                self._identifier(
                    b"\x4a",
                    16,
                    otlp.get("trace_id", MISSING),
                    keys.trace_id_in_metadata.get(metadata),
                    keys.trace_id.get(body),
                ),
                self._identifier(
                    b"\x52",
                    8,
                    otlp.get("span_id", MISSING),
                    keys.span_id_in_metadata.get(metadata),
                    keys.span_id.get(body),
                ),
                fixed64(
                    b"\x59",
                    whole(
                        first_of(otlp, "observed_timestamp", metadata, keys.observed_in_metadata)
                    ),
                ),
                text(b"\x62", as_text(otlp.get("event_name"))),
            )
        )

    def _body_of(self, body: Body) -> tuple[Any, Accessor | None]:
        for accessor in self.keys.body:
            value = accessor.get(body)
            if value is not MISSING:
                return value, accessor
        return body, None

    def _time(self, time: int, metadata: Metadata, otlp: Body) -> int:
        given = first_of(otlp, "timestamp", metadata, self.keys.time_in_metadata)
        return time if given is MISSING else whole(given)

    def _severity(self, metadata: Metadata, otlp: Body, body: Body) -> int:
        keys = self.keys
        for value in (
            otlp.get("severity_number"),
            keys.severity_number_in_metadata.get(metadata),
            keys.severity_number.get(body),
        ):
            if type(value) is int and value in SEVERITIES:
                return value
        return 0

    def _severity_text(self, metadata: Metadata, otlp: Body, body: Body) -> str | None:
        keys = self.keys
        for value in (
            otlp.get("severity_text"),
            keys.severity_text_in_metadata.get(metadata),
            keys.severity_text.get(body),
        ):
            if type(value) is str:
                return value
        return None

    def _attributes(
        self, metadata: Metadata, otlp: Body, body: Body, used: Accessor | None
    ) -> bytes:
        """Metadata beside OTLP's own, then the rest of the body if it is asked for, then the attributes that came as OTLP."""
        own = self.keys.otlp
        parts = [
            b"\x32" + sized(key_value(key, value)) for key, value in metadata.items() if key != own
        ]
        if self.keys.with_rest and used is not None:
            parts.append(key_values(b"\x32", without(body, used)))
        given = first_of(otlp, "attributes", metadata, self.keys.attributes_in_metadata)
        if type(given) is dict:
            parts.append(key_values(b"\x32", given))
        return b"".join(parts)

    def _identifier(self, tag: bytes, size: int, *candidates: Any) -> bytes:
        """The first that is an identifier: bytes of this size, or its hexadecimal digits."""
        for value in candidates:
            if value is MISSING:
                continue
            found = identifier(value, size)
            if found is not None:
                return tag + sized(found)
            self._bad_ids += 1
        return b""


Write = Callable[[Any], bytes]

FIELDS_BEFORE: dict[str, Write] = {
    "severity_number": lambda value: (
        uint(b"\x10", value) if type(value) is int and value in SEVERITIES else b""
    ),
    "severity_text": lambda value: text(b"\x1a", as_text(value)),
}
"""How parts of a record are written, in the order of their fields: those before the body, behind its attributes, behind trace and span."""
FIELDS_BEHIND: dict[str, Write] = {
    "dropped_attributes_count": lambda value: uint(b"\x38", whole(value) & 0xFFFF_FFFF),
    "trace_flags": lambda value: fixed32(b"\x45", whole(value)),
}
FIELDS_LAST: dict[str, Write] = {
    "observed_timestamp": lambda value: fixed64(b"\x59", whole(value)),
    "event_name": lambda value: text(b"\x62", as_text(value)),
}


def written(column: Sequence[Any], write: Write) -> Iterable[bytes]:
    """Each value of a column as a field; equal ones are written once."""
    kinds = {*map(type, column)}
    if kinds == {int} or kinds == {str}:  # of one type: 1, 1.0 and True are equal
        made = {value: write(value) for value in {*column}}
        return map(made.__getitem__, column)
    return [write(value) for value in column]


def framed(time: int, tag: bytes, content: bytes) -> bytes:
    """A field of `ScopeLogs`: a `LogRecord` of a time and a body alone.

    `tag` is that of the body's kind, or empty where `content` is a whole `AnyValue`.
    """
    inner = SIZES[len(content)] if tag else b""
    value_size = len(tag) + len(inner) + len(content)
    size = SIZES[value_size]
    if not time:  # proto3 leaves it out
        return b"\x12" + sized(b"".join((b"\x2a", size, tag, inner, content)))
    whole_size = SIZES[10 + len(size) + value_size]
    stamp = pack_fixed64(time & MASK)
    return b"".join((b"\x12", whole_size, b"\x09", stamp, b"\x2a", size, tag, inner, content))


class RecordHeads(dict[int, tuple[bytes, bytes]]):
    """What stands before and behind the time of a `LogRecord` with a body of so many bytes, of one kind, alone."""

    __slots__ = ("_tag",)

    def __init__(self, tag: bytes) -> None:
        super().__init__()
        self._tag = tag

    def __missing__(self, size: int) -> tuple[bytes, bytes]:
        value = self._tag + varint(size) if self._tag else b""
        behind = b"\x2a" + varint(len(value) + size) + value
        made = b"\x12" + varint(9 + len(behind) + size) + b"\x09", behind
        if size < MOST_RECORD_HEADS:
            self[size] = made
        return made


RECORD_HEADS = {tag: RecordHeads(tag) for tag in (b"", b"\x0a", b"\x32")}
"""By tag of the body's kind; none: the content is a whole `AnyValue`."""


def all_framed(times: Sequence[int], tag: bytes, contents: Sequence[bytes]) -> list[bytes | None]:
    """`framed` for each time and content."""
    if min(times, default=1) <= 0 or max(times, default=1) > MASK:
        return [framed(time, tag, each) for time, each in zip(times, contents, strict=True)]
    heads = map(RECORD_HEADS[tag].__getitem__, map(len, contents))
    return [
        b"".join((before, time, behind, content))
        for (before, behind), time, content in zip(
            heads, map(pack_fixed64, times), contents, strict=True
        )
    ]


def text_values(lines: Sequence[Any]) -> tuple[bytes, Sequence[bytes]]:
    """Bodies, text as a rule: the tag of all, and the content of each; no tag where the contents are whole `AnyValue`."""
    try:
        return b"\x0a", [*map(str.encode, lines)]
    except (UnicodeEncodeError, TypeError):
        return b"", [any_value(line) for line in lines]


def first_of(otlp: Body, name: str, metadata: Metadata, accessor: Accessor) -> Any:
    """What came as OTLP, else what the metadata says."""
    found = otlp.get(name, MISSING)
    return accessor.get(metadata) if found is MISSING else found


def whole(value: Any) -> int:
    """A whole number from 0; 0 for all else."""
    return value if type(value) is int and value > 0 else 0


def as_map(value: Any) -> dict[str, Any]:
    return value if type(value) is dict else {}


def as_text(value: Any) -> str | None:
    return value if type(value) is str else None


def identifier(value: Any, size: int) -> bytes | None:
    """`size` bytes, or as many in hexadecimal digits; None for all else."""
    if type(value) is bytes:
        return value if len(value) == size else None
    if type(value) is not str or len(value) != 2 * size:
        return None
    try:
        return bytes.fromhex(value) if value.isalnum() else None
    except ValueError:
        return None


def without(body: Body, accessor: Accessor) -> Body:
    """The body without one place; the body itself stays as it is."""
    if accessor.is_plain:
        return {key: value for key, value in body.items() if key != accessor.key}
    rest = dict(body)
    holder: Any = rest
    for step in accessor.path[:-1]:  # what holds the place is copied, the rest shared
        inner = holder[step]
        holder[step] = inner = dict(inner) if type(inner) is dict else list(inner)
        holder = inner
    del holder[accessor.path[-1]]
    return rest
