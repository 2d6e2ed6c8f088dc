"""Reading what Fluent Bit keeps of metrics and traces: sets in MessagePack, one after another, that nobody has looked at yet.

`read_sets` cuts them; the `as_…` functions are for what reads one: a value of its kind, or a `ValueError` that says what is none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgpack

T = TypeVar("T")
MOST_BYTES = 64 << 20


def read_sets(
    data: bytes, what: str, read: Callable[[Any], T], failure: type[ValueError]
) -> list[T]:
    """All sets that the bytes hold, each made by `read`; `failure` says what can't be read (`what`, in the plural), and where."""
    if len(data) > MOST_BYTES:
        raise failure(f"{len(data)} bytes of {what} are more than {MOST_BYTES}")
    source = msgpack.Unpacker(
        None,
        raw=False,
        strict_map_key=False,
        unicode_errors="surrogateescape",
        max_buffer_size=len(data) + 1,
    )
    source.feed(data)
    found: list[T] = []
    while source.tell() < len(data):
        position = source.tell()
        try:
            found.append(read(source.unpack()))
        except msgpack.OutOfData:
            raise failure(f"the {what} at byte {position} are cut off") from None
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise failure(f"the {what} at byte {position} can't be read: {error}") from error
    return found


def as_map(value: Any, what: str) -> dict[str, Any]:
    if type(value) is not dict:
        raise ValueError(f"{what} is no map")
    return value


def as_list(value: Any, what: str) -> list[Any]:
    if type(value) is not list:
        raise ValueError(f"{what} is no list")
    return value


def as_text(value: Any, what: str) -> str:
    if type(value) is not str:
        raise ValueError(f"{what} is no text")
    return value


def as_int(value: Any, what: str) -> int:
    if type(value) is not int:
        raise ValueError(f"{what} is no integer")
    return value


def as_float(value: Any, what: str) -> float:
    if type(value) not in (int, float):
        raise ValueError(f"{what} is no number")
    return float(value)
