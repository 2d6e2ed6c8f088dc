"""Attributes and bodies: OTLP's `AnyValue` as plain values, from protobuf messages and from JSON.

None stands for a value that is not set. In JSON, what is no `AnyValue` (an object of other keys than one of `stringValue` and so on)
is taken as it stands, as Fluent Bit does.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterable
from typing import Any

import orjson

from tailrace.wire.json import decode_stream
from tailrace.wire.otlp.errors import OtlpError

MOST_DEPTH = 64
"""Most values in values."""

INTEGER = re.compile(r"\s*[+-]?[0-9]{1,300}\s*")
LEAST_INTEGER, MOST_INTEGER = -(1 << 63), (1 << 64) - 1


# Protobuf


def read_value(message: Any) -> Any:
    """The value of an `AnyValue` message."""
    kind = message.WhichOneof("value")
    return None if kind is None else READERS[kind](message)


def read_attributes(pairs: Iterable[Any]) -> dict[str, Any]:
    """The map of `KeyValue` messages; of a repeated key the last one counts."""
    # Most values are text, and asking for that first costs half of asking which kind it is (bench/otlp_decode.py).
    return {pair.key: (value := pair.value).string_value or read_value(value) for pair in pairs}


READERS: dict[str, Callable[[Any], Any]] = {
    "string_value": lambda message: message.string_value,
    "bool_value": lambda message: message.bool_value,
    "int_value": lambda message: message.int_value,
    "double_value": lambda message: message.double_value,
    "bytes_value": lambda message: message.bytes_value,
    "array_value": lambda message: [read_value(each) for each in message.array_value.values],
    "kvlist_value": lambda message: read_attributes(message.kvlist_value.values),
    "string_value_strindex": lambda message: None,  # an index into a table that only profiles have
}


# JSON


def document(data: bytes) -> Any:
    """The one value of a request in JSON; `OtlpError` if there is none, or more.

    What is not quite JSON (control characters, bytes that are no UTF-8, lone surrogates) is read as the agent reads it elsewhere.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        values, consumed, problem = decode_stream(data)
        if problem is not None or len(values) != 1 or data[consumed:].strip():
            raise OtlpError(f"no JSON: {problem or error}") from None
        return values[0]


def plain_value(given: Any, depth: int = 0) -> Any:
    """The value of an `AnyValue` in JSON; `OtlpError` if it is none."""
    if depth > MOST_DEPTH:
        raise OtlpError(f"more than {MOST_DEPTH} values in values")
    if type(given) is dict:
        if len(given) == 1:
            ((kind, held),) = given.items()
            read = JSON_READERS.get(kind) or JSON_READERS.get(kind.lower())
            if read is not None:
                return read(held, depth)
        return {key: plain_value(value, depth + 1) for key, value in given.items()}
    if type(given) is list:
        return [plain_value(value, depth + 1) for value in given]
    return "" if given is None else given


def plain_attributes(given: Any, depth: int = 0) -> dict[str, Any]:
    """The map of an array of objects with `key` and `value`; `OtlpError` if it is none."""
    if type(given) is not list:
        raise OtlpError("no array")
    made: dict[str, Any] = {}
    for index, pair in enumerate(given):
        try:
            key, value = pair["key"], pair["value"]
            if type(key) is str:  # as most are: text
                text = value["stringValue"]
                if type(text) is str and len(value) == 1:
                    made[key] = text
                    continue
        except (KeyError, TypeError):
            key, value = odd_pair(pair, index)
        if type(key) is not str:
            raise OtlpError("no text").under(f"[{index}].key")
        try:
            made[key] = attribute(value, depth)
        except OtlpError as error:
            raise error.under(f"[{index}].value") from None
    return made


MISSING = object()


def attribute(value: Any, depth: int) -> Any:
    """Compat: a value that is left out is an empty text, one that is there but empty is null."""
    if value is MISSING:
        return ""
    if type(value) is not dict:
        raise OtlpError("no object")
    return plain_value(value, depth + 1) if value else None


def odd_pair(pair: Any, index: int) -> tuple[Any, Any]:
    """Key and value of a pair, also of one whose names are written in other letters."""
    if type(pair) is not dict:
        raise OtlpError("no object").under(f"[{index}]")
    if "key" in pair:
        return pair["key"], pair.get("value", MISSING)
    lower = {key.lower(): value for key, value in pair.items()}
    if "key" not in lower:
        raise OtlpError("key is missing").under(f"[{index}]")
    return lower["key"], lower.get("value", MISSING)


def text_value(held: Any, depth: int) -> str:
    if held is None:
        return ""
    if type(held) is not str:
        raise OtlpError("no text").under(".stringValue")
    return held


def bool_value(held: Any, depth: int) -> bool:
    if type(held) is not bool:
        raise OtlpError("neither true nor false").under(".boolValue")
    return held


def int_value(held: Any, depth: int) -> int | float:
    """Beyond 64 bits it becomes a float, as in all JSON that the agent reads."""
    if type(held) is str and INTEGER.fullmatch(held):
        number = int(held)
        return number if LEAST_INTEGER <= number <= MOST_INTEGER else float(number)
    return integer(held, ".intValue")


def integer(held: Any, name: str, least: int = LEAST_INTEGER) -> int:
    """A whole number, also as text, of at most 64 bits."""
    if type(held) is str and held.isdecimal() and held.isascii() and len(held) < 20:
        return int(held)
    if type(held) is str and INTEGER.fullmatch(held):
        held = int(held)
    if type(held) is float and held.is_integer():
        held = int(held)
    if type(held) is not int or not least <= held <= MOST_INTEGER:
        raise OtlpError("no whole number of 64 bits").under(name)
    return held


def double_value(held: Any, depth: int) -> float:
    return number(held, ".doubleValue")


def number(held: Any, name: str) -> float:
    """A number, also as text (`NaN`, `Infinity`)."""
    if type(held) is not bool and isinstance(held, int | float | str) and held != "":
        try:
            return float(held)
        except (ValueError, OverflowError):
            pass
    raise OtlpError("no number").under(name)


def bytes_value(held: Any, depth: int) -> bytes:
    return base64_bytes(held, ".bytesValue")


def base64_bytes(held: Any, name: str) -> bytes:
    """Base64, also its form for addresses and without padding."""
    if type(held) is str:
        text = held.replace("-", "+").replace("_", "/").rstrip("=")
        try:
            return b64decode(text + "=" * (-len(text) % 4), validate=True)
        except (Base64Error, ValueError):
            pass
    raise OtlpError("no base64").under(name)


def array_value(held: Any, depth: int) -> list[Any]:
    values = inner(held, ".arrayValue")
    if values == {}:
        return []
    if type(values) is not list:
        raise OtlpError("no array").under(".arrayValue.values")
    return [plain_value(value, depth + 1) if value != {} else None for value in values]


def kvlist_value(held: Any, depth: int) -> Any:
    values = inner(held, ".kvlistValue")
    if type(values) is list:
        try:
            return plain_attributes(values, depth + 1)
        except OtlpError as error:
            raise error.under(".kvlistValue.values") from None
    if type(values) is not dict:
        raise OtlpError("no array").under(".kvlistValue.values")
    return {key: plain_value(value, depth + 1) for key, value in values.items()}


def inner(held: Any, name: str) -> Any:
    """What stands under `values`; Compat: the array may also stand without it."""
    if type(held) is dict and len(held) == 1:
        ((key, values),) = held.items()
        if key.lower() == "values":
            return values
        raise OtlpError(f"'{key}' instead of 'values'").under(name)
    return held


JSON_READERS: dict[str, Callable[[Any, int], Any]] = {
    "stringValue": text_value,
    "boolValue": bool_value,
    "intValue": int_value,
    "doubleValue": double_value,
    "bytesValue": bytes_value,
    "arrayValue": array_value,
    "kvlistValue": kvlist_value,
}
JSON_READERS |= {name.lower(): read for name, read in JSON_READERS.items()}
