"""OTLP/JSON to protobuf messages, by their descriptors: for metrics and traces, which then have one decoder.

Differs from protobuf's own JSON mapping as the OTLP specification says: identifiers are hexadecimal, unknown names are passed over. Names may be
written in any letter case or as in the `.proto` file, as Fluent Bit and ProtoJSON readers take them; enumerations by number or name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    Filler(refused).fill(message, given, plan_of(message.DESCRIPTOR), 0)


class Slot:
    """Where the value of a name in JSON goes. A message has a `plan`, a value a `read`."""

    __slots__ = ("is_repeated", "json_name", "name", "plan", "read")

    def __init__(self, field: Any) -> None:
        self.name: str = field.name
        self.json_name: str = field.json_name
        self.is_repeated: bool = field.is_repeated
        is_message = field.message_type is not None
        self.plan = plan_of(field.message_type) if is_message else None
        self.read = None if is_message else reader_of(field)


class Plan:
    """How a message is filled, found out once."""

    __slots__ = ("default", "is_group", "is_lenient", "name", "required", "slots")

    def __init__(self, name: str) -> None:
        self.name = name
        self.slots: dict[str, Slot] = {}
        """By the names that JSON may use."""
        self.required = REQUIRED.get(name)
        self.default = DEFAULTS.get(name)
        self.is_lenient = name in LENIENT
        self.is_group = name in GROUPS

    def has(self, given: dict[str, Any], name: str) -> bool:
        """Whether an object has a field that is not null."""
        for key, value in given.items():
            slot = self.slots.get(key) or self.slots.get(key.lower())
            if slot is not None and slot.name == name and value is not None:
                return True
        return False


PLANS: dict[str, Plan] = {}


def plan_of(descriptor: Any) -> Plan:
    """The plan of a kind of message; messages may hold one another."""
    plan = PLANS.get(descriptor.full_name)
    if plan is None:
        plan = PLANS[descriptor.full_name] = Plan(descriptor.name)
        for field in descriptor.fields:
            slot = Slot(field)
            for name in (field.name, field.json_name, field.json_name.lower()):
                plan.slots[name] = slot
    return plan


class Filler:
    """Fills the messages of one request."""

    def __init__(self, refused: Refused) -> None:
        self.refused = refused
        self.count = 0

    def fill(self, message: Any, given: Any, plan: Plan, depth: int) -> None:
        if type(given) is not dict:
            raise OtlpError("no object")
        if depth > MOST_DEPTH:
            raise OtlpError(f"more than {MOST_DEPTH} objects in objects")
        self.count += 1
        if self.count > MOST_MESSAGES:
            raise TooMany(f"more than {MOST_MESSAGES} objects")
        slots = plan.slots
        key = ""
        try:
            for key, value in given.items():
                slot = slots.get(key) or slots.get(key.lower())
                if slot is None or value is None:
                    continue
                if slot.is_repeated:
                    self.fill_list(getattr(message, slot.name), slot, value, depth)
                elif slot.plan is not None:
                    inner = getattr(message, slot.name)
                    inner.SetInParent()
                    self.fill(inner, value, slot.plan, depth + 1)
                elif slot.read is not None:
                    setattr(message, slot.name, slot.read(value))
        except OtlpError as error:
            raise error.under(f".{key}") from None
        if plan.required is not None and not plan.has(given, plan.required):
            raise OtlpError("it is missing").under(f".{plan.required}")
        if plan.default is not None and not plan.has(given, plan.default[0]):
            setattr(message, *plan.default)

    def fill_list(self, target: Any, slot: Slot, value: Any, depth: int) -> None:
        if type(value) is not list:
            raise OtlpError("no array")
        plan, read = slot.plan, slot.read
        if plan is None:
            assert read is not None
            for index, each in enumerate(value):
                try:
                    target.append(read(each))
                except OtlpError as error:
                    raise error.under(f"[{index}]") from None
            return
        if plan.is_group and len(value) > MOST_GROUPS:
            raise TooMany(f"more than {MOST_GROUPS} of them")
        fill = self.fill_pair if plan.name == ATTRIBUTE else self.fill
        for index, each in enumerate(value):
            try:
                fill(target.add(), each, plan, depth + 1)
            except OtlpError as error:
                if not plan.is_lenient or isinstance(error, TooMany):
                    raise error.under(f"[{index}]") from None
                del target[-1]
                self.refused(error.under(f".{slot.json_name}[{index}]"), plan.name)

    def fill_pair(self, message: Any, given: Any, plan: Plan, depth: int) -> None:
        """An attribute, as `fill` does it; most are text, which is done without further ado."""
        try:
            message.key = given["key"]
            message.value.string_value = given["value"]["stringValue"]
            if len(given["value"]) == 1:
                self.count += 2
                return
        except (KeyError, TypeError, UnicodeEncodeError):
            pass
        message.Clear()
        self.fill(message, given, plan, depth)


def reader_of(field: Any) -> Callable[[Any], Any]:
    """What makes a JSON value one that fits the field's type."""
    kind = field.type
    if kind == field.TYPE_STRING:
        return read_text
    if kind in (field.TYPE_DOUBLE, field.TYPE_FLOAT):
        return read_number
    if kind == field.TYPE_BOOL:
        return read_bool
    if kind == field.TYPE_BYTES:
        size = IDENTIFIERS.get(field.name)
        return read_bytes if size is None else lambda value: identifier(value, size)
    least, most = BOUNDS.get(kind, BOUNDS_32)
    names = field.enum_type if kind == field.TYPE_ENUM else None

    def read_whole(value: Any) -> int:
        if names is not None and type(value) is str:
            return enumerated(names, value)
        whole = integer(value, "")
        if not least <= whole <= most:
            raise OtlpError(f"not from {least} to {most}")
        return whole

    return read_whole


def read_text(value: Any) -> str:
    if type(value) is not str:
        raise OtlpError("no text")
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def read_number(value: Any) -> float:
    return value if type(value) is float else number(value, "")


def read_bool(value: Any) -> bool:
    if type(value) is not bool:
        raise OtlpError("neither true nor false")
    return value


def read_bytes(value: Any) -> bytes:
    return base64_bytes(value, "")


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
