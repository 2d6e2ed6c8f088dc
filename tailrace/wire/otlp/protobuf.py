"""Protobuf's wire format, written directly, and OTLP's `AnyValue` in it.

Source: Protocol Buffers, "Encoding"; opentelemetry-proto `common.proto`. Events are written in a fifth of the time that objects of a
protobuf library take, a whole chunk of alike ones in a tenth (bench/otlp_encode.py).

A `tag` is a field's number and wire type as the bytes that stand before its value. Fields with their default value (0, empty) are
left out, as proto3 does: `text`, `uint`, `fixed64` and `double` give nothing for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from struct import Struct
from typing import Any

MASK = 0xFFFF_FFFF_FFFF_FFFF
MOST_SIZES = 4096
LEAST_ROWS = 4
"""Fewer maps are not worth being written column by column."""
MOST_KEYS, MOST_HEADS = 512, 192
"""How many keys are remembered for each tag, and up to which length of a value for each key."""

pack_double = Struct("<d").pack
pack_fixed32 = Struct("<I").pack
pack_fixed64 = Struct("<Q").pack

SHORT = [bytes((number,)) for number in range(128)]


def varint(number: int) -> bytes:
    """A whole number in as few bytes as it takes; a negative one in ten, as int64 has it."""
    if 0 <= number < 128:
        return SHORT[number]
    if 0 < number < 16384:
        return bytes((number & 127 | 128, number >> 7))
    number &= MASK
    made = bytearray()
    while number > 127:
        made.append(number & 127 | 128)
        number >>= 7
    made.append(number)
    return bytes(made)


class Sizes(dict[int, bytes]):
    """Whole numbers as varints: to look up a small one takes a fifth of the time."""

    def __missing__(self, number: int) -> bytes:
        made = varint(number)
        if 0 <= number < MOST_SIZES:
            self[number] = made
        return made


SIZES = Sizes(enumerate(SHORT))


def zigzag(number: int) -> bytes:
    """A whole number as sint32 and sint64 have it."""
    return varint(number << 1 if number >= 0 else (-number << 1) - 1)


def sized(data: bytes) -> bytes:
    """Bytes with their length before them."""
    return SIZES[len(data)] + data


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


# Maps


class Heads(dict[int, bytes]):
    """All that stands before a value of so many bytes in a field with a `KeyValue`: lengths, tags and the key."""

    __slots__ = ("_key", "_kind", "_tag")

    def __init__(self, tag: bytes, key: bytes, kind: bytes) -> None:
        super().__init__()
        self._tag, self._key, self._kind = tag, key, kind

    def __missing__(self, size: int) -> bytes:
        kind = self._kind + varint(size)
        value = self._key + varint(len(kind) + size) + kind
        made = self._tag + varint(len(value) + size) + value
        if size < MOST_HEADS:
            self[size] = made
        return made


class IntegerHeads(dict[int, bytes]):
    """All that stands before a varint of so many bytes in a field with a `KeyValue` of an integer."""

    __slots__ = ("_key", "_tag")

    def __init__(self, tag: bytes, key: bytes) -> None:
        super().__init__()
        self._tag, self._key = tag, key

    def __missing__(self, size: int) -> bytes:
        value = self._key + SHORT[size + 1] + b"\x18"
        made = self[size] = self._tag + varint(len(value) + size) + value
        return made


class KeyTables(dict[str, tuple[Heads, Heads, IntegerHeads, bytes]]):
    """By key: heads of texts, of maps and of integers, and the head of a double, for fields of one tag."""

    __slots__ = ("_tag",)

    def __init__(self, tag: bytes) -> None:
        super().__init__()
        self._tag = tag

    def __missing__(self, key: str) -> tuple[Heads, Heads, IntegerHeads, bytes]:
        if len(self) >= MOST_KEYS:
            self.clear()
        start, tag = begin(key), self._tag
        double_head = tag + varint(len(start) + 10) + start + b"\x09\x21"
        texts, maps = Heads(tag, start, b"\x0a"), Heads(tag, start, b"\x32")
        made = self[key] = (texts, maps, IntegerHeads(tag, start), double_head)
        return made


class Tables(dict[bytes, KeyTables]):
    def __missing__(self, tag: bytes) -> KeyTables:
        made = self[tag] = KeyTables(tag)
        return made


TABLES = Tables()
"""By tag. What is written again and again, keys and lengths, is made once: twice as fast (bench/otlp_encode.py)."""


def begin(key: str) -> bytes:
    """The begin of a `KeyValue`: the key, and the tag of the value."""
    return b"\x0a" + sized(str(key).encode("utf-8", "replace")) + b"\x12"


def key_value(key: str, value: Any) -> bytes:
    """The content of one `KeyValue`."""
    return begin(key) + sized(any_value(value))


def key_values(tag: bytes, attributes: Mapping[str, Any]) -> bytes:
    """A map as so many `KeyValue`, each in a field of this tag; as `plain_key_values`, but fast."""
    tables = TABLES[tag]
    parts: list[bytes] = []
    try:
        for key, value in attributes.items():
            kind = type(value)
            texts, maps, integers, double_head = tables[key]
            if kind is str:
                content = value.encode()
                parts += (texts[len(content)], content)
            elif kind is int:
                content = SIZES[value]
                parts += (integers[len(content)], content)
            elif kind is float:
                parts += (double_head, pack_double(value))
            elif kind is dict:
                content = key_values(b"\x0a", value)
                parts += (maps[len(content)], content)
            else:
                parts.append(tag + sized(key_value(key, value)))
    except UnicodeEncodeError:
        return plain_key_values(tag, attributes)
    return b"".join(parts)


def many_key_values(tag: bytes, maps: Sequence[Mapping[str, Any]]) -> list[bytes]:
    """As `key_values` of each map. Maps that have the same keys are written column by column: in a third of the time."""
    names = {*map(tuple, maps)}
    if len(names) != 1 or len(maps) < LEAST_ROWS:
        return [key_values(tag, each) for each in maps]
    try:
        columns = zip(*[each.values() for each in maps], strict=True)
        parts: list[Iterable[bytes]] = []
        for key, column in zip(names.pop(), columns, strict=True):
            parts += column_parts(tag, key, column)
    except UnicodeEncodeError:
        return [key_values(tag, each) for each in maps]
    return [*map(b"".join, zip(*parts, strict=False))] if parts else [b""] * len(maps)


def column_parts(tag: bytes, key: str, column: Sequence[Any]) -> Sequence[Iterable[bytes]]:
    """What is to be joined for each value of a column; `repeat` in it has no end."""
    texts, maps, integers, double_head = TABLES[tag][key]
    kinds = {*map(type, column)}
    kind = kinds.pop() if len(kinds) == 1 else None
    if kind is str:
        contents = [*map(str.encode, column)]
        return map(texts.__getitem__, map(len, contents)), contents
    if kind is int:
        contents = [*map(SIZES.__getitem__, column)]
        return map(integers.__getitem__, map(len, contents)), contents
    if kind is float:
        return repeat(double_head), map(pack_double, column)
    if kind is dict:
        contents = many_key_values(b"\x0a", column)
        return map(maps.__getitem__, map(len, contents)), contents
    return ([tag + sized(key_value(key, value)) for value in column],)


def plain_key_values(tag: bytes, attributes: Mapping[str, Any]) -> bytes:
    return b"".join([tag + sized(key_value(key, value)) for key, value in attributes.items()])


def text_pairs(tag: bytes, pairs: Iterable[tuple[str, str]]) -> bytes:
    """Keys and texts as so many `KeyValue`, each in a field of this tag."""
    return b"".join([tag + sized(key_value(key, value)) for key, value in pairs])
