"""Decoded JSON values as events: objects, `[time, object]` and `[[time, metadata], object]` (times in seconds)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from tailrace.model.chunk import Body, Metadata

SECOND = 1_000_000_000


class Collected(NamedTuple):
    """Events of some values; `refused` counts values that are none."""

    times: list[int]
    bodies: list[Body]
    metadata: list[Metadata] | None
    refused: int


def collect_events(values: Sequence[Any], now_ns: int) -> Collected:
    """Events of the values in order; objects get the time `now_ns`."""
    if set(map(type, values)) == {dict}:
        return Collected([now_ns] * len(values), list(values), None, 0)
    times: list[int] = []
    bodies: list[Body] = []
    metadata: list[Metadata] = []
    refused = 0
    for value in values:
        event = event_of(value, now_ns)
        if event is None:
            refused += 1
            continue
        times.append(event[0])
        metadata.append(event[1])
        bodies.append(event[2])
    return Collected(times, bodies, metadata if any(metadata) else None, refused)


def event_of(value: Any, now_ns: int) -> tuple[int, Metadata, Body] | None:
    """Time, metadata and body of one value, or None."""
    if type(value) is dict:
        return now_ns, {}, value
    if type(value) is not list or len(value) != 2 or type(value[1]) is not dict:
        return None
    head, body = value
    meta: Metadata = {}
    if type(head) is list and len(head) == 2 and type(head[1]) is dict:
        head, meta = head
    if type(head) is int:
        return head * SECOND, meta, body
    if type(head) is float and -1e11 < head < 1e11:
        seconds = int(head // 1)
        return seconds * SECOND + int((head - seconds) * 1e9), meta, body
    return None
