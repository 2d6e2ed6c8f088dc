"""Protobuf's wire format read directly, and OTLP's `AnyValue` in it: the counterpart of `protobuf`.

It costs a fifth less than walking a library's objects (bench/otlp_decode.py), logs need no library so, and text that is no UTF-8 is
kept where the library refuses the whole request. What is read is not trusted: anything but a message is an `OtlpError`. As every reader does, unknown fields are passed over, of a field that comes twice the
last one counts, and a field of another wire type than it should have is unknown.

Source: Protocol Buffers, "Encoding"; opentelemetry-proto `common.proto`.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Any

from tailrace.wire.otlp.errors import OtlpError
from tailrace.wire.otlp.values import MOST_DEPTH

VARINT, FIXED64, SIZED, FIXED32 = 0, 1, 2, 5
MASK = 0xFFFF_FFFF_FFFF_FFFF
MOST_REMEMBERED, MOST_REMEMBERED_BYTES = 4096, 128
"""Attributes come again and again with the same value: so many, and so long, are remembered as they stand in the message."""

double_at = Struct("<d").unpack_from
fixed64_at = Struct("<Q").unpack_from
fixed32_at = Struct("<I").unpack_from


def cut_off() -> OtlpError:
    return OtlpError("the message is cut off")


def varint_at(data: bytes, at: int) -> tuple[int, int]:
    """A number of up to 64 bits and where it ends; `IndexError` at the end of the data."""
    byte = data[at]
    at += 1
    if byte < 128:
        return byte, at
    number = byte & 127
    for shift in range(7, 70, 7):
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number & MASK, at
    raise OtlpError("a number of more than ten bytes")


def skip(data: bytes, at: int, tag: int, end: int) -> int:
    """Where a field of no interest ends, whose tag ends at `at`."""
    wire = tag & 7
    if tag >> 3 == 0:
        raise OtlpError("a field without a number")
    if wire == VARINT:
        return varint_at(data, at)[1]
    if wire == SIZED:
        size, at = varint_at(data, at)
        stop = at + size
    elif wire in (FIXED64, FIXED32):
        stop = at + (8 if wire == FIXED64 else 4)
    else:
        raise OtlpError(f"a field of the unknown type {wire}")
    if stop > end:
        raise cut_off()
    return stop


def fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Each field of a message: its tag, its number if it has one, and the range of its bytes."""
    while at < end:
        tag, at = varint_at(data, at)
        stop = skip(data, at, tag, end)
        wire = tag & 7
        if wire == VARINT:
            yield tag, varint_at(data, at)[0], at, stop
        elif wire == SIZED:
            start = varint_at(data, at)[1]
            yield tag, 0, start, stop
        else:
            number = (fixed64_at if wire == FIXED64 else fixed32_at)(data, at)[0]
            yield tag, number, at, stop
        at = stop
    if at > end:
        raise cut_off()


def text_of(data: bytes) -> str:
    """Text; bytes that are no UTF-8 become surrogate escapes."""
    return data.decode("utf-8", "surrogateescape")


# AnyValue


def value_at(data: bytes, at: int, end: int, depth: int = 0) -> Any:
    """The value of the `AnyValue` that stands there."""
    if depth > MOST_DEPTH:
        raise OtlpError(f"more than {MOST_DEPTH} values in values")
    value: Any = None
    while at < end:
        tag = data[at]
        if tag == 0x0A:  # text, as most values are
            size = data[at + 1]
            at += 2
            if size > 127:
                size, at = varint_at(data, at - 1)
            stop = at + size
            if stop > end:
                raise cut_off()
            value = data[at:stop].decode("utf-8", "surrogateescape")
            at = stop
            continue
        tag, at = varint_at(data, at)
        stop = skip(data, at, tag, end)
        if tag == 0x18:
            number = varint_at(data, at)[0]
            value = number - (1 << 64) if number >> 63 else number
        elif tag == 0x10:
            value = varint_at(data, at)[0] != 0
        elif tag == 0x21:
            value = double_at(data, at)[0]
        elif tag == 0x3A:
            value = data[varint_at(data, at)[1] : stop]
        elif tag == 0x2A:
            start = varint_at(data, at)[1]
            items = array_at(data, start, stop, depth + 1)
            if type(value) is list:
                value.extend(items)  # a message that comes in parts is joined
            else:
                value = items
        elif tag == 0x32:
            start = varint_at(data, at)[1]
            pairs = attributes_at(data, start, stop, 0x0A, depth + 1)
            if type(value) is dict:
                value.update(pairs)
            else:
                value = pairs
        elif tag == 0x40:
            value = None  # an index into a table that only profiles have
        at = stop
    if at > end:
        raise cut_off()
    return value


def array_at(data: bytes, at: int, end: int, depth: int) -> list[Any]:
    return [
        value_at(data, start, stop, depth)
        for tag, _, start, stop in fields(data, at, end)
        if tag == 0x0A
    ]


def attributes_at(data: bytes, at: int, end: int, wanted: int, depth: int = 0) -> dict[str, Any]:
    """The `KeyValue` fields of this tag in a message; of a repeated key the last one counts."""
    made: dict[str, Any] = {}
    for tag, _, start, stop in fields(data, at, end):
        if tag == wanted:
            key, value = pair_at(data, start, stop, depth)
            made[key] = value
    return made


def pair_at(data: bytes, at: int, end: int, depth: int) -> tuple[str, Any]:
    """Key and value of the `KeyValue` that stands there."""
    key = ""
    value: Any = None
    for tag, _, start, stop in fields(data, at, end):
        if tag == 0x0A:
            key = text_of(data[start:stop])
        elif tag == 0x12:
            value = value_at(data, start, stop, depth)
    return key, value


def text_pair(content: bytes) -> tuple[str, str] | None:
    """A `KeyValue` that is written as most are, a key and a text of fewer than 128 bytes each, in half the time; None if it is not."""
    size = len(content)
    if size < 8 or size > 130 or content[0] != 0x0A:
        return None
    at = content[1] + 2
    if at + 4 > size or content[at] != 0x12 or content[at + 2] != 0x0A:
        return None
    if at + 2 + content[at + 1] != size or at + 4 + content[at + 3] != size:
        return None
    return (
        content[2:at].decode("utf-8", "surrogateescape"),
        content[at + 4 :].decode("utf-8", "surrogateescape"),
    )


class Pairs(dict[bytes, tuple[str, Any]]):
    """Key and value of a `KeyValue` by its bytes; values that could be changed are not remembered."""

    def __missing__(self, content: bytes) -> tuple[str, Any]:
        pair = text_pair(content) or pair_at(content, 0, len(content), 0)
        if len(content) <= MOST_REMEMBERED_BYTES and type(pair[1]) not in (list, dict):
            if len(self) >= MOST_REMEMBERED:
                self.clear()
            self[content] = pair
        return pair
