"""OTLP/JSON to protobuf messages, by their descriptors: for metrics and traces, which then have one decoder.

Differs from protobuf's own JSON mapping as the OTLP specification says: identifiers are hexadecimal, unknown names are passed over. Names may be
written in any letter case or as in the `.proto` file, as Fluent Bit and ProtoJSON readers take them; enumerations by number or name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from tailrace.wire.otlp.errors import MOST_GROUPS, MOST_MESSAGES, OtlpError, TooMany
from tailrace.wire.otlp.values import base64_bytes, integer, number

MOST_DEPTH = 200
"""Most messages in messages; a value in a value takes three."""

IDENTIFIERS = {"trace_id": 16, "span_id": 8, "parent_span_id": 8}

REQUIRED: Mapping[str, str] = {
    "ExportMetricsServiceRequest": "resource_metrics",
    "ResourceMetrics": "scope_metrics",
    "ScopeMetrics": "metrics",
    "Metric": "name",
    "ExportTraceServiceRequest": "resource_spans",
    "ResourceSpans": "scope_spans",
    "ScopeSpans": "spans",
    "Span": "name",
    "Event": "name",
    "Link": "trace_id",
}
"""Fields without which a message is refused, as Fluent Bit does."""

INTERNAL_SPAN = 1
DEFAULTS = {"Span": ("kind", INTERNAL_SPAN)}
"""Compat: what a field is that is left out, if it is not the least value of its type."""

ATTRIBUTE = "KeyValue"
POINTS = (
    "NumberDataPoint",
    "HistogramDataPoint",
    "ExponentialHistogramDataPoint",
    "SummaryDataPoint",
)
LENIENT = frozenset((*POINTS, ATTRIBUTE))
"""Items that are left out one by one if something in them is wrong; the rest of the request is taken."""

GROUPS = frozenset(("ResourceMetrics", "ScopeMetrics", "ResourceSpans", "ScopeSpans"))

Refused = Callable[[OtlpError, str], None]
"""Told of an item that is left out, and the name of its message."""


def fill(message: Any, given: Any, refused: Refused) -> None:
    """Put a JSON object into a message; `OtlpError` if it does not fit, `refused` is told of items that are left out."""
    Filler(refused).fill(message, given, 0)


class Filler:
    """Fills the messages of one request."""

    def __init__(self, refused: Refused) -> None:
        self.refused = refused
        self.count = 0

    def fill(self, message: Any, given: Any, depth: int) -> None:
        if type(given) is not dict:
            raise OtlpError("no object")
        if depth > MOST_DEPTH:
            raise OtlpError(f"more than {MOST_DEPTH} objects in objects")
        self.count += 1
        if self.count > MOST_MESSAGES:
            raise TooMany(f"more than {MOST_MESSAGES} objects")
        descriptor = message.DESCRIPTOR
        known = fields_of(descriptor)
        for key, value in given.items():
            field = known.get(key) or known.get(key.lower())
            if field is None or value is None:
                continue
            try:
                if field.is_repeated:
                    self.fill_list(getattr(message, field.name), field, value, depth)
                elif field.message_type is not None:
                    inner = getattr(message, field.name)
                    inner.SetInParent()
                    self.fill(inner, value, depth + 1)
                else:
                    setattr(message, field.name, scalar(field, value))
            except OtlpError as error:
                raise error.under(f".{key}") from None
        name = descriptor.name
        if name in REQUIRED and not has(given, known, REQUIRED[name]):
            raise OtlpError("it is missing").under(f".{REQUIRED[name]}")
        if name in DEFAULTS and not has(given, known, DEFAULTS[name][0]):
            setattr(message, *DEFAULTS[name])

    def fill_list(self, target: Any, field: Any, value: Any, depth: int) -> None:
        if type(value) is not list:
            raise OtlpError("no array")
        kind = field.message_type
        if kind is None:
            for index, each in enumerate(value):
                try:
                    target.append(scalar(field, each))
                except OtlpError as error:
                    raise error.under(f"[{index}]") from None
            return
        if kind.name in GROUPS and len(value) > MOST_GROUPS:
            raise TooMany(f"more than {MOST_GROUPS} of them")
        for index, each in enumerate(value):
            try:
                self.fill(target.add(), each, depth + 1)
            except OtlpError as error:
                if kind.name not in LENIENT or isinstance(error, TooMany):
                    raise error.under(f"[{index}]") from None
                del target[-1]
                self.refused(error.under(f".{field.json_name}[{index}]"), kind.name)


def has(given: dict[str, Any], known: dict[str, Any], name: str) -> bool:
    """Whether an object has a field that is not null."""
    for key, value in given.items():
        field = known.get(key) or known.get(key.lower())
        if field is not None and field.name == name and value is not None:
            return True
    return False


@cache
def fields_of(descriptor: Any) -> dict[str, Any]:
    """The fields of a message by the names that JSON may use."""
    named: dict[str, Any] = {}
    for field in descriptor.fields:
        for name in (field.name, field.json_name, field.json_name.lower()):
            named[name] = field
    return named


def scalar(field: Any, value: Any) -> Any:
    """A value that is no message, as the field's type wants it."""
    kind = field.type
    if kind == field.TYPE_STRING:
        if type(value) is not str:
            raise OtlpError("no text")
        return value.encode("utf-8", "replace").decode()
    if kind in (field.TYPE_DOUBLE, field.TYPE_FLOAT):
        return number(value, "")
    if kind == field.TYPE_BOOL:
        if type(value) is not bool:
            raise OtlpError("neither true nor false")
        return value
    if kind == field.TYPE_BYTES:
        return (
            identifier(value, IDENTIFIERS[field.name])
            if field.name in IDENTIFIERS
            else base64_bytes(value, "")
        )
    if kind == field.TYPE_ENUM and type(value) is str:
        return enumerated(field.enum_type, value)
    whole = integer(value, "")
    least, most = BOUNDS.get(kind, BOUNDS_32)
    if not least <= whole <= most:
        raise OtlpError(f"not from {least} to {most}")
    return whole


BOUNDS_32 = (-(1 << 31), (1 << 31) - 1)
BOUNDS = {
    3: (-(1 << 63), (1 << 63) - 1),  # int64
    16: (-(1 << 63), (1 << 63) - 1),  # sfixed64
    18: (-(1 << 63), (1 << 63) - 1),  # sint64
    4: (0, (1 << 64) - 1),  # uint64
    6: (0, (1 << 64) - 1),  # fixed64
    7: (0, (1 << 32) - 1),  # fixed32
    13: (0, (1 << 32) - 1),  # uint32
}
"""Least and most by the number of a field's type in `descriptor.proto`."""


def identifier(value: Any, size: int) -> bytes:
    """Hexadecimal digits as bytes; an empty text is no identifier."""
    if type(value) is str and value.isascii() and len(value) in (0, 2 * size):
        try:
            return bytes.fromhex(value) if " " not in value else b""
        except ValueError:
            pass
    raise OtlpError(f"no {2 * size} hexadecimal digits")


def enumerated(enum: Any, value: str) -> int:
    """The number of an enumeration's name: whole, or without the part that all names share (`STATUS_CODE_OK`, `OK`)."""
    name = value.upper()
    for known in enum.values:
        if name == known.name or known.name.endswith(f"_{name}"):
            return int(known.number)
    if value.isdecimal() and len(value) < 10:
        return int(value)
    raise OtlpError(f"'{value}' is none of {', '.join(each.name for each in enum.values)}")
