"""Protobuf's wire format, written directly, and OTLP's `AnyValue` in it.

Source: Protocol Buffers, "Encoding"; opentelemetry-proto `common.proto`. An event's attributes take about 0.3 µs each this
way; objects of a protobuf library take four times that (bench/otlp_encode.py).

A `tag` is a field's number and wire type as the bytes that stand before its value. Fields with their default value (0, empty) are
left out, as proto3 does: `text`, `uint`, `fixed64` and `double` give nothing for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from struct import Struct
from typing import Any

MASK = 0xFFFF_FFFF_FFFF_FFFF
MOST_KEYS = 4096
"""How many encoded keys are remembered."""

pack_double = Struct("<d").pack
pack_fixed32 = Struct("<I").pack
pack_fixed64 = Struct("<Q").pack

SHORT = [bytes((number,)) for number in range(128)]


def varint(number: int) -> bytes:
    """A whole number in as few bytes as it takes; a negative one in ten, as int64 has it."""
    if 0 <= number < 128:
        return SHORT[number]
    number &= MASK
    made = bytearray()
    while number > 127:
        made.append(number & 127 | 128)
        number >>= 7
    made.append(number)
    return bytes(made)


def zigzag(number: int) -> bytes:
    """A whole number as sint32 and sint64 have it."""
    return varint(number << 1 if number >= 0 else (-number << 1) - 1)


def sized(data: bytes) -> bytes:
    """Bytes with their length before them."""
    size = len(data)
    return (SHORT[size] if size < 128 else varint(size)) + data


def message(tag: bytes, content: bytes) -> bytes:
    """A message in a field; also an empty one is there."""
    return tag + sized(content)


def data(tag: bytes, content: bytes | None) -> bytes:
    """Bytes in a field."""
    return tag + sized(content) if content else b""


def text(tag: bytes, content: str | None) -> bytes:
    """Text in a field; what is no Unicode is replaced, since receivers refuse the whole message for it."""
    return tag + sized(content.encode("utf-8", "replace")) if content else b""


def uint(tag: bytes, number: int) -> bytes:
    return tag + varint(number) if number else b""


def fixed64(tag: bytes, number: int) -> bytes:
    return tag + pack_fixed64(number & MASK) if number else b""


def fixed32(tag: bytes, number: int) -> bytes:
    return tag + pack_fixed32(number & 0xFFFF_FFFF) if number else b""


def double(tag: bytes, number: float) -> bytes:
    return tag + pack_double(number) if number else b""


# AnyValue


def any_value(value: Any) -> bytes:
    """The content of an `AnyValue`; null is the empty one.

    Text that is no Unicode becomes bytes, as OpenTelemetry's "Mapping arbitrary data to OTLP AnyValue" wants it. `RecursionError` for a value
    that is nested too deeply.
    """
    kind = type(value)
    if kind is str:
        try:
            return b"\x0a" + sized(value.encode())
        except UnicodeEncodeError:
            return b"\x3a" + sized(raw_bytes(value))
    if kind is int:
        return b"\x18" + varint(value)
    if kind is bool:
        return b"\x10\x01" if value else b"\x10\x00"
    if kind is float:
        return b"\x21" + pack_double(value)
    if kind is dict:
        return b"\x32" + sized(key_values(b"\x0a", value))
    if kind is list:
        parts = [b"\x0a" + sized(any_value(each)) for each in value]
        return b"\x2a" + sized(b"".join(parts))
    if kind is bytes:
        return b"\x3a" + sized(value)
    return b"" if value is None else b"\x0a" + sized(str(value).encode("utf-8", "replace"))


def raw_bytes(value: str) -> bytes:
    """The bytes that text with surrogates was read from."""
    try:
        return value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a surrogate that JSON brought, not one that stands for a byte
        return value.encode("utf-8", "surrogatepass")


class Keys(dict[str, bytes]):
    """Each key as the begin of a `KeyValue`: the key, and the tag of the value."""

    def __missing__(self, key: str) -> bytes:
        if len(self) >= MOST_KEYS:
            self.clear()
        made = self[key] = b"\x0a" + sized(str(key).encode("utf-8", "replace")) + b"\x12"
        return made


KEYS = Keys()


def key_value(key: str, value: Any) -> bytes:
    """The content of one `KeyValue`."""
    return KEYS[key] + sized(any_value(value))


def key_values(tag: bytes, attributes: Mapping[str, Any]) -> bytes:
    """A map as so many `KeyValue`, each in a field of this tag."""
    keys = KEYS
    return b"".join(
        [tag + sized(keys[key] + sized(any_value(value))) for key, value in attributes.items()]
    )


def text_pairs(tag: bytes, pairs: Iterable[tuple[str, str]]) -> bytes:
    """Keys and texts as so many `KeyValue`, each in a field of this tag."""
    return b"".join([tag + sized(key_value(key, value)) for key, value in pairs])
